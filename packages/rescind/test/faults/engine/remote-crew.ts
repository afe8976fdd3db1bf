/** A crew in a process of its own, on this machine or in a network namespace: the same calls, by messages. */
import { Agent, type Place } from '../../support/agent.js'
import type { Clients, CrewCounts, CrewPlan, Survey } from './crew.js'
import type { CrewAnswers } from './crew-process.js'
import type { HistoryEvent } from './history.js'

export interface RemoteCrewOptions extends CrewPlan {
  /** Default: where this process is. */
  readonly place?: Place
}

const MODULE = new URL('./crew-process.ts', import.meta.url)
/** Above whatever a crew waits for by itself. */
const CALL_TIMEOUT_MS = 40_000

export class RemoteCrew implements Clients {
  readonly #place: Place | undefined
  readonly #plan: CrewPlan
  #agent: Agent<CrewAnswers> | undefined

  constructor({ place, ...plan }: RemoteCrewOptions) {
    this.#place = place
    this.#plan = plan
  }

  async begin(): Promise<void> {
    const options = { place: this.#place, callTimeoutMs: CALL_TIMEOUT_MS }
    this.#agent = await Agent.start<CrewAnswers>(MODULE, options)
    await this.#agent.call('begin', this.#plan)
  }

  run(): Promise<void> {
    return this.#begun.call('run')
  }

  pauseWrites(): Promise<void> {
    return this.#begun.call('pauseWrites')
  }

  resumeWrites(): Promise<void> {
    return this.#begun.call('resumeWrites')
  }

  counts(): Promise<CrewCounts> {
    return this.#begun.call('counts')
  }

  away(): Promise<readonly string[]> {
    return this.#begun.call('away')
  }

  touched(): Promise<readonly number[]> {
    return this.#begun.call('touched')
  }

  survey(subjects: readonly number[]): Promise<readonly Survey[]> {
    return this.#begun.call('survey', subjects)
  }

  rest(): Promise<void> {
    return this.#begun.call('rest')
  }

  roll(subjects: readonly number[]): Promise<void> {
    return this.#begun.call('roll', subjects)
  }

  history(): Promise<readonly HistoryEvent[]> {
    return this.#begun.call('history')
  }

  async close(): Promise<void> {
    await this.#agent?.call('close').catch(() => undefined)
    await this.#agent?.stop()
  }

  get #begun(): Agent<CrewAnswers> {
    if (this.#agent === undefined) throw new Error('a crew in another process was not begun')
    return this.#agent
  }
}
