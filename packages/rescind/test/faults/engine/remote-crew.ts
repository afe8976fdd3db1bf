/**
 * A crew in a process of its own, on this machine: the same calls, by messages. `launch` starts the process, which may
 * be in a network namespace; it needs Node's channel for messages (`stdio: ['ignore', 'inherit', 'inherit', 'ipc']`).
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { whenThisProcessEnds } from '../../support/leash.js'
import type { Clients, CrewCounts, CrewPlan, Survey } from './crew.js'
import type { HistoryEvent } from './history.js'

/** Starts Node with `node --import tsx MODULE`, somewhere. */
export type Launch = (module: string) => ChildProcess

export interface RemoteCrewOptions extends CrewPlan {
  /** Default: a process beside this one. */
  readonly launch?: Launch
}

interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

const MODULE = fileURLToPath(new URL('./crew-process.ts', import.meta.url))
/** Above whatever a crew waits for by itself. */
const ANSWER_TIMEOUT_MS = 40_000

export class RemoteCrew implements Clients {
  readonly #child: ChildProcess
  readonly #plan: CrewPlan
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #calls = 0

  constructor({ launch = besideThis, ...plan }: RemoteCrewOptions) {
    this.#plan = plan
    this.#child = launch(MODULE)
    const callOff = whenThisProcessEnds(() => this.#child.kill('SIGKILL'))
    this.#child.on('message', (answer: Answer) => {
      this.#waiting.get(answer.id)?.(answer)
      this.#waiting.delete(answer.id)
    })
    this.#child.once('exit', () => {
      callOff()
      for (const [id, settle] of this.#waiting) settle({ id, error: 'the process of a crew has ended' })
      this.#waiting.clear()
    })
  }

  /** To be harmed like any other process. */
  get process(): ChildProcess {
    return this.#child
  }

  async begin(): Promise<void> {
    await this.#call('plan', this.#plan)
    await this.#call('begin')
  }

  async run(): Promise<void> {
    await this.#call('run')
  }

  async pauseWrites(): Promise<void> {
    await this.#call('pauseWrites')
  }

  async resumeWrites(): Promise<void> {
    await this.#call('resumeWrites')
  }

  counts(): Promise<CrewCounts> {
    return this.#call('counts')
  }

  away(): Promise<readonly string[]> {
    return this.#call('away')
  }

  touched(): Promise<readonly number[]> {
    return this.#call('touched')
  }

  survey(subjects: readonly number[]): Promise<readonly Survey[]> {
    return this.#call('survey', subjects)
  }

  async rest(): Promise<void> {
    await this.#call('rest')
  }

  async roll(subjects: readonly number[]): Promise<void> {
    await this.#call('roll', subjects)
  }

  history(): Promise<readonly HistoryEvent[]> {
    return this.#call('history')
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    await this.#call('close').catch(() => undefined)
    this.#child.kill('SIGKILL')
  }

  #call<T>(method: 'plan' | keyof Clients, ...parameters: readonly unknown[]): Promise<T> {
    const id = ++this.#calls
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => settle({ id, error: 'no answer in time' }), ANSWER_TIMEOUT_MS)
      const settle = ({ result, error }: Answer) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        if (error === undefined) resolve(result as T)
        else reject(new Error(`a crew in another process could not do ${method}: ${error}`))
      }
      this.#waiting.set(id, settle)
      this.#child.send({ id, method, parameters }, (failure) => {
        if (failure !== null) settle({ id, error: failure.message })
      })
    })
  }
}

function besideThis(module: string): ChildProcess {
  return fork(module, [], { execArgv: ['--import', 'tsx'] })
}
