/** A `RemoteStore` alone: what it is given, and what becomes of services that answer nonsense, too much, or nothing. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RECORD_BYTES } from '../../src/core/record.js'
import { parseTarget, type Shape } from '../../src/core/target.js'
import { RescindError } from '../../src/errors.js'
import { openStore } from '../../src/open-store.js'
import { Replica } from '../../src/replica/replica.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { FRAME_TYPE, readPage, tagOf, writePage } from '../../src/stores/remote-frame.js'
import { RemoteStore } from '../../src/stores/remote.js'
import type { LogPage } from '../../src/stores/store.js'
import { until } from '../support/until.js'

const KEY = 'rsk_canary_key_that_nobody_may_see'

describe('the options of a RemoteStore', () => {
  it('are taken from the environment, with one error for all that is wrong, and no value in it', () => {
    const store = openStore({ RESCIND_URL: 'http://127.0.0.1:8484', RESCIND_KEY: KEY })
    expect(store.kind).toBe('remote')
    expect(() => RemoteStore.fromEnv({})).toThrow(/RESCIND_URL is missing[^]*RESCIND_KEY is missing/)
    const url = 'http://user:geheim@example.com/?x#y'
    const wrong = () => RemoteStore.fromEnv({ RESCIND_URL: url, RESCIND_KEY: `${KEY} ` })
    expect(wrong).toThrow(/RESCIND_URL must be https[^]*takes no user[^]*RESCIND_KEY must be/)
    expect(wrong).not.toThrow(new RegExp(`geheim|${KEY}`))
    const slow = { RESCIND_CHECK_TIMEOUT_MS: '1', RESCIND_WRITE_TIMEOUT_MS: 'x' }
    expect(() => RemoteStore.fromEnv({ RESCIND_URL: 'https://a', RESCIND_KEY: KEY, ...slow })).toThrow(
      /RESCIND_CHECK_TIMEOUT_MS must be[^]*RESCIND_WRITE_TIMEOUT_MS must be/,
    )
  })

  it('are an address with https, but on loopback or where http is allowed', () => {
    const open = (url: string, allowHttp?: boolean) => new RemoteStore({ url, key: KEY, allowHttp })
    for (const url of ['https://example.com', 'http://localhost:1', 'http://[::1]:1/below']) open(url)
    open('http://service.internal', true)
    for (const url of ['http://example.com', 'http://127.0.0.1.example.com', 'ftp://localhost', 'nonsense'])
      expect(() => open(url, url.startsWith('ftp'))).toThrow('url must be')
  })
})

type Handler = (request: IncomingMessage, response: ServerResponse) => void

describe('a RemoteStore of a service that', () => {
  let handler: Handler
  const server = createServer((request, response) => handler(request, response))
  let store: RemoteStore
  /** For what never comes; the other one waits for what is on its way. */
  let impatient: RemoteStore
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/below`
    store = new RemoteStore({ url, key: KEY, timeoutMs: 10_000, writeTimeoutMs: 10_000 })
    impatient = new RemoteStore({ url, key: KEY, timeoutMs: 200, writeTimeoutMs: 300 })
  })
  afterAll(async () => {
    await impatient.close()
    await store.close()
    server.closeAllConnections()
    server.close()
  })

  const answers = (status: number, body: string | Buffer, type = 'application/json'): Handler => {
    return (_, response) => response.writeHead(status, { 'content-type': type }).end(body)
  }
  const target = parseTarget({ sub: 'a' })
  const calls: Record<string, (from: RemoteStore) => Promise<unknown>> = {
    find: (from) => from.find(() => [target.digest]),
    readLog: (from) => from.readLog(undefined, 1024),
    put: (from) => from.put(target, { at: 1, end: 2, issuedBefore: 3 }, { now: 1 }),
    restore: (from) => from.restore(target, { now: 1 }),
    advance: (from) =>
      from.advance(target.digest, { generation: 0, token: target.digest, usedAt: 1 }, { now: 1, end: 2 }),
    list: (from) => from.list({ now: 1, limit: 10 }),
    changes: (from) => from.changes('x', 10),
    position: (from) => from.position(),
    nodes: (from) => from.nodes(),
  }
  const fails = async (code: string, from = store) => {
    for (const [name, call] of Object.entries(calls)) {
      const failure = await call(from).then(
        () => undefined,
        (error: unknown) => error,
      )
      expect(failure, name).toMatchObject({ code })
      const { cause, message } = failure as RescindError
      expect(`${message} ${String(cause)}`).not.toContain(KEY)
    }
  }

  it('answers with a status fails as that status says', async () => {
    const told = (code: string) => JSON.stringify({ code, detail: 'x'.repeat(10_000) })
    for (const [status, body, code] of [
      [401, told('key_invalid'), 'ERR_STORE_REFUSED'],
      [403, told('role_insufficient'), 'ERR_STORE_REFUSED'],
      [429, told('rate_limited'), 'ERR_STORE_OVERLOADED'],
      [503, told('store_timeout'), 'ERR_STORE_TIMEOUT'],
      [503, told('closed'), 'ERR_STORE_UNAVAILABLE'],
      [410, told('log_changed'), 'ERR_LOG_CHANGED'],
      [500, told('internal'), 'ERR_STORE_UNAVAILABLE'],
      [404, '<html>', 'ERR_STORE_UNAVAILABLE'],
      [200, '', 'ERR_STORE_CORRUPT'],
    ] as const) {
      handler = answers(status, body, body === '<html>' ? 'text/html' : 'application/problem+json')
      await fails(code)
    }
  })

  /** Of which shapes the service knows, for each question. */
  const knows = (shapesFor: (question: number) => Shape[], pauseMs = 0): Handler => {
    let question = 0
    return (_, response) => {
      const shapes = shapesFor(question++)
      const body = JSON.stringify({ held: [], tag: tagOf(shapes), shapes })
      setTimeout(() => answers(200, body)(_, response), pauseMs)
    }
  }
  const fresh = () => {
    const { port } = server.address() as AddressInfo
    return new RemoteStore({ url: `http://127.0.0.1:${port}`, key: KEY, timeoutMs: 300 })
  }

  it('is two, and each knows of other shapes, is asked under the shapes of both, and not for ever', async () => {
    handler = knows((question) => [[question % 2 === 0 ? 'sub' : 'sid']])
    const probed: string[] = []
    const found = await fresh().find((shapes) => {
      probed.push(shapes.map(([name]) => name).join())
      return []
    })
    expect(found).toEqual([])
    expect(probed).toEqual(['', 'sub', 'sub,sid'])
  })

  it('tells of a new shape with every answer is given up at the deadline of one check', async () => {
    handler = knows((question) => [[`claim-${question}`]], 100)
    const startedAt = performance.now()
    await expect(fresh().find(() => [])).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
    expect(performance.now() - startedAt).toBeLessThan(900)
  })

  it('answers nonsense is not believed', async () => {
    for (const body of [
      'null',
      '[]',
      '{}',
      '{"held":[]}',
      '{"revocations":{}}',
      '"',
      'RSF1',
      '{"nodes":[{}]}',
      '{"isMoved":true,"mark":{"generation":-1}}',
    ]) {
      handler = answers(200, body)
      await fails('ERR_STORE_CORRUPT')
    }
    // Under another digest than was asked for.
    const held = [{ digest: 'A'.repeat(22), target: {}, state: { restoredAt: 0, entries: [] } }]
    handler = answers(200, JSON.stringify({ held, tag: 'A'.repeat(22), shapes: [] }))
    await expect(calls.find?.(store)).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
  })

  it('answers without an end, or too slowly, fails in time', async () => {
    handler = (_, response) => {
      const chunk = Buffer.alloc(1024 * 1024, ' ')
      const more = () => {
        while (!response.destroyed && response.write(chunk));
      }
      response.on('drain', more)
      more()
    }
    for (const call of Object.values(calls)) {
      const failure = await call(impatient).catch((error: unknown) => error)
      expect(['ERR_STORE_CORRUPT', 'ERR_STORE_TIMEOUT']).toContain((failure as RescindError).code)
    }
    handler = (_, response) => void response.writeHead(200).write('{')
    await fails('ERR_STORE_TIMEOUT', impatient)
    handler = () => undefined
    const startedAt = performance.now()
    await expect(calls.find?.(impatient)).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
    expect(performance.now() - startedAt).toBeLessThan(2000)
  })

  it('sends it elsewhere gets no key sent there', async () => {
    const asked: string[] = []
    handler = (request, response) => {
      asked.push(request.url ?? '')
      response.writeHead(307, { location: '/elsewhere' }).end()
    }
    await fails('ERR_STORE_UNAVAILABLE')
    expect(asked.length).toBe(Object.keys(calls).length)
    expect(asked.every((path) => path.startsWith('/below/store/v1/'))).toBe(true)
  })

  const page: LogPage = {
    records: Buffer.alloc(0),
    position: 'p',
    isEnd: true,
    hasGap: false,
    shapes: [],
    ageMs: 7,
  }

  it('answers an older question, from a cache on the way, is not believed', async () => {
    let kept: Buffer | undefined
    handler = (request, response) => {
      const nonce = new URL(request.url ?? '', 'http://x').searchParams.get('nonce') ?? ''
      kept ??= writePage({ nonce, page }, '')
      response.writeHead(200, { 'content-type': FRAME_TYPE }).end(kept)
    }
    expect(await store.readLog(undefined, 1024)).toMatchObject({ position: 'p', ageMs: 7 })
    await expect(store.readLog(undefined, 1024)).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
  })

  it('sends a stretch of the log that is cut, or longer than it says, is not believed', () => {
    const records = Buffer.alloc(3 * RECORD_BYTES, 1)
    const frame = writePage({ nonce: 'n', page: { ...page, records } }, '')
    expect(readPage(frame).records).toEqual(records)
    expect(readPage(frame).head).toMatchObject({ nonce: 'n', position: 'p', ageMs: 7, shapes: [] })
    for (let length = 0; length < frame.length; length++) {
      const cut = frame.subarray(0, length)
      if ((frame.length - length) % RECORD_BYTES === 0 && length >= frame.length - records.length) continue
      expect(() => readPage(cut), `${length}`).toThrow(RescindError)
    }
  })
})

describe('a replica that is fed from a memory between', () => {
  /** Answers from a memory as old as it says, but for who wants it new. */
  class AgedStore extends MemoryStore {
    ageMs = 0
    readonly asked: number[] = []
    override async readLog(
      after: string | undefined,
      bytesMax: number,
      { maxAgeMs = 0 }: { maxAgeMs?: number | undefined } = {},
    ): Promise<LogPage> {
      this.asked.push(maxAgeMs)
      return { ...(await super.readLog(after, bytesMax)), ageMs: Math.min(this.ageMs, maxAgeMs) }
    }
  }

  it('is as stale as what it was told, and wants the truth of now when somebody waits for it', async () => {
    const store = new AgedStore()
    const replica = new Replica(store, { stalenessMaxMs: 1000 })
    await replica.catchUp()
    expect(store.asked.at(-1)).toBe(0)
    store.ageMs = 250
    await until(() => replica.stalenessMs > 300, { what: 'an answer from memory' })
    await until(() => store.asked.length > 3, { what: 'some polls' })
    // A poll was answered a moment ago, and what it said is older than that.
    expect(store.asked.at(-1)).toBe(250)
    expect(replica.stalenessMs).toBeGreaterThanOrEqual(250)
    await replica.catchUp()
    expect(store.asked.at(-1)).toBe(0)
    expect(replica.stalenessMs).toBeLessThan(250)
    await replica.close()
  })

  it('never calls the answer of a stale memory fresh', async () => {
    class StuckStore extends AgedStore {
      since: number | undefined
      override async readLog(...args: Parameters<AgedStore['readLog']>): Promise<LogPage> {
        const page = await super.readLog(...args)
        return { ...page, ageMs: this.since === undefined ? 0 : performance.now() - this.since }
      }
    }
    const store = new StuckStore()
    const replica = new Replica(store, { stalenessMaxMs: 200 })
    await replica.catchUp()
    store.since = performance.now()
    await until(() => replica.stalenessMs > 200, { what: 'staleness' })
    const polls = store.asked.length
    await until(() => store.asked.length > polls + 5, { what: 'more polls' })
    expect(replica.stalenessMs).toBeGreaterThan(200)
    await replica.close()
  })
})
