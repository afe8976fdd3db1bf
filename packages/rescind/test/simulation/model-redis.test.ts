/**
 * The model of Redis against a real server: random sequences of the commands and scripts that the library sends, on
 * both, must give the same replies and leave the same keys behind. Segments are of eight records, so that they fill.
 *
 * `RESCIND_MODEL_SEQUENCES`: how many sequences, default 300. `RESCIND_SEED`: only that one.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type * as RecordModule from '../../src/core/record.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'
import { Chance } from './chance.js'
import { type Argument, execute } from './model-commands.js'
import { ModelRedis } from './model-redis.js'
import { type Command, sequenceOf } from './model-sequences.js'

vi.mock('../../src/core/record.js', async (importOriginal) => ({
  ...(await importOriginal<typeof RecordModule>()),
  SEGMENT_BYTES_MAX: 9 * 32,
}))

const SEQUENCES = Number(process.env.RESCIND_MODEL_SEQUENCES ?? 300)
const SEED = process.env.RESCIND_SEED
const SEEDS = SEED === undefined ? Array.from({ length: SEQUENCES }, (_, i) => i + 1) : [Number(SEED)]
/** How many of them are tried on a full server, and on a replica, which ends the connection at each write. */
const FULL_TURNS = 20
const REPLICA_TURNS = 3
/** Clocks of whole milliseconds, and that of a server, which it reads once for some commands. */
const CLOCKS_MS = 50
/** What lives no longer may end on one of the two alone: then both are given the time. */
const ENDING_MS = 10
const CLOCK_FIELDS = ['bell', 'giverUntil']

let server: RedisServer
let connection: RedisConnection
beforeAll(async () => {
  server = await RedisServer.start()
  connection = new RedisConnection({ url: server.url, writeTimeoutMs: 5000 })
})
afterAll(async () => {
  await connection.close()
  await server.stop()
})

type Client = Record<string, (...parameters: Argument[]) => Promise<unknown>>

function call(name: string, ...parameters: Argument[]): Promise<unknown> {
  return connection.run('writes', 5000, (client) => {
    const command = (client as unknown as Client)[name]
    if (command === undefined) throw new Error(`no command ${name}`)
    // An error reply is compared too: the connection would make it one of ours.
    return command.apply(client, parameters).catch(errorOf)
  })
}

function isAnswering(): Promise<boolean> {
  return connection.ping().then(
    () => call('time').then(Array.isArray),
    () => false,
  )
}

/** An error by its first word that says what is wrong: the rest is worded by the server. */
function errorOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return /RESCIND_[A-Z_]+|WRONGTYPE|READONLY|OOM|NOPERM/.exec(message)?.[0] ?? message
}

function modelReply(redis: ModelRedis, { name, parameters }: Command): unknown {
  try {
    return execute(redis, name, parameters)
  } catch (error) {
    return errorOf(error)
  }
}

/** A reply without what clocks say in it. */
function plain(reply: unknown): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString('base64')
  if (Array.isArray(reply)) return reply.map(plain)
  if (typeof reply !== 'object' || reply === null) return reply
  const entries = Object.entries(reply).filter(([name]) => !CLOCK_FIELDS.includes(name))
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

interface Dump {
  readonly value: unknown
  /** When its life ends, in milliseconds of the clock; as the server says it, where it has no end. */
  readonly endsAtMs: number
  /** What the server's clock said, by field. */
  readonly clocks: Readonly<Record<string, number>>
}

async function dumpOf(
  ask: (name: string, ...parameters: Argument[]) => unknown,
  keys: readonly string[],
): Promise<Record<string, Dump>> {
  const dump: Record<string, Dump> = {}
  for (const key of [...keys].sort()) {
    const text = await ask('getBuffer', key)
    const value = text === 'WRONGTYPE' ? await ask('hgetall', key) : text
    const fields = (Buffer.isBuffer(value) ? {} : value) as Record<string, string>
    const clocks = CLOCK_FIELDS.flatMap((name) => (name in fields ? [[name, Number(fields[name])]] : []))
    dump[key] = {
      value: plain(value),
      endsAtMs: endOf(Date.now(), await ask('pttl', key)),
      clocks: Object.fromEntries(clocks),
    }
  }
  return dump
}

/** Ends are compared, which stand still, and not what is left until then when it is asked. */
function endOf(nowMs: number, leftMs: unknown): number {
  return Number(leftMs) < 0 ? Number(leftMs) : nowMs + Number(leftMs)
}

function expectClose(real: number, model: number, what: string, allowedMs: number): void {
  if (real < 0 || model < 0) expect(model, what).toBe(real)
  else expect(Math.abs(real - model), what).toBeLessThanOrEqual(allowedMs)
}

/** In the midst of a sequence, what then happens to both. */
interface Turn {
  happen(redis: ModelRedis): Promise<unknown>
}

/** Returns how many commands were compared. */
async function compare(seed: number, turn?: Turn): Promise<number> {
  await server.command('FLUSHALL')
  const redis = new ModelRedis(Date.now)
  let isEnding = false
  redis.onEffect = ({ slot }) => {
    if (slot !== undefined && slot.expiresAtMs - Date.now() <= ENDING_MS) isEnding = true
  }
  const sequence = sequenceOf(new Chance(seed), Math.floor(Date.now() / 1000))
  const middle = Math.floor(sequence.length / 2)
  // What happens to both happens to the model so much later: when it is made to last, and when it is asked how long.
  let behindMs = 0
  const isBehind = (sinceMs: number) => (behindMs = Math.max(behindMs, Date.now() - sinceMs))
  const allowedMs = () => CLOCKS_MS + 2 * behindMs
  for (const [i, command] of sequence.entries()) {
    if (i === middle) await turn?.happen(redis)
    const sentAtMs = Date.now()
    const real = await call(command.name, ...command.parameters)
    const toldAtMs = Date.now()
    const model = modelReply(redis, command)
    isBehind(sentAtMs)
    const what = `seed ${seed}, command ${i} ${command.name}`
    if (command.name === 'pttl') expectClose(endOf(sentAtMs, real), endOf(toldAtMs, model), what, allowedMs())
    else expect(plain(model), what).toEqual(plain(real))
    // The client looks for the primary then.
    if (real === 'READONLY') await until(() => isAnswering(), { what: 'the connection to come back' })
    if (isEnding) await sleep(2 * ENDING_MS)
    isEnding = false
  }
  const keys = await server.command<string[]>('KEYS', '*')
  const askReal = async (name: string, ...parameters: Argument[]) => {
    const sentAtMs = Date.now()
    return call(name, ...parameters).finally(() => isBehind(sentAtMs))
  }
  const real = await dumpOf(askReal, keys)
  const model = await dumpOf((name, ...parameters) => modelReply(redis, { name, parameters }), redis.keys())
  expect(Object.keys(model), `seed ${seed}`).toEqual(Object.keys(real))
  for (const [key, one] of Object.entries(real)) {
    const other = model[key] as Dump
    expect(other.value, `seed ${seed}: ${key}`).toEqual(one.value)
    expectClose(one.endsAtMs, other.endsAtMs, `seed ${seed}: end of ${key}`, allowedMs())
    expect(Object.keys(other.clocks)).toEqual(Object.keys(one.clocks))
    for (const [name, ms] of Object.entries(one.clocks))
      expectClose(ms, other.clocks[name] as number, `seed ${seed}: ${key} ${name}`, allowedMs())
  }
  return sequence.length
}

describe('the model of Redis', () => {
  it(
    `answers and holds what a real server does (${SEEDS.length} sequences)`,
    { timeout: 600_000 },
    async () => {
      let compared = 0
      for (const seed of SEEDS) compared += await compare(seed)
      expect(compared).toBeGreaterThan(SEEDS.length * 10)
    },
  )

  it('refuses what needs memory as a full server does', { timeout: 60_000 }, async () => {
    const happen = async (redis: ModelRedis) => {
      await server.command('CONFIG', 'SET', 'maxmemory', '1')
      redis.isFull = true
    }
    for (const seed of SEEDS.slice(0, FULL_TURNS)) {
      await compare(seed, { happen })
      await server.command('CONFIG', 'SET', 'maxmemory', '0')
    }
  })

  it('refuses to write as a replica does', { timeout: 60_000 }, async () => {
    // Nobody answers there: it keeps what it has.
    const happen = async (redis: ModelRedis) => {
      await server.command('REPLICAOF', '127.0.0.1', '1')
      redis.role = 'slave'
    }
    for (const seed of SEEDS.slice(0, REPLICA_TURNS)) {
      await compare(seed, { happen })
      await server.command('REPLICAOF', 'NO', 'ONE')
    }
  })
})
