/** RFC 7009 §2.2.1: while the store or the keys are away the answer is 503, and never "revoked" or "inactive". */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { makeIssuer } from '../../../rescind/test/support/issuer.js'
import { freePort } from '../../../rescind/test/support/free-port.js'
import { until } from '../../../rescind/test/support/until.js'
import { AUDIENCE, ISSUER, type World } from '../support/service.js'
import {
  type Answer,
  askFor,
  ASSERTION_TYPE,
  bad,
  ENDPOINTS,
  introspect,
  startOAuthWorld,
  type Tool,
} from './callers.js'

/** On a machine that is busy with other tests, Redis misses the deadlines of commands for a while. */
const timeoutMs = 20_000

function expectUnavailable(answer: Answer): void {
  expect(answer).toMatchObject({
    status: 503,
    headers: { 'retry-after': '1', 'cache-control': 'no-store', 'content-type': 'application/json' },
  })
  expect(JSON.parse(answer.body)).toMatchObject({ error: 'temporarily_unavailable' })
}

describe('while Redis', () => {
  let redis: RedisServer
  let world: World
  let tool: Tool
  let narrow: string
  beforeEach(async () => {
    redis = await RedisServer.start({ persistence: true })
    ;({ world, tool, narrow } = await startOAuthWorld({ store: null, env: { REDIS_URL: redis.url } }))
  })
  afterEach(async () => {
    await world[Symbol.asyncDispose]()
    await redis.stop()
  })

  const ask = (path: string, token: string, key = tool.secret) =>
    askFor(world, path, { key, form: { token } })

  it.each([
    ['has ended', () => redis.kill(), () => redis.restart()],
    ['is frozen', async () => redis.freeze(), async () => redis.thaw()],
  ])('%s, both endpoints say so, and go on when it is back', { timeout: 60_000 }, async (_, cut, mend) => {
    const others = Object.values(await bad(world, { client_id: 'other' }))
    const [token, dead] = [
      await world.issuer.sign({ client_id: 'tool' }),
      await world.issuer.sign({ client_id: 'tool' }),
    ]
    await until(async () => (await ask('/revoke', dead)).status === 200, { what: 'a revocation', timeoutMs })
    await until(async () => (await ask('/introspect', token)).body.includes('"active":true'), {
      what: 'a live token',
      timeoutMs,
    })

    await cut()
    expectUnavailable(await ask('/revoke', token))
    // Whether an assertion is used for the first time, nobody can tell: nobody is let in, and nobody called a liar.
    const form = {
      token,
      client_assertion_type: ASSERTION_TYPE,
      client_assertion: await tool.assertion(world.url),
    }
    for (const path of ENDPOINTS) expectUnavailable(await askFor(world, path, { form }))
    // From memory, until that is too old to be believed.
    const answer = await until(
      async () => {
        const found = await ask('/introspect', token)
        return found.status === 200 ? undefined : found
      },
      { what: 'the replica to be stale', timeoutMs },
    )
    expectUnavailable(answer)
    // What is known to be dead stays dead.
    expect((await ask('/introspect', dead)).body).toBe('{"active":false}')
    // And an outage tells nothing of tokens of others.
    for (const other of others) {
      expect(await ask('/revoke', other)).toMatchObject({ status: 400 })
      expect(await ask('/introspect', other, narrow)).toMatchObject({ status: 200, body: '{"active":false}' })
    }

    await mend()
    await until(async () => (await ask('/revoke', token)).status === 200, {
      what: 'the store to be back',
      timeoutMs,
    })
    expect(await introspect(world, token)).toEqual({ active: false })
    expect(await introspect(world, dead)).toEqual({ active: false })
  })
})

it('while the key set of an issuer is away, of its tokens alone nothing can be told', async () => {
  const issuer = await makeIssuer()
  const away = 'https://away.example'
  const rules = { audience: AUDIENCE, algorithms: [issuer.algorithm] }
  const issuers = [
    { ...rules, issuer: away, jwksUrl: `http://127.0.0.1:${await freePort()}/jwks` },
    { ...rules, issuer: ISSUER, jwks: { keys: [issuer.jwk] } },
  ]
  const { world, tool } = await startOAuthWorld({ issuer, config: { issuers } })
  await using _ = world
  for (const path of ENDPOINTS) {
    const ask = async (claims: Record<string, unknown>) =>
      askFor(world, path, { key: tool.secret, form: { token: await issuer.sign(claims) } })
    expectUnavailable(await ask({ iss: away, client_id: 'tool' }))
    expect((await ask({ client_id: 'tool' })).status).toBe(200)
  }
})
