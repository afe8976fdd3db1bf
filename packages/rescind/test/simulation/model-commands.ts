/**
 * The commands that the library sends, as the model of Redis answers them: names and arguments as the client takes
 * them, replies as it gives them.
 */
import type { ModelRedis } from './model-redis.js'
import { change, reseed, shape } from './model-scripts.js'
import { ReplyError } from './model-redis.js'

export type Argument = string | number | Buffer

type Command = (redis: ModelRedis, ...parameters: Argument[]) => unknown

/** Scripts and what else a user with the rights to read may not do. */
const WRITES: ReadonlySet<string> = new Set([
  'rescindChangeBuffer',
  'rescindShape',
  'rescindReseed',
  'publish',
  'hmget',
])

/** Answers one command. Throws a `ReplyError` where the server would answer with an error. */
export function execute(redis: ModelRedis, name: string, parameters: readonly Argument[]): unknown {
  const command = COMMANDS[name]
  if (command === undefined) throw new Error(`the model of Redis knows no command ${name}`)
  return command(redis, ...parameters)
}

/** The reply to a user who may only read, and write its line in the list of nodes; undefined when it may. */
export function refusalOfReader(name: string): ReplyError | undefined {
  return WRITES.has(name)
    ? new ReplyError(`NOPERM this user has no permissions to run the '${name}' command`)
    : undefined
}

const COMMANDS: Readonly<Record<string, Command>> = {
  get: (redis, key) => redis.get(String(key))?.toString() ?? null,
  getBuffer: (redis, key) => redis.get(String(key)) ?? null,
  mgetBuffer: (redis, ...keys) => redis.mget(keys.flat().map(String)).map((value) => value ?? null),
  set: (redis, key, value, _px, lifeMs) => {
    redis.set(String(key), bytesOf(value), lifeMs === undefined ? Infinity : Number(lifeMs))
    return 'OK'
  },
  getrangeBuffer: (redis, key, start, end) => redis.getrange(String(key), Number(start), Number(end)),
  append: (redis, key, bytes) => redis.append(String(key), bytesOf(bytes)),
  strlen: (redis, key) => redis.strlen(String(key)),
  exists: (redis, ...keys) => redis.exists(...keys.map(String)),
  del: (redis, ...keys) => redis.del(...keys.map(String)),
  pttl: (redis, key) => redis.pttl(String(key)),
  pexpire: (redis, key, lifeMs) => redis.pexpire(String(key), Number(lifeMs)),
  hget: (redis, key, field) => redis.hget(String(key), String(field)) ?? null,
  hmget: (redis, key, ...fields) => fields.map((field) => redis.hget(String(key), String(field)) ?? null),
  hgetall: (redis, key) => Object.fromEntries(redis.hgetall(String(key))),
  hset: (redis, key, ...pairs) => redis.hset(String(key), fieldsOf(pairs)),
  hdel: (redis, key, ...fields) => redis.hdel(String(key), ...fields.map(String)),
  publish: (redis, channel, message) => redis.publish(String(channel), String(message)),
  time: (redis) => redis.time().map(String),
  role: (redis) => roleOf(redis),
  info: (redis) => infoOf(redis),
  rescindChangeBuffer: (redis, ...parameters) => runChange(redis, parameters),
  rescindShape: (redis, meta, shapes, now, end, epoch, name, partitions, isWaited) =>
    shape(redis, String(meta), String(shapes), {
      now: Number(now),
      end: Number(end),
      epoch: String(epoch),
      shape: String(name),
      partitions: Number(partitions),
      isWaited: isWaited === 1,
    }),
  rescindReseed: (redis, ...parameters) => runReseed(redis, parameters),
}

function runChange(redis: ModelRedis, parameters: readonly Argument[]): unknown {
  const [record, meta, shapes, log, operation, now, digest, end, issuedBefore, epoch, name, target, ...rest] =
    parameters
  const [details, partitions, bell, isWaited, at] = rest
  const keys = { record: String(record), meta: String(meta), shapes: String(shapes), log: String(log) }
  return change(redis, keys, {
    operation: Number(operation),
    now: Number(now),
    digest: bytesOf(digest),
    end: Number(end),
    issuedBefore: Number(issuedBefore),
    epoch: String(epoch),
    shape: String(name),
    target: bytesOf(target),
    details: bytesOf(details),
    partitions: Number(partitions),
    bell: String(bell),
    isWaited: isWaited === 1,
    at: Number(at),
  })
}

function runReseed(redis: ModelRedis, [count, ...parameters]: readonly Argument[]): number {
  const [meta, log, ...records] = parameters.slice(0, Number(count)).map(String)
  const [now, epoch, bell, lines, giver, isLast] = parameters.slice(Number(count))
  return reseed(redis, {
    meta: String(meta),
    log: String(log),
    records,
    now: Number(now),
    epoch: String(epoch),
    bell: String(bell),
    lines: bytesOf(lines),
    giver: String(giver),
    isLast: isLast === 1,
  })
}

function roleOf(redis: ModelRedis): unknown[] {
  if (redis.role === 'slave') return ['slave', '127.0.0.1', 6379, 'connected', 0]
  return ['master', 0, redis.replicas().map(() => ['127.0.0.1', '6379', '0'])]
}

function infoOf(redis: ModelRedis): string {
  const lines = redis
    .replicas()
    .map((lagSeconds, i) => `slave${i}:ip=127.0.0.1,port=6379,state=online,offset=0,lag=${lagSeconds}`)
  return ['# Replication', `role:${redis.role}`, `connected_slaves:${lines.length}`, ...lines, ''].join(
    '\r\n',
  )
}

function fieldsOf(pairs: readonly Argument[]): Record<string, string> {
  const fields: Record<string, string> = {}
  for (let i = 0; i + 1 < pairs.length; i += 2) fields[String(pairs[i])] = String(pairs[i + 1])
  return fields
}

function bytesOf(value: Argument | undefined): Buffer {
  return Buffer.isBuffer(value) ? value : Buffer.from(String(value))
}
