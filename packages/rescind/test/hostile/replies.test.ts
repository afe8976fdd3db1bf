/**
 * Answers that no Redis should give: every call settles within its deadline, with an error of ours or an answer, and
 * a damaged answer to a check is never taken for "nothing there".
 *
 * Two answers cannot be told from the truth: a list of as many members as were asked for in which the record is nil
 * (the client reads `$-…` and `_` of any kind as nil), and the whole answer to another question.
 */
import { createRequire } from 'node:module'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { EVERYTHING, parseTarget } from '../../src/core/target.js'
import { RescindError } from '../../src/errors.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'
import { type Damage, DamagingProxy } from './damaging-proxy.js'
import { BYTE_CHANGE, changedBytes } from './texts.js'
import { Hostile } from './inputs.js'

/** The client's own reader of answers, which it does not export. */
const { Decoder } = createRequire(import.meta.url)('ioredis/built/resp/decoder.js') as {
  Decoder: new (config: object) => { write(bytes: Buffer): void }
}
const hostile = new Hostile('replies')
const DEADLINE_MS = 40
/** What may pass beyond the deadline on a busy machine, in milliseconds. */
const LATE_MAX_MS = 500
const MADE_AT = Math.floor(Date.now() / 1000)

let server: RedisServer
let proxy: DamagingProxy
/** What would have ended the process. */
const crashes: Error[] = []
/** Stores that are on their way out. */
const closing: Promise<void>[] = []
let listeners: NodeJS.UncaughtExceptionListener[]

beforeAll(async () => {
  server = await RedisServer.start()
  proxy = await DamagingProxy.start(server.port)
  const manager = new TokenManager({ store: open(server.url), replica: false })
  await manager.revoke({ sub: 'alice' }, { reason: 'test', issuedBefore: null, expiresAt: MADE_AT + 86_400 })
  await manager.close()
  listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => crashes.push(error))
})
afterAll(async () => {
  await Promise.all(closing)
  process.removeAllListeners('uncaughtException')
  for (const listener of listeners) process.on('uncaughtException', listener)
  await proxy.stop()
  await server.stop()
})

function open(url: string): RedisStore {
  return new RedisStore(
    new RedisConnection({ url, checkTimeoutMs: DEADLINE_MS, writeTimeoutMs: DEADLINE_MS }),
    { doorbell: false },
  )
}

const alice = parseTarget({ sub: 'alice' })
const entry = { at: MADE_AT, end: MADE_AT + 86_400, issuedBefore: MADE_AT }
type Call = (store: RedisStore) => Promise<unknown>
const CHECK = 'of a check'
const CALLS: Readonly<Record<string, Call>> = {
  [CHECK]: (store) => store.find(() => [alice.digest]),
  'of a revocation': (store) => store.put(alice, entry, { now: MADE_AT }),
  'of a restore': (store) => store.restore(parseTarget({ sub: 'nobody' }), { now: MADE_AT }),
  'of everything': (store) =>
    store
      .put(EVERYTHING, { ...entry, end: MADE_AT + 1 }, { now: MADE_AT })
      .then(() => store.restore(EVERYTHING, { now: MADE_AT })),
  'of a step of a family': (store) =>
    store.advance(
      alice.digest,
      { generation: 0, token: alice.digest, usedAt: MADE_AT },
      { now: MADE_AT, end: MADE_AT },
    ),
  'of a list': (store) => store.list({ now: MADE_AT, limit: 10 }),
  'of the log': (store) => store.readLog(undefined, 65_536),
  'of changes': async (store) => store.changes(await store.position(), 10),
  'of the position': (store) => store.position(),
  'of nodes': (store) => store.nodes(),
  'of an announcement': (store) =>
    store.announce({ id: 'x', name: 'x', position: '', stalenessMs: 0, entries: 0 }),
  'of a retirement': (store) => store.retire('x'),
  'of the doorbell': (store) => store.ringForReceipts(),
  'of a ping': (store) => store.ping(),
}

const OTHERS = Object.keys(CALLS).filter((name) => name !== CHECK)

/** What they throw is not always an error of ours: see below. */
const RESTORES = ['of a restore', 'of everything']

type Settled = { readonly value: unknown } | { readonly error: unknown }

/** Connects each call by itself, then asks, with every answer damaged. */
async function ask(damage: Damage, names: readonly string[]): Promise<Settled[]> {
  const stores = names.map(() => open(proxy.url))
  try {
    // Each socket stands, the scripts are loaded and the shapes known.
    await Promise.all(stores.map(prime))
    proxy.sent.length = 0
    proxy.damage = damage
    const askAll = () =>
      Promise.all(names.map((name, i) => settled((CALLS[name] as Call)(stores[i] as RedisStore))))
    // Of several at once the time of none is known.
    const outcomes = await (names.length === 1 ? hostile.later(askAll) : askAll())
    for (const [i, outcome] of outcomes.entries())
      if ('error' in outcome && !RESTORES.includes(names[i] as string))
        expect(outcome.error).toBeInstanceOf(RescindError)
    return outcomes
  } finally {
    proxy.damage = undefined
    // One that waits for the rest of an answer takes half a second to close.
    closing.push(...stores.map((store) => store.close()))
  }
}

async function prime(store: RedisStore): Promise<void> {
  await until(
    () => Promise.all([store.find(() => [alice.digest]), store.position(), store.ringForReceipts()]),
    { what: 'the connection' },
  )
}

async function settled(call: Promise<unknown>): Promise<Settled> {
  const started = performance.now()
  const outcome = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  )
  expect(performance.now() - started).toBeLessThan(3 * DEADLINE_MS + LATE_MAX_MS)
  return outcome
}

const NIL = '(?:\\$-[^]{3}|_[^]{2})'
const ELEMENT = `(?:${NIL}|\\$\\d+\\r\\n[0-9a-f]{16} 1\\n[^\\r]*\\r\\n)`
/** As many members as were asked for, the second of them nil: what cannot be told from the truth. */
const NOTHING_THERE = new RegExp(`^(?:[*~]0*2|%0*1)[^]{2}${ELEMENT}${NIL}`)

/** A check that found nothing was told so. */
function mustNotBeClear(outcome: Settled | undefined): void {
  if (outcome === undefined || 'error' in outcome || (outcome.value as unknown[]).length > 0) return
  const said = Buffer.concat(proxy.sent).toString('latin1')
  if (NOTHING_THERE.test(said)) return
  throw new Error(`"nothing there" was read from ${JSON.stringify(said.slice(0, 200))}`)
}

/** Bytes in place of every answer, each with why it is nasty. */
const ANSWERS: Readonly<Record<string, string>> = {
  'an integer': ':1\r\n',
  'an integer past 2^53': ':9007199254740993\r\n',
  'an integer past 2^64': `:${'9'.repeat(400)}\r\n`,
  'a negative integer': ':-1\r\n',
  'an integer that is none': ':x\r\n',
  'a simple text': '+OK\r\n',
  'a text': '$5\r\nhello\r\n',
  'a text in place of a list of two': '$2\r\n$4\r\n',
  'a list of integers': '*2\r\n:0\r\n:0\r\n',
  'a list of texts': '*2\r\n$1\r\na\r\n$1\r\nb\r\n',
  'a list of lists': '*2\r\n*0\r\n*0\r\n',
  'a list of errors': '*2\r\n-ERR a\r\n-ERR b\r\n',
  'a nil list': '*-1\r\n',
  'a nil': '$-1\r\n',
  'a text of a negative length': '$-7\r\n',
  'a text of a gigabyte that does not come': '$1073741824\r\nabc',
  'a text of a length past 2^53': '$99999999999999999999\r\nabc',
  'a text of no length': '$x\r\nabc\r\n',
  'a text that is shorter than it says': '$10\r\nabc\r\n',
  'a text that is longer than it says': '$1\r\nabc\r\n',
  'a list of more than there may be': '*4294967296\r\n',
  'a list of many that do not come': '*100000\r\n:1\r\n',
  'deep nesting': '*1\r\n'.repeat(50_000),
  'a type that nobody knows': '?2\r\n',
  'an HTTP answer': 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n',
  'a TLS alert': '\u0015\u0003\u0001\u0000\u0002\u0002\u0046',
  NULs: '\u0000'.repeat(64),
  'a bare line end': '\r\n',
  'a map': '%1\r\n+a\r\n:1\r\n',
  'a map of a prototype': '%1\r\n+__proto__\r\n%1\r\n+epoch\r\n+0\r\n',
  'a double': ',1.5\r\n',
  'a double that is no number': ',nan\r\n',
  'a truth': '#t\r\n',
  'a big number': '(12345678901234567890\r\n',
  'a set': '~2\r\n:1\r\n:2\r\n',
  'a verbatim text': '=7\r\ntxt:abc\r\n',
  'an error in a text': '!9\r\nERR wrong\r\n',
  'a push': '>2\r\n+invalidate\r\n*0\r\n',
  'an error of login': '-NOAUTH Authentication required.\r\n',
  'an error of rights': "-NOPERM this user has no permissions to run the 'mget' command\r\n",
  'an error of type': '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n',
  'an error of a script': '-ERR Error running script: @user_script:1: -OOM command not allowed\r\n',
  'a script that is not there': '-NOSCRIPT No matching script. Please use EVAL.\r\n',
  'a place elsewhere': '-MOVED 1 127.0.0.1:1\r\n',
  'an error without a word': '-\r\n',
  'an error of a megabyte': `-ERR ${'x'.repeat(1024 * 1024)}\r\n`,
  'the words of our own scripts': '-RESCIND_FORMAT_UNKNOWN\r\n',
  'two answers in place of one': '+OK\r\n+OK\r\n',
}

describe('an answer', () => {
  it('sanity: an undamaged one says what is there', async () => {
    const outcomes = await ask((bytes) => ({ bytes }), Object.keys(CALLS))
    expect(outcomes[0]).toMatchObject({ value: [{ digest: alice.digest }] })
    expect(outcomes.filter((outcome) => 'error' in outcome)).toEqual([])
  })

  it.each(Object.entries(ANSWERS))(
    'that is %s: every call fails by name or answers, in time, and no check is clear',
    async (_, text) => {
      const bytes = Buffer.from(text, 'latin1')
      const [check] = await ask(() => ({ bytes }), [CHECK])
      mustNotBeClear(check)
      await ask(() => ({ bytes }), OTHERS)
    },
  )

  it.each<[string, Damage]>([
    ['that does not come', () => undefined],
    ['that ends at once', () => ({ bytes: Buffer.alloc(0), isLast: true })],
    ['that ends in the middle', (bytes) => ({ bytes: bytes.subarray(0, bytes.length >> 1), isLast: true })],
    ['that stops in the middle', (bytes) => ({ bytes: bytes.subarray(0, bytes.length >> 1) })],
  ])('%s: the same', async (_, damage) => {
    const [check] = await ask(damage, [CHECK])
    expect(check).toHaveProperty('error')
    await ask(damage, OTHERS)
  })

  it('with flipped, lost and doubled bytes: the same', { timeout: hostile.timeoutMs }, async () => {
    const seen = { error: 0, value: 0 }
    const changes = fc.array(BYTE_CHANGE, { minLength: 1, maxLength: 3 })
    const call = fc.oneof(
      { weight: 3, arbitrary: fc.constant(CHECK) },
      fc.constantFrom(...Object.keys(CALLS)),
    )
    await fc.assert(
      fc.asyncProperty(call, changes, async (name, list) => {
        const damage = (bytes: Buffer) => {
          const damaged = changedBytes(bytes, list)
          return isEndless(damaged) ? undefined : { bytes: damaged }
        }
        const [outcome] = await ask(damage, [name])
        seen['error' in (outcome as Settled) ? 'error' : 'value'] += 1
        if (name === CHECK && !isTooShort()) mustNotBeClear(outcome)
      }),
      hostile.runs(0.6),
    )
    expect(seen.error).toBeGreaterThan(0)
    expect(seen.value).toBeGreaterThan(0)
  })
})

/** An answer with fewer members than were asked for, or a text that the client reads as an empty one: see below. */
function isTooShort(): boolean {
  return /^(?:[*~%]0*[01]?\r|[$+,(]0*\r|=)/.test(Buffer.concat(proxy.sent).toString('latin1'))
}

/** Does the client of Redis read these bytes for ever? */
function isEndless(bytes: Buffer): boolean {
  let answers = 0
  const count = () => {
    answers += 1
    if (answers > bytes.length) throw new Error('endless')
  }
  const decoder = new Decoder({
    getTypeMapping: () => ({}),
    onReply: count,
    onErrorReply: count,
    onPush: count,
  })
  try {
    decoder.write(bytes)
  } catch {
    // What cannot be read ends the connection.
  }
  return answers > bytes.length
}

/** What the client does not stand: a few bytes hold the process for seconds, or for ever. Red once it is mended. */
describe('an answer of a length that is none', () => {
  it('is still read for ever by the client', () => {
    expect(isEndless(Buffer.from('$*\r\nxx'))).toBe(true)
  })

  it('still makes room for what has not come', () => {
    const answer = Buffer.from('*30000000\r\n:1\r\n')
    expect(() => hostile.now(() => isEndless(answer))).toThrow('held the event loop')
  })
})

it('a restore that is answered by no list fails by name', async () => {
  const [outcome] = await ask(() => ({ bytes: Buffer.from(':1\r\n') }), ['of a restore'])
  expect(outcome).toMatchObject({ error: { name: 'RescindError' } })
})

describe('an answer with fewer members than were asked for', () => {
  it.each(['*0\r\n', '*1\r\n$-1\r\n', '$0\r\n\r\n', '+\r\n', '~0\r\n', '%0\r\n'])(
    '%j is not taken for "nothing there"',
    async (text) => {
      const [check] = await ask(() => ({ bytes: Buffer.from(text) }), [CHECK])
      mustNotBeClear(check)
    },
  )
})

describe('what answers nothing', () => {
  const PUSHED = [
    '+OK\r\n',
    ':1\r\n',
    '*2\r\n$7\r\nmessage\r\n$1\r\nx\r\n',
    '>3\r\n+message\r\n+x\r\n+y\r\n',
    '>0\r\n',
    '-ERR no\r\n',
    '\u0000\u0001\u0002',
    '*100\r\n',
  ]

  it.each(PUSHED)('%j between two checks: the next is not clear', async (text) => {
    const store = open(proxy.url)
    try {
      await prime(store)
      proxy.sent.length = 0
      proxy.push(Buffer.from(text))
      await store.ping().catch(() => undefined)
      mustNotBeClear(await settled(store.find(() => [alice.digest])))
    } finally {
      await store.close()
    }
  })

  /** What the client does not stand: it throws where nobody can catch it. Red once it is mended. */
  it.each(['$-1\r\n', '_\r\n', '>1\r\n_\r\n'])('%j still ends the process', async (text) => {
    const store = open(proxy.url)
    try {
      await prime(store)
      const before = crashes.length
      proxy.push(Buffer.from(text))
      await until(() => crashes.length > before, { what: 'a crash' })
    } finally {
      await store.close()
    }
  })

  it('and what crashed was the client of Redis, at an answer without a question', () => {
    for (const crash of crashes) expect(crash.stack).toMatch(/DataHandler/)
  })
})
