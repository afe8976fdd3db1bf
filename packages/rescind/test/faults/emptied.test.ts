/** Redis is emptied, or killed and started again with nothing, over and over: what one node knew is never lost. */
import { expect, it } from 'vitest'
import { RedisServer } from '../support/redis-server.js'
import { allowedMs, promise, promiseDeadline, promiseRecovery, times } from './engine/figures.js'
import { expectKept, runScenario } from './engine/scenario.js'

const ROUNDS = times(40, 4)
const RECOVERY_MAX_MS = 2000

it(
  'nothing that was acknowledged is lost over restarts with nothing and FLUSHALLs, while one synced node lives',
  async () => {
    const outcome = await runScenario({
      servers: () => RedisServer.start(),
      ours: ({ url }) => [
        { kind: 'rescind', name: 'a', connection: { url } },
        { kind: 'rescind', name: 'b', connection: { url } },
        { kind: 'rescind', name: 'bare', connection: { url }, manager: { replica: false }, isWriter: false },
      ],
      naive: ({ host, port }) => [{ kind: 'naive', name: 'naive', connection: { host, port } }],
      rounds: ROUNDS,
      kind: { loses: true, silences: false },
      harm: async ({ servers, round }) => {
        if (round % 2 === 0) await servers.command('FLUSHALL')
        else await servers.kill()
      },
      heal: async ({ servers, round }) => {
        if (round % 2 === 1) await servers.restart()
      },
    })
    const { lost, acknowledged } = outcome.ours.figures
    promise(
      'emptied-never-lost',
      'restarts and FLUSHALLs',
      `${lost} of ${acknowledged.accepted} revocations lost over ${ROUNDS} empty restarts and FLUSHALLs`,
      lost === 0,
    )
    promiseDeadline('emptied', outcome.ours)
    const recoveryMs = promiseRecovery('emptied', outcome.ours.figures.recoveriesMs, RECOVERY_MAX_MS)
    expectKept('emptied', outcome)
    expect(recoveryMs).toBeLessThanOrEqual(allowedMs(RECOVERY_MAX_MS))
  },
  times(600_000, 60_000),
)
