/**
 * A module in a process of its own, in a network namespace when it is told to, which answers calls by messages.
 *
 * @example
 * // clock-agent.ts, the module
 * const answers = { add: ({ a, b }: { a: number; b: number }) => a + b }
 * export type ClockAnswers = typeof answers
 * answer(answers)
 *
 * // the test
 * await using agent = await Agent.start<ClockAnswers>(new URL('./clock-agent.ts', import.meta.url))
 * expect(await agent.call('add', { a: 1, b: 2 })).toBe(3)
 */
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { spawnLeashed } from './leash.js'

/** Compiling a module on a busy machine takes its time. */
const START_TIMEOUT_MS = 30_000
const CALL_TIMEOUT_MS = 30_000
/** Of what an agent wrote to stderr, kept to tell of its end. */
const LAST_WORDS_CHARS = 2000

/** What a module answers: functions of one argument, both of which the structured clone algorithm can copy. */
export type Answers = Readonly<Record<string, (argument: never) => unknown>>

/** Where a process runs. */
export interface Place {
  /** The command and the arguments that run `command` there, in the process that is started. */
  command(command: string, args: readonly string[]): [string, string[]]
}

export interface AgentOptions {
  /** Default: where this process is. */
  place?: Place | undefined
  /** `process.argv` of the module, from 2 on. Default: none. */
  args?: readonly string[]
  /** How long a call may take. Default: 30 s. */
  callTimeoutMs?: number
}

interface Call {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}

type Reply =
  | 'ready'
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: { readonly message: string; readonly code?: unknown } }

interface Waiting {
  resolve(value: unknown): void
  reject(failure: Error): void
}

export class Agent<A extends Answers> implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #gone: Promise<unknown>
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  #lastWords = ''

  private constructor(
    child: ChildProcess,
    path: string,
    private readonly callTimeoutMs: number,
  ) {
    this.#child = child
    this.#gone = new Promise((resolve) => child.once('exit', resolve).once('error', resolve))
    child.on('message', (reply: Reply) => this.#settle(reply))
    child.once('error', (cause) => this.#fail(new Error(`${path} could not be run`, { cause })))
    child.stderr?.on('data', (text: Buffer) => {
      this.#lastWords = (this.#lastWords + text.toString()).slice(-LAST_WORDS_CHARS)
    })
    child.once('close', (code, signal) => {
      this.#fail(new Error(`${path} ended with ${signal ?? code}\n${this.#lastWords}`.trim()))
    })
  }

  /** Resolves once the module called `answer`. It is written in TypeScript. */
  static async start<A extends Answers>(
    module: URL,
    { place, args = [], callTimeoutMs = CALL_TIMEOUT_MS }: AgentOptions = {},
  ): Promise<Agent<A>> {
    const path = fileURLToPath(module)
    const agent = new Agent<A>(spawnModule(path, { place, args }), path, callTimeoutMs)
    try {
      await agent.#wait(READY, `${path} to be ready`, START_TIMEOUT_MS)
      return agent
    } catch (failure) {
      await agent.stop()
      throw failure
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Rejects as the function there did, with its message and code; when the process ends; or when it takes too long. */
  async call<Name extends keyof A & string>(
    name: Name,
    ...[argument]: Parameters<A[Name]>
  ): Promise<Awaited<ReturnType<A[Name]>>> {
    const id = ++this.#lastId
    const reply = this.#wait(id, `${name} of process ${this.pid}`, this.callTimeoutMs)
    this.#child.send({ id, name, argument } satisfies Call, (failure) => {
      if (failure !== null) this.#waiting.get(id)?.reject(failure)
    })
    return (await reply) as Awaited<ReturnType<A[Name]>>
  }

  /** Kills the process. Idempotent. */
  async stop(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#gone
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #wait(id: number, what: string, timeoutMs: number): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject })
        timer = setTimeout(() => reject(new Error(`Waited ${timeoutMs} ms for ${what}`)), timeoutMs)
      })
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
  }

  #settle(reply: Reply): void {
    if (reply === 'ready') return this.#waiting.get(READY)?.resolve(undefined)
    const waiting = this.#waiting.get(reply.id)
    if ('value' in reply) return waiting?.resolve(reply.value)
    const { message, code } = reply.failure
    waiting?.reject(Object.assign(new Error(message), code === undefined ? {} : { code }))
  }

  #fail(failure: Error): void {
    for (const { reject } of this.#waiting.values()) reject(failure)
  }
}

/** Starts a module in TypeScript, with Node's channel for messages. It dies with this process. */
function spawnModule(path: string, { place, args = [] }: AgentOptions): ChildProcess {
  const line: [string, string[]] = [process.execPath, ['--import', 'tsx', path, ...args]]
  return spawnLeashed(...(place?.command(...line) ?? line), {
    stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    serialization: 'advanced',
  })
}

/** Calls are counted from 1. */
const READY = 0

/** In the module: answers what the process that started it asks, until that ends. */
export function answer(answers: Answers): void {
  const send = (reply: Reply) => process.send?.(reply)
  process.on('message', ({ id, name, argument }: Call) => {
    void (async () => {
      try {
        const wanted = answers[name] as (argument: unknown) => unknown
        send({ id, value: await wanted(argument) })
      } catch (error) {
        const { message, code } = error as Error & { code?: unknown }
        send({ id, failure: { message, code } })
      }
    })()
  })
  process.once('disconnect', () => process.exit())
  send('ready')
}
