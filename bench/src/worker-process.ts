/** The parent's side of `worker.ts`: a system in a process of its own, which ends with this one. */
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { spawnLeashed } from '../../packages/rescind/test/support/leash.js'
import type { Measured, Sample } from './benchmark.js'
import type { RedisCpu } from './redis-cpu.js'
import type { Scope } from './scope.js'
import type { Shared } from './system.js'

export type Request =
  | { readonly action: 'open'; readonly module: string; readonly system: string; readonly shared: Shared }
  | { readonly action: 'warm-up'; readonly warmUpMs: number; readonly sliceMs: number }
  | { readonly action: 'measure' | 'close' }

export interface Reply {
  readonly slice?: Slice
  readonly failure?: string
}

/** One measured stretch of operations. */
export interface Slice {
  readonly operations: number
  readonly elapsedUs: number
  readonly cpuUs: number
}

const REPLY_TIMEOUT_MS = 60_000
const CLOSE_TIMEOUT_MS = 2000
const WORKER = fileURLToPath(new URL('./worker.ts', import.meta.url))

export interface WorkerSystemOptions {
  readonly scope: Scope
  readonly system: string
  /** The module that exports `systems`. */
  readonly module: URL
  /** Known only when the system opens: servers may have to be started first. */
  readonly shared: () => Shared | Promise<Shared>
  readonly quick: boolean
  /** The server whose CPU time counts, where there is one. */
  readonly redisCpu?: RedisCpu | undefined
}

/** A system whose value is the time per operation, in microseconds. */
export function workerSystem(options: WorkerSystemOptions): Measured {
  const { scope, system, module, shared, quick, redisCpu } = options
  const times = quick ? { warmUpMs: 60, sliceMs: 60 } : { warmUpMs: 1500, sliceMs: 1000 }
  let worker: WorkerProcess | undefined
  const ask = async (request: Request) => {
    if (worker === undefined) throw new Error('the system was not opened')
    return worker.ask(request)
  }
  return {
    system,
    open: async () => {
      const given = await shared()
      worker = new WorkerProcess()
      scope.defer(() => worker?.stop())
      await ask({ action: 'open', module: module.href, system, shared: given })
    },
    warmUp: async () => {
      await ask({ action: 'warm-up', ...times })
    },
    measure: async () => {
      const serverBefore = await redisCpu?.readUs()
      const { slice } = await ask({ action: 'measure' })
      const serverAfter = await redisCpu?.readUs()
      if (slice === undefined) throw new Error('the process measured nothing')
      const { operations, elapsedUs, cpuUs } = slice
      const sample: Sample = {
        value: elapsedUs / operations,
        cpu: cpuUs / operations,
        ...(serverBefore === undefined || serverAfter === undefined
          ? {}
          : { serverCpu: (serverAfter - serverBefore) / operations }),
      }
      return { [system]: sample }
    },
  }
}

class WorkerProcess {
  readonly #child: ChildProcess
  readonly #gone: Promise<string>

  constructor() {
    // What it prints goes to standard error: standard output is for the report alone.
    this.#child = spawnLeashed(process.execPath, [...process.execArgv, WORKER], {
      stdio: ['ignore', 2, 2, 'ipc'],
    })
    this.#gone = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve(`its process ended (${signal ?? code ?? '?'})`))
      this.#child.once('error', (error) => resolve(`its process did not start: ${error.message}`))
    })
  }

  /** One question at a time. */
  async ask(request: Request, timeoutMs = REPLY_TIMEOUT_MS): Promise<Reply> {
    const child = this.#child
    let timer: NodeJS.Timeout | undefined
    let onMessage: ((reply: Reply) => void) | undefined
    const answered = new Promise<Reply>((resolve) => {
      onMessage = resolve
      child.once('message', onMessage)
    })
    const failed = new Promise<Reply>((resolve) => {
      timer = setTimeout(() => resolve({ failure: `no answer within ${timeoutMs} ms` }), timeoutMs)
      child.send(request, (error) => {
        if (error !== null) resolve({ failure: error.message })
      })
      void this.#gone.then((failure) => resolve({ failure }))
    })
    const reply = await Promise.race([answered, failed])
    clearTimeout(timer)
    if (onMessage !== undefined) child.off('message', onMessage)
    if (reply.failure !== undefined) throw new Error(reply.failure)
    return reply
  }

  async stop(): Promise<void> {
    if (this.#child.connected) await this.ask({ action: 'close' }, CLOSE_TIMEOUT_MS).catch(() => undefined)
    this.#child.kill('SIGKILL')
    await this.#gone
  }
}
