/**
 * Somebody else fills the memory of a Redis that does not evict: it takes no more revocations. Whoever revokes is told,
 * and what was acknowledged before stays. The naive application logs the error and tells its user that he is out.
 */
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'
import { promiseDeadline, times } from './engine/figures.js'
import { oneNaive, twoAndBare } from './engine/plans.js'
import { expectKept, runScenario } from './engine/scenario.js'

const ROUNDS = times(20, 2)
const FILLER_BYTES = [10_000, 100]
const FILLERS_MAX = 100_000
const FAILURES = 20
const ANSWERS = 200

it(
  'a Redis that is full refuses revocations aloud, goes on answering checks, and loses nothing',
  async () => {
    const outcome = await runScenario({
      servers: () => Full.start(),
      ours: ({ server: { url } }) => twoAndBare({ connection: { url } }),
      naive: ({ server: { host, port } }) => oneNaive({ connection: { host, port }, goesOn: true }),
      rounds: ROUNDS,
      kind: { loses: false, silences: false },
      harm: ({ servers }) => servers.fill(),
      hold: async ({ servers, ours, answers }) => {
        const { failed, unknown } = await ours.counts()
        // What buffers give back is taken as well.
        const isFelt = async () => {
          await servers.fill()
          return (await ours.counts()).failed >= failed + FAILURES
        }
        await until(isFelt, { what: 'writes to fail' })
        await answers(ANSWERS)
        // A few may come too late: the server is kept busy, and so is the machine.
        expect((await ours.counts()).unknown - unknown, 'checks go on').toBeLessThan(ANSWERS / 10)
      },
      heal: ({ servers }) => servers.makeRoom(),
    })
    promiseDeadline('filled', outcome.ours)
    expectKept('filled', outcome)
    // Refused as full, and never "done".
    const { failedWrites } = outcome.ours.figures
    expect(Object.keys(failedWrites).filter((code) => !/^ERR_STORE_FULL|OOM/.test(code))).toEqual([])
    expect(Object.values(failedWrites).reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(
      FAILURES * ROUNDS,
    )
  },
  times(200_000, 40_000),
)

/** A server that takes no more. The connection stays: what it takes up is not to be freed. */
class Full implements AsyncDisposable {
  #count = 0

  private constructor(
    readonly server: RedisServer,
    readonly filler: Redis,
  ) {}

  static async start(): Promise<Full> {
    const server = await RedisServer.start({
      config: { maxmemory: '16mb', 'maxmemory-policy': 'noeviction' },
    })
    return new Full(server, new Redis(server.url))
  }

  /** Until nothing more goes in, not even a hundred bytes. */
  async fill(): Promise<void> {
    for (const bytes of FILLER_BYTES) {
      const value = 'x'.repeat(bytes)
      while (await this.#isTaken(`filler:${this.#count}`, value))
        expect(this.#count++).toBeLessThan(FILLERS_MAX)
    }
  }

  async makeRoom(): Promise<void> {
    await this.filler.del(...(await this.filler.keys('filler:*')))
    this.#count = 0
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.filler.disconnect()
    await this.server.stop()
  }

  async #isTaken(name: string, value: string): Promise<boolean> {
    try {
      await this.filler.set(name, value)
      return true
    } catch (error) {
      if (String(error).includes('OOM')) return false
      throw error
    }
  }
}
