/** A split loses what a naive writer was told is stored, unless the server is told to count its replicas. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { Agent } from './agent.js'
import { canSplit, namedBy, skipUnlessAble } from './net-namespaces.js'
import type { RedisAnswers } from './redis-agent.js'
import { SplitSentinelSet, type SplitSentinelOptions } from './split-sentinel.js'
import { until } from './until.js'

const able = await canSplit()
/** A host that is held up for half a second, as happens on a busy machine, is not to be taken for dead. */
const DOWN_AFTER_MS = 1000
/** Above a few promotions and as many times of settling, each of which may take twenty seconds. */
const TIMEOUT_MS = 120_000

/** A naive client on each host. */
async function start(options: SplitSentinelOptions = {}) {
  const split = await SplitSentinelSet.start({ downAfterMs: DOWN_AFTER_MS, ...options })
  onTestFinished(() => split.stop())
  const agents = await Promise.all(
    split.places.map(async (place) => {
      const agent = await Agent.start<RedisAnswers>(new URL('./redis-agent.ts', import.meta.url), { place })
      onTestFinished(() => agent.stop())
      await agent.call('connect', split.address)
      await until(async () => (await agent.call('command', ['PING'])) === 'PONG', { what: 'the client' })
      return agent
    }),
  )
  const ask = (host: number, ...command: [string, ...string[]]) =>
    (agents[host] as Agent<RedisAnswers>).call('command', command)
  return { split, ask }
}

describe(namedBy('a set of servers and Sentinels in three namespaces', able), () => {
  it(
    'splits: beside the old primary writes are acknowledged, and are gone after healing',
    async (context) => {
      skipUnlessAble(context, able)
      const { split, ask } = await start()
      const [old, other] = [split.primaryIndex, (split.primaryIndex + 1) % 3]
      expect(await ask(other, 'SET', 'before', 'kept')).toBe('OK')
      expect(await ask(other, 'WAIT', '2', '5000')).toBe(2)
      await split.split()
      expect(await ask(old, 'SET', 'early', 'lost')).toBe('OK')
      const primary = await split.promoted()
      expect(split.set.servers.indexOf(primary)).toBe(split.primaryIndex)
      expect(split.primaryIndex).not.toBe(old)
      expect(await ask(old, 'SET', 'late', 'lost')).toBe('OK')
      expect(await ask(old, 'GET', 'late')).toBe('lost')
      expect(await primary.command('SET', 'there', 'kept')).toBe('OK')
      // The other host of the majority has it too: whoever is primary later.
      await until(async () => (await primary.command('WAIT', '1', '1000')) === 1, {
        what: 'the replica',
        timeoutMs: 20_000,
      })
      await split.heal()
      await split.settled()
      const isBack = async () => {
        const answer = await ask(old, 'GET', 'there')
        if (answer !== 'kept') throw new Error(`it was told ${String(answer)}`)
        return true
      }
      await until(isBack, {
        what: 'the client of the minority to be with the new primary',
        timeoutMs: 60_000,
      })
      expect(await ask(old, 'MGET', 'before', 'early', 'late', 'there')).toEqual(['kept', null, null, 'kept'])
    },
    TIMEOUT_MS,
  )

  it(
    'with a replica in the minority instead goes on with the same primary',
    async (context) => {
      skipUnlessAble(context, able)
      const { split, ask } = await start()
      const { primaryIndex } = split
      const replica = (primaryIndex + 1) % 3
      await split.split(replica)
      await new Promise((resolve) => setTimeout(resolve, 2 * DOWN_AFTER_MS))
      expect(await ask(primaryIndex, 'SET', 'key', 'kept')).toBe('OK')
      expect(await split.set.servers[replica]?.command('GET', 'key')).toBeNull()
      await split.heal()
      await split.settled()
      expect(split.primaryIndex).toBe(primaryIndex)
      // The Sentinels may not have noticed that the replica was away at all.
      const isThere = async () => (await split.set.servers[replica]?.command('GET', 'key')) === 'kept'
      await until(isThere, { what: 'the replica to have what it missed' })
    },
    TIMEOUT_MS,
  )

  it(
    'with min-replicas-to-write soon takes no writes beside the old primary',
    async (context) => {
      skipUnlessAble(context, able)
      const { split, ask } = await start({ minReplicasToWrite: 1, minReplicasMaxLagSeconds: 1 })
      const old = split.primaryIndex
      await split.split()
      await until(async () => String(await ask(old, 'SET', 'late', 'lost')).startsWith('NOREPLICAS'), {
        what: 'NOREPLICAS',
      })
      const primary = await split.promoted()
      expect(await ask(old, 'SET', 'late', 'lost')).toMatch(/^NOREPLICAS/)
      // Once the other host of the majority follows it: a moment after the Sentinels have named it.
      await until(async () => (await primary.command('SET', 'there', 'kept')) === 'OK', {
        what: 'the replica of the new primary',
        timeoutMs: 20_000,
      })
    },
    TIMEOUT_MS,
  )
})
