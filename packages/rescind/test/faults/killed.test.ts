/** Redis is killed and started again, with all it wrote to its disk or with nothing. */
import { describe, expect, it } from 'vitest'
import { RedisServer } from '../support/redis-server.js'
import { allowedMs, promiseDeadline, promiseRecovery, times } from './engine/figures.js'
import { oneNaive, twoAndBare } from './engine/plans.js'
import { expectKept, runScenario } from './engine/scenario.js'

const ROUNDS = times(20, 2)
const RECOVERY_MAX_MS = 2000
/** After all memories are stale: enough to be wrong. */
const ANSWERS = 150

describe('a server that is killed', () => {
  it.each([
    { name: 'and had written everything to its disk', persistence: true },
    { name: 'and starts with nothing', persistence: false },
  ])(
    '$name: nothing is lost, every answer comes in time, and all are back within two seconds',
    async ({ name, persistence }) => {
      const outcome = await runScenario({
        servers: () => RedisServer.start({ persistence }),
        ours: ({ url }) => twoAndBare({ connection: { url } }),
        naive: ({ host, port }) => oneNaive({ connection: { host, port } }),
        rounds: ROUNDS,
        kind: { loses: !persistence, silences: true },
        harm: ({ servers }) => servers.kill(),
        hold: async ({ allStale, answers }) => {
          await allStale()
          await answers(ANSWERS)
        },
        heal: ({ servers }) => servers.restart(),
      })
      promiseDeadline('killed', outcome.ours)
      const recoveryMs = promiseRecovery('killed', outcome.ours.figures.recoveriesMs, RECOVERY_MAX_MS)
      expectKept(`killed ${name}`, outcome)
      expect(recoveryMs).toBeLessThanOrEqual(allowedMs(RECOVERY_MAX_MS))
      expect(outcome.ours.figures.answers.unknown, 'the harm is felt').toBeGreaterThan(0)
    },
    times(300_000, 40_000),
  )
})
