import { createConnection } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { until } from '../../../rescind/test/support/until.js'
import type { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { type Ask, startWorld, type World } from '../support/service.js'
import { startOnLmdb, startOnRedis, startRedis } from './redis-world.js'

interface Result {
  readonly line?: number
  readonly lines?: number
  readonly status: string
  readonly code?: string
  readonly detail?: string
  readonly counts?: Record<string, number>
}

const PATH = '/api/v1/revocations/bulk'
const HEADERS = { 'content-type': 'application/x-ndjson' }
const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function memoryWorld(config: Record<string, unknown> = {}): Promise<World> {
  const world = await startWorld({ config })
  stops.push(() => world[Symbol.asyncDispose]())
  // A key is known from its first use on: what follows is not kept waiting by its hash.
  await world.ask('/api/v1/nodes', { key: world.keys.revoker })
  return world
}

const linesOf = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => `{"target":{"sub":"u${from + i}"},"reason":"bulk"}`)

async function send(world: World, body: string, query = '', ask: Ask = {}): Promise<Result[]> {
  const answer = await world.ask(PATH + query, { key: world.keys.revoker, body, headers: HEADERS, ...ask })
  expect(answer.status).toBe(200)
  return parse(await answer.text())
}

const parse = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Result)

/** A request that is written and read by hand. */
function openRequest(world: World, query = '') {
  const { hostname, port } = new URL(world.url)
  const socket = createConnection(Number(port), hostname)
  stops.push(async () => void socket.destroy())
  socket.on('error', () => undefined)
  socket.write(
    `POST ${PATH}${query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${world.keys.revoker}\r\n` +
      `Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n`,
  )
  const state = { text: '' }
  socket.on('data', (chunk) => (state.text += chunk.toString()))
  return {
    socket,
    /** What was answered so far. */
    state,
    write: (text: string) => socket.write(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`),
    end: () => socket.write('0\r\n\r\n'),
  }
}

describe('a bulk', () => {
  it('answers each line by its number, in order, and goes on after one that is wrong', async () => {
    const world = await memoryWorld()
    const token = await world.issuer.sign({ sub: 'zoe' })
    const results = await send(
      world,
      [
        ...['{"target":{"sub":"alice"}}', '', 'no json', '{"target":{"sub":"a","__proto__":"b"}}'],
        ...[`{"token":"${token}"}`, '{"token":"x"}', '{"everything":true,"confirm":"everything"}'],
        ...['{"target":{"sub":"b"},"expiresAt":1}', `{"target":{"sub":"${'x'.repeat(70_000)}"}}`],
        '{"target":{"sub":"last"}}',
      ].join('\r\n'),
    )
    expect(results.map(({ line, status, code }) => [line, status, code].join(' ').trim())).toEqual([
      ...['1 revoked', '3 refused line_invalid', '4 refused line_invalid', '5 revoked'],
      ...['6 refused token_malformed', '7 refused line_invalid', '8 ended', '9 refused line_too_long'],
      ...['10 revoked', 'done'],
    ])
    expect(results.at(-1)).toEqual({
      ...{ status: 'done', lines: 10, counts: { revoked: 3, unchanged: 0, ended: 1, refused: 5 } },
    })
  })

  it('may be sent again, and from where it was broken off', async () => {
    let clock = Date.now()
    const world = await startWorld({ now: () => clock })
    stops.push(() => world[Symbol.asyncDispose]())
    const body = linesOf(100)
      .map((line) => line.replace('}', '},"expiresAt":"2099-01-01T00:00:00Z"'))
      .join('\n')
    expect((await send(world, body)).at(-1)?.counts).toMatchObject({ revoked: 100 })
    const rest = await send(world, body, '?from=91')
    expect(rest.map(({ line }) => line).slice(0, -1)).toEqual([91, 92, 93, 94, 95, 96, 97, 98, 99, 100])
    clock += 5000
    const again = body.replaceAll('"reason"', '"issuedBefore":1,"reason"')
    expect((await send(world, again)).at(-1)?.counts).toMatchObject({ unchanged: 100 })
    expect(await send(world, body, '?from=1000')).toMatchObject([{ status: 'done', lines: 100 }])
  })

  it('takes so many lines at once, and says where to go on', async () => {
    const world = await memoryWorld({ limits: { bulkLinesMax: 10 } })
    const first = await send(world, linesOf(25).join('\n'))
    expect(first.at(-1)).toMatchObject({ line: 11, status: 'stopped', code: 'lines_exceeded' })
    expect((await send(world, linesOf(25).join('\n'), '?from=11')).at(-1)).toMatchObject({ line: 21 })
    expect((await send(world, linesOf(25).join('\n'), '?from=21')).at(-1)).toMatchObject({
      ...{ status: 'done', lines: 25, counts: { revoked: 5 } },
    })
  })

  it('answers a line before the next one is sent, and outlives the deadline of requests', async () => {
    const world = await memoryWorld({ limits: { requestTimeoutMs: 1000 } })
    const request = openRequest(world)
    const began = performance.now()
    for (let line = 1; performance.now() - began < 2500; line++) {
      request.write(`{"target":{"sub":"u${line}"}}\n`)
      await until(() => request.state.text.includes(`{"line":${line},`), { what: `line ${line}` })
    }
    request.end()
    await until(() => request.state.text.includes('"done"'), { what: 'the end' })
    expect(request.state.text).not.toContain('408')
  })

  it('ends when nothing comes any more', async () => {
    const world = await memoryWorld({ limits: { requestTimeoutMs: 1000 } })
    const request = openRequest(world)
    request.write('{"target":{"sub":"a"}}\n')
    await until(() => request.state.text.includes('"line":1'), { what: 'the first line' })
    await until(() => request.socket.readyState === 'closed', { what: 'the connection to end' })
    expect(request.state.text).not.toContain('"done"')
  })

  it('reads no further than what it has answered can be kept', async () => {
    const world = await memoryWorld({ limits: { bulkLinesMax: 10_000_000 } })
    const request = openRequest(world)
    request.socket.removeAllListeners('data')
    request.socket.pause()
    // Long lines that are refused: what waits on the way to the service is few of them.
    const block = `{"x":"${'x'.repeat(1000)}"}\n`.repeat(100)
    let written = 0
    let isStalled = false
    while (!isStalled) {
      const isTaken = request.write(block)
      written += 100
      if (isTaken) continue
      const drained = new Promise<boolean>((resolve) => request.socket.once('drain', () => resolve(true)))
      const stalled = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 2000))
      isStalled = !(await Promise.race([drained, stalled]))
      expect(written).toBeLessThan(500_000)
    }
    // As soon as somebody reads, it goes on to the end.
    let text = ''
    request.socket.on('data', (chunk) => (text = (text + chunk.toString()).slice(-4096)))
    request.socket.resume()
    request.end()
    await until(() => text.includes('"done"'), { what: 'the end', timeoutMs: 60_000 })
    expect(text).toContain(`"lines":${written}`)
  }, 120_000)

  it('ends with the client, and others go on', async () => {
    const world = await memoryWorld()
    // More than may be done at once: places are given back.
    for (let i = 0; i < 20; i++) {
      const request = openRequest(world)
      request.write(`{"target":{"sub":"u${i}"}}\n`)
      await until(() => request.state.text.includes('"line":1'), { what: 'the first line' })
      request.socket.destroy()
    }
    await until(
      async () => {
        const answer = await world.ask(PATH, { key: world.keys.revoker, body: '{}', headers: HEADERS })
        return answer.status === 200 && (await answer.text()).includes('done')
      },
      { what: 'a place' },
    )
    expect(world.log).not.toContain('request failed')
  })

  it('has a bound on how many are done at once', async () => {
    const world = await memoryWorld()
    const open = Array.from({ length: 8 }, () => openRequest(world))
    for (const request of open) {
      request.write('{"target":{"sub":"a"}}\n')
      await until(() => request.state.text.includes('"line":1'), { what: 'the first line' })
    }
    const answer = await world.ask(PATH, { key: world.keys.revoker, body: '{}', headers: HEADERS })
    expect([answer.status, await answer.json()]).toMatchObject([503, { code: 'bulk_busy' }])
  })

  it('stops where the service itself fails, which writes down why, and goes on with everything else', async () => {
    const world = await memoryWorld()
    const { manager } = world.service.parts
    const revoke = manager.revoke.bind(manager)
    vi.spyOn(manager, 'revoke').mockImplementation((target, options) =>
      (target as { sub?: string }).sub === 'u2'
        ? Promise.reject(new TypeError('a mistake'))
        : revoke(target, options),
    )
    const results = await send(world, linesOf(5).join('\n'))
    expect(results.map(({ line, status, code }) => [line, status, code])).toEqual([
      [1, 'revoked', undefined],
      [2, 'revoked', undefined],
      [3, 'stopped', 'internal'],
    ])
    expect(world.log).toContain('a mistake')
    expect((await world.ask('/healthz')).status).toBe(200)
  })

  it('is cut off, and not ended, where it fails as a whole', async () => {
    const world = await memoryWorld()
    vi.spyOn(AbortSignal, 'any').mockImplementationOnce(() => {
      const signal = new AbortController().signal
      vi.spyOn(signal, 'removeEventListener').mockImplementation(() => {
        throw new TypeError('a mistake')
      })
      return signal
    })
    const answer = await world.ask(PATH, {
      key: world.keys.revoker,
      body: linesOf(1).join(),
      headers: HEADERS,
    })
    await expect(answer.text()).rejects.toThrow()
    expect(world.log).toContain('a mistake')
  })

  it('answers a line with a thousand mistakes by the first of them', async () => {
    const world = await memoryWorld()
    const wrong = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`c${i}`, {}]))
    const [refused] = await send(world, JSON.stringify({ target: wrong }))
    expect(refused).toMatchObject({ line: 1, status: 'refused', code: 'line_invalid' })
    expect(refused?.detail).toMatch(/c0/)
    expect(refused?.detail?.length).toBeLessThan(8192)
  })

  it('is told when it gives a parameter twice', async () => {
    const world = await memoryWorld()
    const path = `${PATH}?from=1&from=2`
    const answer = await world.ask(path, { key: world.keys.revoker, body: '{}', headers: HEADERS })
    expect(answer.status).toBe(400)
  })

  it('stops where the store fails, and is resumed from there', async () => {
    const server = await startRedis()
    stops.push(() => server.stop())
    const world = await startOnRedis(server)
    stops.push(() => world[Symbol.asyncDispose]())
    const request = openRequest(world)
    request.write(`${linesOf(50).join('\n')}\n`)
    await until(() => request.state.text.includes('"line":50'), { what: 'fifty lines' })
    await server.kill()
    request.write(`${linesOf(50, 50).join('\n')}\n`)
    await until(() => request.state.text.includes('"stopped"'), { what: 'the stop' })
    const last = /\{"line":(\d+),"status":"stopped","code":"(\w+)"/.exec(request.state.text)
    expect([last?.[1], last?.[2]]).toEqual(['51', expect.stringMatching(/^store_(unavailable|timeout)$/)])
  })
})

describe.each([
  ['LMDB', () => startOnLmdb({ config: { limits: { auditEntriesMax: 1000 } } })],
  [
    'Redis',
    async () => {
      const server: RedisServer = await startRedis()
      stops.push(() => server.stop())
      // A busy machine may keep one of so many writes waiting; that a time-out stops a bulk is tried above.
      return startOnRedis(server, { env: { RESCIND_WRITE_TIMEOUT_MS: '10000' } })
    },
  ],
])('on %s', (_, start) => {
  it('20,000 lines are revoked, and listed', { timeout: 240_000 }, async () => {
    const world = await start()
    stops.push(() => world[Symbol.asyncDispose]())
    const began = performance.now()
    const results = await send(world, linesOf(20_000).join('\n'))
    const seconds = (performance.now() - began) / 1000
    console.log(`20,000 lines in ${seconds.toFixed(1)} s`)
    expect(results.at(-1)).toMatchObject({ status: 'done', counts: { revoked: 20_000 } })
    expect(results.slice(0, -1).every(({ line }, i) => line === i + 1)).toBe(true)
    const check = { json: { claims: { sub: 'u19999', iat: 1 } }, key: world.keys.viewer }
    expect(await (await world.ask('/api/v1/checks', check)).json()).toMatchObject({ status: 'revoked' })
    expect(world.service.parts.manager.replica?.size).toBe(20_000)
  })
})
