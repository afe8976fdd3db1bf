/** Redis stands still (SIGSTOP): connections stay open, and nothing answers. */
import { describe, expect, it } from 'vitest'
import { RedisServer } from '../support/redis-server.js'
import { allowedMs, promiseDeadline, promiseRecovery, times } from './engine/figures.js'
import { oneNaive, twoAndBare } from './engine/plans.js'
import { expectKept, runScenario } from './engine/scenario.js'

const ROUNDS = times(20, 2)
const RECOVERY_MAX_MS = 2000
/** After all memories are stale: some hundred milliseconds, and more than the second after which a socket is dropped. */
const ANSWERS = { briefly: 100, long: 800 }

describe('a server that is frozen', () => {
  it.each(['briefly', 'long'] as const)(
    '%s: nothing is lost, every answer comes in time, and all are back within two seconds',
    async (howLong) => {
      const outcome = await runScenario({
        servers: () => RedisServer.start(),
        ours: ({ url }) => twoAndBare({ connection: { url } }),
        naive: ({ host, port }) => oneNaive({ connection: { host, port } }),
        rounds: ROUNDS,
        kind: { loses: false, silences: true },
        harm: async ({ servers }) => servers.freeze(),
        hold: async ({ allStale, answers }) => {
          await allStale()
          await answers(ANSWERS[howLong])
        },
        heal: async ({ servers }) => servers.thaw(),
      })
      promiseDeadline('frozen', outcome.ours)
      const recoveryMs = promiseRecovery('frozen', outcome.ours.figures.recoveriesMs, RECOVERY_MAX_MS)
      expectKept(`frozen ${howLong}`, outcome)
      expect(recoveryMs).toBeLessThanOrEqual(allowedMs(RECOVERY_MAX_MS))
      expect(outcome.ours.figures.answers.unknown, 'the harm is felt').toBeGreaterThan(0)
    },
    times(300_000, 40_000),
  )
})
