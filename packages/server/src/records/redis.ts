/**
 * Records on the Redis of the service, beside the revocations and for all of its processes: a hash for each kind that
 * lasts, a key with an expiry for what has a life, a Stream for the audit trail, and a sorted set that finds its entries
 * by what they are about. They share one hash tag, and each write is one command or one script.
 */
import { hash } from 'node:crypto'
import { recordsPrefix, type RedisConnection, RescindError } from 'rescind'
import {
  assertEntry,
  assertPage,
  assertWritable,
  type LastingKind,
  type RecordKind,
  type Records,
  RECORDS_MAX,
  recordsFull,
  TRAIL_SLACK,
  type TrailEntry,
  type TrailOptions,
  type TrailPage,
  type WriteOptions,
} from './records.js'

export interface RedisRecordsOptions {
  /** Closed with the records. */
  readonly connection: RedisConnection
  /** As of the store. */
  readonly namespace: string
  readonly trailMax: number
}

interface Script {
  readonly text: string
  /** By which a server knows a script that it has run before. */
  readonly digest: string
}

type Client = Parameters<Parameters<RedisConnection['run']>[2]>[0]

/** An id of a Stream. */
const CURSOR = /^\d{1,20}-\d{1,20}$/
/** The field of an entry. */
const TEXT = 'text'
/**
 * Key: the hash. Arguments: id, text, how many there may be, `new`, `replaces` or empty, what it replaces. Answers 1
 * when it is written, 0 when something else stands, -1 when there are too many.
 */
const WRITE_SCRIPT = scriptOf(`
local held = redis.call('HGET', KEYS[1], ARGV[1])
if ARGV[4] == 'new' and held then return 0 end
if ARGV[4] == 'replaces' and held ~= ARGV[5] then return 0 end
if not held and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return -1 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1`)

/** How many entries of a trail that is too long one sweep removes: more than come until the next. */
const SWEPT_MAX = 4 * TRAIL_SLACK
/**
 * Lua: a member of the sorted set, `ABOUT ID`. Members have one score and stand in the order of their text, in which ids
 * are of one length until the year 2286.
 */
const MEMBER = `
local function member(about, id)
  local ms, number = string.match(id, '^(%d+)-(%d+)$')
  return about .. ' ' .. ms .. '-' .. string.rep('0', 20 - #number) .. number
end
`
/**
 * Keys: the Stream, the sorted set. Arguments: text, what it is about or empty, how many entries there may be or empty
 * for no sweep. Answers the id. What the Stream loses goes from the sorted set before.
 */
const APPEND_SCRIPT = scriptOf(`${MEMBER}
local add = {'XADD', KEYS[1]}
if ARGV[3] ~= '' then
  local left = redis.call('XLEN', KEYS[1])
  local over = math.min(left + 1 - tonumber(ARGV[3]), ${SWEPT_MAX})
  if over > 0 then
    local members = {}
    for _, old in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', over)) do
      local about = old[2][4]
      if about then members[#members + 1] = member(about, old[1]) end
    end
    if #members > 0 then redis.call('ZREM', KEYS[2], unpack(members)) end
    add = {'XADD', KEYS[1], 'MAXLEN', left - over + 1}
  end
end
local entry = {'*', '${TEXT}', ARGV[1]}
if ARGV[2] ~= '' then entry = {'*', '${TEXT}', ARGV[1], 'about', ARGV[2]} end
for _, each in ipairs(entry) do add[#add + 1] = each end
local id = redis.call(unpack(add))
if ARGV[2] ~= '' then redis.call('ZADD', KEYS[2], 0, member(ARGV[2], id)) end
return id`)
/** Keys: the same. Arguments: what the entries are about, the id before which they stand or empty, how many. */
const ABOUT_SCRIPT = scriptOf(`${MEMBER}
local from = ARGV[2] == '' and '(' .. ARGV[1] .. '!' or '(' .. member(ARGV[1], ARGV[2])
local found = redis.call('ZRANGE', KEYS[2], from, '[' .. ARGV[1] .. ' ', 'BYLEX', 'REV', 'LIMIT', 0, ARGV[3])
local entries = {}
for _, each in ipairs(found) do
  local ms, number = string.match(each, '(%d+)-0*(%d+)$')
  local id = ms .. '-' .. number
  for _, entry in ipairs(redis.call('XRANGE', KEYS[1], id, id)) do entries[#entries + 1] = entry end
end
return entries`)

export class RedisRecords implements Records {
  readonly #connection: RedisConnection
  readonly #prefix: string
  readonly #trailMax: number
  /** The first one sweeps, so that a command that appends once does its share. */
  #appended = 0

  constructor({ connection, namespace, trailMax }: RedisRecordsOptions) {
    this.#connection = connection
    this.#prefix = recordsPrefix(namespace)
    this.#trailMax = trailMax
  }

  async read(kind: RecordKind, id: string): Promise<string | undefined> {
    const found = await this.#run((client) =>
      kind === 'once' ? client.get(this.#onceKey(id)) : client.hget(this.#key(kind), id),
    )
    return found ?? undefined
  }

  async write(kind: RecordKind, id: string, text: string, options: WriteOptions = {}): Promise<boolean> {
    assertWritable(kind, id, text, options)
    const { lifeSeconds, isNew = false } = options
    if (lifeSeconds === undefined) return this.#writeLasting(this.#key(kind), id, text, options)
    const key = this.#onceKey(id)
    const lifeMs = Math.ceil(lifeSeconds * 1000)
    const answer = await this.#run((client) =>
      isNew ? client.set(key, text, 'PX', lifeMs, 'NX') : client.set(key, text, 'PX', lifeMs),
    )
    return answer === 'OK'
  }

  async remove(kind: RecordKind, id: string): Promise<boolean> {
    const removed = await this.#run((client) =>
      kind === 'once' ? client.del(this.#onceKey(id)) : client.hdel(this.#key(kind), id),
    )
    return removed > 0
  }

  async all(kind: LastingKind): Promise<ReadonlyMap<string, string>> {
    const found = await this.#run((client) => client.hgetall(this.#key(kind)))
    return new Map(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  async append(text: string, about?: string): Promise<string> {
    assertEntry(text, about)
    const keys = [this.#key('audit'), this.#key('about')] as const
    const sweep = this.#appended++ % TRAIL_SLACK === 0 ? this.#trailMax : ''
    const id = await this.#evaluate(APPEND_SCRIPT, keys, [text, about ?? '', sweep])
    return typeof id === 'string' ? id : unreadable()
  }

  async trail(options: TrailOptions): Promise<TrailPage> {
    assertPage(options, CURSOR)
    const { limit } = options
    const found = await this.#backwards(options, limit + 1)
    const entries = found.slice(0, limit)
    const last = entries.at(-1)
    return found.length > limit && last !== undefined ? { entries, cursor: last.id } : { entries }
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  async #backwards({ before, about }: TrailOptions, limit: number): Promise<TrailEntry[]> {
    const trail = this.#key('audit')
    const end = before === undefined ? '+' : `(${before}`
    const found =
      about === undefined
        ? await this.#run((client) => client.xrevrange(trail, end, '-', 'COUNT', limit))
        : await this.#evaluate(ABOUT_SCRIPT, [trail, this.#key('about')], [about, before ?? '', limit])
    return (found as [string, string[]][]).map(([id, [, text]]) => ({ id, text: text ?? unreadable() }))
  }

  async #writeLasting(key: string, id: string, text: string, options: WriteOptions): Promise<boolean> {
    const { isNew = false, replaces } = options
    const condition = isNew ? 'new' : replaces === undefined ? '' : 'replaces'
    const parameters = [id, text, RECORDS_MAX, condition, replaces ?? '']
    const answer = await this.#evaluate(WRITE_SCRIPT, [key], parameters)
    if (answer === -1) throw recordsFull()
    return answer === 1
  }

  /** By its digest, which spares the server the reading of it; a server that was started since gets it whole. */
  #evaluate(
    script: Script,
    keys: readonly string[],
    parameters: readonly (string | number)[],
  ): Promise<unknown> {
    return this.#run(async (client) => {
      try {
        return await client.evalsha(script.digest, keys.length, ...keys, ...parameters)
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
        return client.eval(script.text, keys.length, ...keys, ...parameters)
      }
    })
  }

  /** One socket for all, so that what was written before is read. */
  #run<T>(commands: (client: Client) => Promise<T>): Promise<T> {
    return this.#connection.run('writes', this.#connection.writeTimeoutMs, commands)
  }

  #key(name: LastingKind | 'audit' | 'about' | 'once'): string {
    return this.#prefix + name
  }

  #onceKey(id: string): string {
    return `${this.#key('once')}:${id}`
  }
}

function scriptOf(text: string): Script {
  return { text, digest: hash('sha1', text) }
}

function unreadable(): never {
  throw new RescindError('ERR_STORE_CORRUPT', 'Redis holds an audit trail that this version cannot read')
}
