/**
 * A module in a process of its own, which ends with this one. Its exported functions are called by name with
 * arguments as JSON; see `child-main.ts` for the other side.
 */
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { spawnLeashed } from '../../packages/rescind/test/support/leash.js'

export interface Call {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}

export interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly failure?: string
}

/** What can be called: functions of at most one argument. */
export type Callable<M> = {
  [K in keyof M & string as M[K] extends (argument: never) => unknown ? K : never]: M[K]
}

type ArgumentsOf<F> = F extends (...given: infer A) => unknown ? A : never
type AnswerOf<F> = F extends (...given: never) => infer R ? Awaited<R> : never

export interface ChildOptions {
  /** Options of Node itself, beside those that this process runs with. */
  readonly execArgv?: readonly string[]
}

/** Several processes may read ten million revocations at once. */
const ANSWER_TIMEOUT_MS = 600_000
/** What lets Node read TypeScript, unless this process was started so itself. */
const TSX = process.execArgv.some((option) => option.includes('tsx')) ? [] : ['--import', 'tsx']
const MAIN = fileURLToPath(new URL('./child-main.ts', import.meta.url))

/** `M` is the type of the module: `new Child<typeof worker>(…)` after `import type * as worker`. */
export class Child<M> {
  readonly #process: ChildProcess
  readonly #gone: Promise<string>
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #calls = 0

  constructor(module: URL, { execArgv = [] }: ChildOptions = {}) {
    const line = [...TSX, ...process.execArgv, ...execArgv, MAIN, module.href]
    // What it prints goes to standard error: standard output is for the report alone.
    this.#process = spawnLeashed(process.execPath, line, { stdio: ['ignore', 2, 2, 'ipc'] })
    this.#process.on('message', (answer: Answer) => this.#settle(answer))
    this.#gone = new Promise((resolve) => {
      const end = (failure: string) => {
        resolve(failure)
        for (const id of [...this.#waiting.keys()]) this.#settle({ id, failure })
      }
      this.#process.once('exit', (code, signal) => end(`its process ended (${signal ?? code ?? '?'})`))
      this.#process.once('error', (error) => end(`its process did not start: ${error.message}`))
    })
  }

  /** Rejects with what the function threw, or why it did not answer. */
  async call<K extends keyof Callable<M> & string>(
    name: K,
    ...[argument]: ArgumentsOf<M[K]>
  ): Promise<AnswerOf<M[K]>> {
    const id = this.#calls++
    let timer: NodeJS.Timeout | undefined
    const answer = await new Promise<Answer>((resolve) => {
      this.#waiting.set(id, resolve)
      timer = setTimeout(
        () => this.#settle({ id, failure: `no answer within ${ANSWER_TIMEOUT_MS} ms` }),
        ANSWER_TIMEOUT_MS,
      )
      this.#process.send({ id, name, argument } satisfies Call, (error) => {
        if (error !== null) this.#settle({ id, failure: error.message })
      })
    })
    clearTimeout(timer)
    if (answer.failure !== undefined) throw new Error(answer.failure)
    return answer.value as AnswerOf<M[K]>
  }

  /** Ends it outright. Idempotent. */
  async stop(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#gone
  }

  #settle(answer: Answer): void {
    const resolve = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    resolve?.(answer)
  }
}

/** Runs work with a child that is gone afterwards. */
export async function withChild<M, T>(
  module: URL,
  work: (child: Child<M>) => Promise<T>,
  options?: ChildOptions,
): Promise<T> {
  const child = new Child<M>(module, options)
  try {
    return await work(child)
  } finally {
    await child.stop()
  }
}
