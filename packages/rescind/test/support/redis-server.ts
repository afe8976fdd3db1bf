/** A real redis-server on loopback: it can be frozen, killed and started again in the middle of a test. */
import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, rmSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Place } from './agent.js'
import { keysWithTokens } from './canary.js'
import { freePort } from './free-port.js'
import { spawnLeashed, whenThisProcessEnds } from './leash.js'
import { type RedisBinary, redisServerBinary } from './redis-binary.js'
import { type TlsFiles, writeTlsFiles } from './tls-files.js'
import { until } from './until.js'

const LOOPBACK = '127.0.0.1'
const startTimeoutMs = 10_000
const commandTimeoutMs = 5000
/** How long a server told to end may take; Redis itself would wait 10 s for a replica that lags behind. */
const graceMs = 2000
const startsMax = 5
/** Where a cluster node listens to other nodes, above its port. */
const clusterBusOffset = 10_000
/** A server that lets nobody in any more, has no answer yet, or is ending cannot be searched for tokens. */
const CANNOT_SEARCH =
  /^(NOAUTH|WRONGPASS|NOPERM|LOADING|MASTERDOWN|MOVED|ASK|CLUSTERDOWN|BUSY|ERR max number of clients)|Connection is closed|ECONN|EPIPE|ENOENT|isn't writeable|timed out/

let binary: Promise<RedisBinary> | undefined

export interface RedisServerOptions {
  /** Default: a free one. */
  port?: number
  /** The address to listen on. Default 127.0.0.1. On another one anybody is let in who reaches it. */
  host?: string
  /** Where the process runs, a network namespace for instance. Default: where this process does. */
  place?: Place
  /** Lines of redis.conf, as `{ directive: arguments }`. They win over the ones set here. */
  config?: Record<string, string>
  /** Arguments of the command line, after the configuration file. Default: none. */
  args?: string[]
  /** Serve TLS, and only TLS, on the port, with certificates of its own or these. Clients need none. Default: false. */
  tls?: boolean | TlsFiles
  /** Write every change to the disk before answering, so that it survives `kill()`. Default: false. */
  persistence?: boolean
}

export class RedisServer implements AsyncDisposable {
  /** Without credentials. */
  readonly url: string
  /** A Unix socket that every server listens on too, whatever its port and TLS. */
  readonly socketPath: string
  /** What `command()` logs in with. Set it after changing the default user's password. */
  password: string | undefined
  readonly #logPath: string
  readonly #leaveDir: () => void
  #child: ChildProcess | undefined
  #gone: Promise<unknown> = Promise.resolve()
  #frozen = false

  private constructor(
    readonly host: string,
    readonly port: number,
    /** The server's own folder: configuration, data, log and certificates. `stop()` removes it. */
    readonly dir: string,
    private readonly args: string[],
    private readonly tls: TlsFiles | undefined,
    private readonly binary: RedisBinary,
    private readonly place: Place | undefined,
  ) {
    this.url = `${tls ? 'rediss' : 'redis'}://${this.host}:${port}`
    this.socketPath = join(dir, 'redis.sock')
    this.#logPath = join(dir, 'redis.log')
    this.#leaveDir = whenThisProcessEnds(() => rmSync(dir, { recursive: true, force: true, maxRetries: 3 }))
  }

  /** Resolves once the server answers. Keeps nothing on the disk unless told to. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    for (let start = 1; ; start++) {
      const server = await RedisServer.#prepare(options)
      try {
        await server.#boot()
        return server
      } catch (failure) {
        await server.stop()
        // Between finding the port and using it, another process may have been quicker.
        const retry = options.port === undefined && start < startsMax && /in use/.test(String(failure))
        if (!retry) throw failure
      }
    }
  }

  /** Starts them all at once; if one fails, none is left running. */
  static async startAll(all: RedisServerOptions[]): Promise<RedisServer[]> {
    const starts = await Promise.allSettled(all.map((options) => RedisServer.start(options)))
    const servers = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
    const failed = starts.find((start) => start.status === 'rejected')
    if (!failed) return servers
    await RedisServer.stopAll(servers)
    throw failed.reason
  }

  static async stopAll(servers: Iterable<RedisServer>): Promise<void> {
    await Promise.all([...servers].map((server) => server.stop()))
  }

  static async #prepare({
    host = LOOPBACK,
    place,
    port,
    config = {},
    args = [],
    tls = false,
    persistence = false,
  }: RedisServerOptions) {
    binary ??= redisServerBinary()
    const usable = await binary
    const isClusterNode = config['cluster-enabled'] === 'yes'
    const usedPort = port ?? (await freePort({ offset: isClusterNode ? clusterBusOffset : 0 }))
    const dir = await mkdtemp(join(tmpdir(), 'rescind-redis-'))
    const tlsFiles = tls === true ? await writeTlsFiles(dir) : tls === false ? undefined : tls
    const server = new RedisServer(host, usedPort, dir, args, tlsFiles, usable, place)
    server.password = config['requirepass']
    const lines = { ...server.#listens(), ...(persistence ? durable : volatile), ...config }
    // Once, and not at each boot: a Sentinel makes a server write into this file what it has become.
    await writeFile(server.#configPath, Object.entries(lines).map(configLine).join(''))
    return server
  }

  /** While it is not running: that of its last run, and 0 if it never ran. */
  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get isRunning(): boolean {
    const child = this.#child
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null
  }

  get tlsFiles(): TlsFiles {
    if (!this.tls) throw new Error('This server was started without { tls: true }')
    return this.tls
  }

  /**
   * Sends one command over a connection of its own, as the default user, and resolves with the reply.
   *
   * @example await server.command('CONFIG', 'SET', 'maxmemory', '1mb')
   */
  async command<Reply = unknown>(name: string, ...args: (string | number | Buffer)[]): Promise<Reply> {
    const redis = new Redis({
      path: this.socketPath,
      ...(this.password === undefined ? {} : { password: this.password }),
      lazyConnect: true,
      enableReadyCheck: false,
      disableClientInfo: true,
      retryStrategy: null,
      connectTimeout: commandTimeoutMs,
      commandTimeout: commandTimeoutMs,
    })
    let connectionFailure: unknown
    redis.on('error', (failure) => (connectionFailure = failure))
    try {
      return (await redis.call(name, ...args)) as Reply
    } catch (failure) {
      throw connectionFailure ?? failure
    } finally {
      redis.disconnect()
    }
  }

  /** Ends the server at once, as a crash does. Resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#gone
    this.#frozen = false
  }

  /** Stops it from doing anything: connections stay open and nothing answers, until `thaw()`. */
  freeze(): void {
    this.#child?.kill('SIGSTOP')
    this.#frozen = true
  }

  thaw(): void {
    this.#child?.kill('SIGCONT')
    this.#frozen = false
  }

  /** Starts it again, on the same port and with what it kept on the disk, after ending it if it runs. */
  async restart(): Promise<void> {
    await this.#end()
    await this.#boot()
  }

  /**
   * Ends the server, frozen or not, and removes its folder. May be called more than once. Fails when the server
   * holds a part of any token that this test process issued.
   */
  async stop(): Promise<void> {
    try {
      const leaks = this.isRunning && !this.#frozen ? await this.#tokens() : []
      if (leaks.length > 0) throw new Error(`Redis holds parts of tokens, under ${leaks.join(', ')}`)
    } finally {
      await this.#end()
      await rm(this.dir, { recursive: true, force: true })
      this.#leaveDir()
    }
  }

  async #tokens(): Promise<string[]> {
    const redis = new Redis({
      path: this.socketPath,
      ...(this.password === undefined ? {} : { password: this.password }),
      retryStrategy: null,
      commandTimeout: commandTimeoutMs,
    })
    redis.on('error', () => undefined)
    try {
      return await keysWithTokens(redis)
    } catch (failure) {
      if (CANNOT_SEARCH.test((failure as Error).message)) return []
      throw failure
    } finally {
      redis.disconnect()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  get #configPath(): string {
    return join(this.dir, 'redis.conf')
  }

  #listens(): Record<string, string> {
    const everywhere = {
      bind: this.host,
      dir: this.dir,
      unixsocket: this.socketPath,
      ...(this.host === LOOPBACK ? {} : { 'protected-mode': 'no' }),
    }
    if (!this.tls) return { ...everywhere, port: String(this.port) }
    return {
      ...everywhere,
      port: '0',
      'tls-port': String(this.port),
      'tls-ca-cert-file': this.tls.ca,
      'tls-cert-file': this.tls.cert,
      'tls-key-file': this.tls.key,
      'tls-auth-clients': 'no',
    }
  }

  /** The Unix socket is asked, and not the port, because behind it can be no other server than this one. */
  async #boot(): Promise<void> {
    const log = openSync(this.#logPath, 'w')
    const line: [string, string[]] = [this.binary.path, [this.#configPath, ...this.args]]
    const child = spawnLeashed(...(this.place?.command(...line) ?? line), {
      env: this.binary.env,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    this.#child = child
    this.#gone = new Promise((resolve) => child.once('exit', resolve).once('error', resolve))
    const outcome = await until(
      async () => (this.isRunning ? (await this.command('PING')) === 'PONG' && 'ready' : 'ended'),
      { what: `redis-server to answer on port ${this.port}`, timeoutMs: startTimeoutMs },
    )
    if (outcome === 'ready') return
    const lastLines = (await readFile(this.#logPath, 'utf8')).trim().split('\n').slice(-10).join('\n')
    throw new Error(`redis-server on port ${this.port} ended while starting:\n${lastLines}`)
  }

  /** Lets it end by itself; a frozen one cannot. */
  async #end(): Promise<void> {
    if (this.isRunning && !this.#frozen) {
      this.#child?.kill('SIGTERM')
      await until(() => !this.isRunning, { what: 'redis-server to end', timeoutMs: graceMs }).catch(
        () => undefined,
      )
    }
    await this.kill()
  }
}

const volatile = { save: '', appendonly: 'no' }
const durable = { save: '', appendonly: 'yes', appendfsync: 'always' }

function configLine([directive, value]: [string, string]): string {
  return `${directive} ${value || '""'}\n`
}
