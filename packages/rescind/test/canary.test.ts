/** No raw token anywhere: Redis, errors, problem bodies. Output is watched in every test file. */
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { expect, it } from 'vitest'
import { RescindError } from '../src/errors.js'
import { Gate } from '../src/gate.js'
import { RedisStore } from '../src/redis/store.js'
import { TokenManager } from '../src/token-manager.js'
import { containsToken, keysWithTokens, rememberToken } from './support/canary.js'
import { makeIssuer } from './support/issuer.js'
import { patientConnection } from './support/patient.js'
import { RedisServer } from './support/redis-server.js'

it('revoking, checking, listing and failing leaves no part of a token in Redis, errors or bodies', async () => {
  const server = await RedisServer.start()
  const issuer = await makeIssuer('ES256', { requiredClaims: ['exp'] })
  const manager = new TokenManager({
    store: new RedisStore(patientConnection({ url: server.url })),
    verifier: issuer.verifier,
  })
  const gate = new Gate({ manager })
  const seen: unknown[] = []
  const keep = async (work: unknown) =>
    seen.push(await Promise.resolve(work).catch((error: unknown) => error))
  const redis = new Redis(server.url)
  try {
    const tokens = [await issuer.sign(), await issuer.sign({ jti: undefined }), await issuer.sign({ exp: 5 })]
    for (const token of [...tokens, ...tokens.map((token) => `${token}x`), 'a'.repeat(9000)]) {
      rememberToken(token)
      await keep(manager.revokeToken(token, { reason: 'log-out' }))
      await keep(manager.check(token))
      for (const authorization of [
        [`Bearer ${token}`],
        [`Bearer ${token} ${token}`],
        [`Bearer ${token}`, 'x'],
      ]) {
        await keep(gate.check({ authorization }, { scope: 'x' }))
        await keep(
          gate.check({ authorization, query: `access_token=${token}` }, { tokenFrom: ['header', 'query'] }),
        )
      }
    }
    await keep(manager.list())
    await keep(manager.preview({ sub: 'alice' }))
    expect(seen.length).toBe(7 * 8 + 2)
    expect(seen.some((item) => item instanceof RescindError)).toBe(true)
    expect(await keysWithTokens(redis)).toEqual([])
    // Claims of a token are the caller's own; what the gate gives on is searched without them.
    for (const item of seen)
      expect(containsToken(inspect(item, { depth: 12, showHidden: true, maxStringLength: null }))).toBe(false)
    await server.kill()
    await keep(manager.check(tokens[0]!))
    await keep(manager.revokeToken(tokens[0]!))
    expect(containsToken(inspect(seen.slice(-2), { depth: 12, showHidden: true }))).toBe(false)
  } finally {
    redis.disconnect()
    await manager.close()
    await server.stop()
  }
})

it('the search itself finds a token in a key and in a value of any type, so a clean result means something', async () => {
  const server = await RedisServer.start()
  const token = await (await makeIssuer('ES256')).sign()
  const redis = new Redis(server.url)
  await redis.set(`block:${token}`, '1')
  await redis.set('value', `x${token.split('.')[2]}`)
  await redis.hset('hash', 'field', token)
  await redis.rpush('list', token)
  await redis.sadd('set', token)
  await redis.xadd('stream', '*', 'text', token)
  await redis.zadd('zset', 1, token)
  await redis.set('clean', '1')
  // What a careless caller puts into a reason is packed, and found all the same.
  const manager = new TokenManager({ store: new RedisStore(patientConnection({ url: server.url })) })
  await manager.revoke({ sub: 'a' }, { reason: `x${token.split('.')[2]}` })
  await manager.close()
  expect((await keysWithTokens(redis)).map((key) => key.slice(0, 5)).sort()).toEqual([
    'block',
    'hash',
    'list',
    'resci',
    'set',
    'strea',
    'value',
    'zset',
  ])
  redis.disconnect()
  await expect(server.stop()).rejects.toThrow(/parts of tokens/)
})
