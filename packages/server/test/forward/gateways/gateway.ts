/** A real gateway on loopback, from its Debian package, running the very file of `examples/gateways/`. */
import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync, rmSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../../../rescind/test/support/free-port.js'
import { spawnLeashed, whenThisProcessEnds } from '../../../../rescind/test/support/leash.js'
import { until } from '../../../../rescind/test/support/until.js'
import { debianPackage } from '../../../../rescind/test/support/debian-package.js'

const EXAMPLES = fileURLToPath(new URL('../../../../../examples/gateways/', import.meta.url))
const LOOPBACK = '127.0.0.1'
const START_TIMEOUT_MS = 15_000
/** The ports that the examples name: of the gateway, the service and the application. */
const PORTS = { gateway: 8080, service: 8484, app: 3000 }

export interface GatewayKind {
  readonly name: string
  /** The Debian package, and the program in it. */
  readonly package: string
  readonly program: string
  /** Files of `examples/gateways/`, copied to where the gateway runs. */
  readonly files: readonly string[]
  /** What stands around an example to make a whole configuration of it, and paths in it that differ here. */
  readonly adapt?: (text: string, folder: string) => string
  readonly arguments: (folder: string) => readonly string[]
}

export interface GatewayPorts {
  readonly service: number
  readonly app: number
}

export class Gateway implements AsyncDisposable {
  private constructor(
    readonly port: number,
    private readonly child: ChildProcess,
    private readonly folder: string,
    private readonly leaveFolder: () => void,
  ) {}

  /** Resolves when it accepts connections; rejects with what it has written where it cannot be had or started. */
  static async start(kind: GatewayKind, ports: GatewayPorts): Promise<Gateway> {
    const { root, env } = await debianPackage(kind.package)
    const folder = await mkdtemp(join(tmpdir(), `rescind-${kind.name}-`))
    const leaveFolder = whenThisProcessEnds(() => rmSync(folder, { recursive: true, force: true }))
    const port = await freePort()
    for (const file of kind.files) {
      const example = await readFile(join(EXAMPLES, file), 'utf8')
      const adapted = (kind.adapt ?? ((text) => text))(withPorts(example, port, ports), folder)
      await writeFile(join(folder, file), adapted)
    }
    const log = openSync(join(folder, 'output.log'), 'w')
    const child = spawnLeashed(join(root, kind.program), [...kind.arguments(folder)], {
      env: { ...env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
      cwd: folder,
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    const gateway = new Gateway(port, child, folder, leaveFolder)
    const isOver = () => child.exitCode !== null || child.signalCode !== null
    try {
      await until(() => isOver() || accepts(port), { what: kind.name, timeoutMs: START_TIMEOUT_MS })
      if (isOver()) throw new Error('it ended at once')
      return gateway
    } catch (cause) {
      const written = await gateway.output()
      await gateway.stop()
      throw new Error(`${kind.name} cannot be started on this machine: ${written.slice(-2000)}`, { cause })
    }
  }

  /** What it has written so far. */
  async output(): Promise<string> {
    return readFile(join(this.folder, 'output.log'), 'utf8')
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.child.once('exit', resolve))
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGKILL')
      await gone
    }
    await rm(this.folder, { recursive: true, force: true })
    this.leaveFolder()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

function withPorts(example: string, gateway: number, { service, app }: GatewayPorts): string {
  return example
    .replaceAll(`:${PORTS.gateway}`, `:${gateway}`)
    .replaceAll(`:${PORTS.service}`, `:${service}`)
    .replaceAll(`:${PORTS.app}`, `:${app}`)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, LOOPBACK, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
