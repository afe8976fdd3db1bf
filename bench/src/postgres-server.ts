/**
 * A PostgreSQL of our own in a temporary folder, on loopback, that ends with this process. It runs as `nobody`
 * where this process is root, because PostgreSQL refuses to run as root.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { access, chmod, chown, constants, mkdtemp, readdir, readFile, realpath } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { freePort } from '../../packages/rescind/test/support/free-port.js'
import { whenThisProcessEnds } from '../../packages/rescind/test/support/leash.js'
import { holdUntilEnded } from '../../packages/rescind/test/support/liveness.js'
import { until } from '../../packages/rescind/test/support/until.js'
import type { Scope } from './scope.js'

const execute = promisify(execFile)

const DEBIAN_DIR = '/usr/lib/postgresql'
const START_TIMEOUT_MS = 20_000
const STOP_TIMEOUT_MS = 5000
const EXIT_TIMEOUT_MS = 2000
const USER = 'bench'
/** Nothing here must survive a crash, and it must leave nothing behind: no shared memory in /dev/shm. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  dynamic_shared_memory_type: 'mmap',
  fsync: 'off',
  max_connections: '30',
}

interface Account {
  readonly uid?: number
  readonly gid?: number
}

interface HowToRun extends Account {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
}

export class PostgresServer {
  private constructor(readonly url: string) {}

  /** Starts it; the scope ends it. Rejects with the reason where there is no PostgreSQL. */
  static async start(scope: Scope): Promise<PostgresServer> {
    const bin = await postgresDir()
    if (bin === undefined) {
      throw new Error(`no PostgreSQL: neither postgres on the PATH nor one in ${DEBIAN_DIR}/*/bin`)
    }
    const account = await unprivilegedAccount()
    const dir = await mkdtemp(join(tmpdir(), 'rescind-postgres-'))
    const removeDir = () => rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
    const forgetDir = whenThisProcessEnds(removeDir)
    scope.defer(() => {
      forgetDir()
      removeDir()
    })
    if (account.uid !== undefined && account.gid !== undefined) await chown(dir, account.uid, account.gid)
    await chmod(dir, 0o700)

    const data = join(dir, 'data')
    const env = { ...process.env, LC_ALL: 'C' }
    const options = { ...account, cwd: '/', env }
    const how = ['-U', USER, '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync']
    await runToEnd(join(bin, 'initdb'), ['-D', data, ...how], options)
    const port = await freePort()
    const settings = Object.entries(SETTINGS).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const child = spawnTied(join(bin, 'postgres'), ['-D', data, '-p', String(port), ...settings], options)
    let log = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-2000)))
    scope.defer(() => stop(child))
    const server = new PostgresServer(`postgres://${USER}@127.0.0.1:${port}/postgres`)
    const isUp = await until(async () => hasEnded(child) || (await server.run('SELECT 1'), 'up'), {
      what: 'PostgreSQL to answer',
      timeoutMs: START_TIMEOUT_MS,
      intervalMs: 50,
    })
    if (isUp !== 'up') throw new Error(`PostgreSQL ended while starting: ${log.trim()}`)
    return server
  }

  async run(sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: START_TIMEOUT_MS })
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
}

/** The version of the PostgreSQL that would be started, if there is one. */
export async function postgresVersion(): Promise<string | undefined> {
  const bin = await postgresDir()
  if (bin === undefined) return undefined
  const { stdout } = await execute(join(bin, 'postgres'), ['--version'])
  return /\d+(\.\d+)*/.exec(stdout)?.[0]
}

/** Where `postgres` and `initdb` stand side by side. */
async function postgresDir(): Promise<string | undefined> {
  const versions = (await readdir(DEBIAN_DIR).catch(() => [])).sort((a, b) => Number(b) - Number(a))
  const dirs = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    ...versions.map((version) => join(DEBIAN_DIR, version, 'bin')),
  ]
  for (const dir of dirs) {
    try {
      // On the PATH there may be a link to postgres alone.
      const bin = dirname(await realpath(join(dir, 'postgres')))
      await access(join(bin, 'initdb'), constants.X_OK)
      return bin
    } catch {
      continue
    }
  }
  return undefined
}

async function unprivilegedAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) return {}
  const line = (await readFile('/etc/passwd', 'utf8')).split('\n').find((text) => text.startsWith('nobody:'))
  const [, , uid, gid] = line?.split(':') ?? []
  if (uid === undefined || gid === undefined) {
    throw new Error('PostgreSQL refuses to run as root, and there is no user nobody')
  }
  return { uid: Number(uid), gid: Number(gid) }
}

async function runToEnd(command: string, args: string[], options: HowToRun): Promise<void> {
  const child = spawnTied(command, args, options)
  let errors = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (errors += text))
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) resolve()
      else reject(new Error(errors.trim() || `${command} ended with code ${code}`))
    })
  })
}

/**
 * SIGQUIT is PostgreSQL's immediate shutdown, and what it gets when this process dies: by SIGKILL it would
 * leave its processes to notice, and a segment of shared memory to nobody.
 */
function spawnTied(command: string, args: string[], options: HowToRun): ChildProcess {
  const isTiable = spawnSync('setpriv', ['--pdeathsig', 'QUIT', 'true']).status === 0
  const line = [...(isTiable ? ['setpriv', '--pdeathsig', 'QUIT'] : []), command, ...args]
  const child = spawn(line[0] as string, line.slice(1), { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
  child.on('error', () => undefined)
  const callOff = whenThisProcessEnds(() => {
    child.kill('SIGQUIT')
    // It tidies its folder while it ends, and the folder goes next.
    if (child.pid !== undefined) holdUntilEnded(child.pid, EXIT_TIMEOUT_MS)
  })
  child.once('exit', callOff)
  return child
}

async function stop(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return
  child.kill('SIGQUIT')
  const inTime = await until(() => hasEnded(child), { what: 'PostgreSQL to end', timeoutMs: STOP_TIMEOUT_MS })
    .then(() => true)
    .catch(() => false)
  if (!inTime) child.kill('SIGKILL')
}

function hasEnded(child: ChildProcess): boolean {
  return child.pid === undefined || child.exitCode !== null || child.signalCode !== null
}
