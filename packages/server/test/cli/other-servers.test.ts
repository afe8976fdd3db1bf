/** The command before a server that is no service of ours, or one in trouble. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { until } from '../../../rescind/test/support/until.js'
import { run, start } from './support/command.js'

const KEY = 'rsk_of-nobody'
const PAGE = '<html>canary-of-a-portal</html>'
const REVOCATION = { target: { sub: 'a' }, id: 'x', issuedBefore: null, expiresAt: 4e9, revokedAt: 1 }

class Stub implements AsyncDisposable {
  private constructor(
    private readonly server: Server,
    readonly env: Readonly<Record<string, string>>,
  ) {}

  static async start(listener: RequestListener): Promise<Stub> {
    const server = createServer(listener)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    return new Stub(server, { RESCIND_URL: `http://127.0.0.1:${port}`, RESCIND_KEY: KEY })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}

describe('before another server', () => {
  it.each([['list'], ['check', '--claim', 'sub=a'], ['import'], ['watch'], ['doctor'], ['stats']])(
    '%s says that no service answers, and repeats nothing of the answer',
    async (...args) => {
      await using stub = await Stub.start((_, answer) =>
        answer.setHeader('content-type', 'text/html').end(PAGE),
      )
      const { code, err } = await run([...args], { env: stub.env, input: '{"target":{"sub":"a"}}\n' })
      expect(err).toContain('no Rescind service')
      expect(err).not.toContain('canary')
      expect(code).toBe(2)
    },
  )

  it('that redirects, it goes nowhere else, and says so', async () => {
    let asked = 0
    await using other = await Stub.start((_, answer) => {
      asked++
      answer.end('{}')
    })
    await using stub = await Stub.start((request, answer) =>
      answer.writeHead(308, { location: `${other.env.RESCIND_URL}${request.url}?canary` }).end(),
    )
    const { code, err } = await run(['list'], { env: stub.env })
    expect(err).toContain('--url')
    expect(err).toContain('redirects')
    expect(err).not.toContain('canary')
    expect(code).toBe(2)
    expect(asked).toBe(0)
  })
})

describe('before a service in trouble', () => {
  const answerOnce = (status: number) =>
    JSON.stringify({ code: 'busy', detail: `answered ${status}`, status })

  it('an export goes on over a moment without an answer', async () => {
    let asked = 0
    await using stub = await Stub.start((request, answer) => {
      asked++
      if (asked === 2) return answer.writeHead(503).end(answerOnce(503))
      const isFirst = !request.url?.includes('cursor=')
      return answer.end(JSON.stringify({ revocations: [REVOCATION], ...(isFirst ? { cursor: 'next' } : {}) }))
    })
    const { code, out } = await run(['export'], { env: stub.env })
    expect(out.trim().split('\n')).toHaveLength(2)
    expect(code).toBe(0)
    expect(asked).toBe(3)
  })

  it('an export that fails on its way says where to go on', async () => {
    await using stub = await Stub.start((request, answer) =>
      request.url?.includes('cursor=')
        ? answer.writeHead(403).end(answerOnce(403))
        : answer.end(JSON.stringify({ revocations: [REVOCATION], cursor: 'next-page' })),
    )
    const { code, out, err } = await run(['export'], { env: stub.env })
    expect(out.trim().split('\n')).toHaveLength(1)
    expect(err).toContain('--cursor next-page')
    expect(code).toBe(1)
  })

  it('a watch says once that it hears nothing, goes on, and says that it is back', async () => {
    let [asked, isWell] = [0, false]
    await using stub = await Stub.start((_, answer) => {
      asked++
      if (!isWell) return answer.writeHead(asked === 1 ? 503 : 429).end(answerOnce(429))
      answer.setHeader('content-type', 'text/event-stream')
      return answer.write(`id: 1\nevent: revoked\ndata: ${JSON.stringify(REVOCATION)}\n\n`)
    })
    const watching = start(['watch'], { env: stub.env })
    await until(() => asked >= 3, { what: 'a third try' })
    isWell = true
    await until(() => watching.out.includes('sub=a'), { what: 'the change' })
    watching.child.kill('SIGINT')
    const { code, err } = await watching.ended
    expect(code).toBe(0)
    expect(err.match(/Nothing is heard/g)).toHaveLength(1)
    expect(err.match(/heard again/g)).toHaveLength(1)
  })
})

it('a watch on a Redis that is away says so, and goes on', async () => {
  const server = await RedisServer.start()
  await server.kill()
  const watching = start(['watch', '--json'], { env: { REDIS_URL: server.url } })
  try {
    const warnings = () => watching.err.trim().split('\n').filter(Boolean)
    await until(() => warnings().length === 1, { what: 'the warning', timeoutMs: 15_000 })
    await server.restart()
    await until(() => warnings().length === 2, { what: 'the other', timeoutMs: 15_000 })
    expect(warnings().map((line) => JSON.parse(line) as unknown)).toEqual([
      { warning: { message: expect.stringContaining('Nothing is heard') } },
      { warning: { message: 'It is heard again.' } },
    ])
  } finally {
    watching.child.kill('SIGINT')
    await server.stop()
  }
  expect((await watching.ended).code).toBe(0)
})

it.each(['0s', '61s', '30d', '60d'])('--timeout %s is told what it may be', async (timeout) => {
  const env = { RESCIND_URL: 'http://127.0.0.1:1', RESCIND_KEY: KEY }
  const { code, err } = await run(['revoke', '--claim', 'sub=a', '--everywhere', '--timeout', timeout], {
    env,
  })
  expect(err).toContain('--timeout takes')
  expect(code).toBe(2)
})
