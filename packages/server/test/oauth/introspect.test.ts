/** RFC 7662 and RFC 9701: what is said of a token, to whom, and in which form. */
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AUDIENCE, ISSUER, type World } from '../support/service.js'
import {
  askFor,
  type Answer,
  bad,
  basic,
  introspect,
  startFreeWorld,
  startOAuthWorld,
  type Tool,
} from './callers.js'

const JWT_ANSWER = 'application/token-introspection+jwt'
let world: World
let tool: Tool
let narrow: string
beforeAll(async () => {
  ;({ world, tool, narrow } = await startOAuthWorld())
})
afterAll(() => world[Symbol.asyncDispose]())

const ask = (token: string, secret = tool.secret, id = 'tool', headers: Record<string, string> = {}) =>
  askFor(world, '/introspect', { headers: { authorization: basic(id, secret), ...headers }, form: { token } })

describe('a live token', () => {
  it('is described by its claims, and nobody may keep the answer', async () => {
    const token = await world.issuer.sign({
      scope: 'read write',
      jti: 'j',
      username: 'al',
      tenant: { id: 7 },
    })
    const answer = await ask(token)
    expect(answer.status).toBe(200)
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'content-type': 'application/json' })
    const { exp, iat } = decodeJwt(token)
    expect(JSON.parse(answer.body)).toEqual({
      ...{ active: true, iss: ISSUER, aud: AUDIENCE, sub: 'alice', client_id: 'app', jti: 'j', exp, iat },
      ...{ scope: 'read write', username: 'al', tenant: { id: 7 }, token_type: 'Bearer' },
    })
  })

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    ['a list of scopes as one text', { scope: ['a', 'b'] }, { scope: 'a b' }],
    ['scopes of another name', { scp: ['a', 'b'] }, { scope: 'a b', scp: ['a', 'b'] }],
    [
      'nothing that it says of itself as an answer',
      { active: false, token_type: 'mac' },
      { active: true, token_type: 'Bearer' },
    ],
    ['the key that it is bound to', { cnf: { jkt: 'k' } }, { cnf: { jkt: 'k' }, token_type: 'DPoP' }],
    ['a certificate that it is bound to', { cnf: { 'x5t#S256': 'k' } }, { token_type: 'Bearer' }],
  ])('tells %s', async (_, claims, expected) => {
    expect(JSON.parse((await ask(await world.issuer.sign(claims))).body)).toMatchObject(expected)
  })

  it('is seen by those it is meant for, by its own client, and by an admin', async () => {
    const others = await world.issuer.sign({ client_id: 'app' })
    const own = await world.issuer.sign({ client_id: 'narrow' })
    expect(JSON.parse((await ask(others)).body)).toMatchObject({ active: true })
    expect((await ask(others, narrow, 'narrow')).body).toBe('{"active":false}')
    expect(JSON.parse((await ask(own, narrow, 'narrow')).body)).toMatchObject({ active: true })
    const admin = await askFor(world, '/introspect', { key: world.keys.admin, form: { token: others } })
    expect(JSON.parse(admin.body)).toMatchObject({ active: true })
  })
})

describe('a token that is no good', () => {
  it('is inactive, and nothing else is said of it', async () => {
    const { genuine, ...tokens } = await bad(world, {})
    expect(JSON.parse((await ask(genuine)).body)).toMatchObject({ active: true })
    for (const [what, token] of Object.entries(tokens))
      expect({ what, ...(await ask(token)) }).toMatchObject({ what, status: 200, body: '{"active":false}' })
  })

  it.each(['a', 'a.b', 'a.b.c', '..', 'eyJhbGciOiJkaXIifQ..AA.AA.AA', 'SlAV32hkKG', '\u0000', ' x', 'токен'])(
    'as %j as well',
    async (token) => {
      expect(await ask(token)).toMatchObject({ status: 200, body: '{"active":false}' })
    },
  )

  it('with blanks around it as well: it is another token', async () => {
    const token = await world.issuer.sign()
    for (const spelling of [` ${token}`, `${token} `, `${token}\n`])
      expect((await ask(spelling)).body).toBe('{"active":false}')
  })

  it('without a time of issue, or issued in the future, as the gate refuses it', async () => {
    await using free = await startFreeWorld(world.issuer)
    const now = Math.floor(Date.now() / 1000)
    expect(await introspect(free, await world.issuer.sign())).toMatchObject({ active: true })
    for (const claims of [{ iat: undefined }, { iat: now + 3000, exp: now + 4000 }])
      expect(await introspect(free, await world.issuer.sign(claims))).toEqual({ active: false })
  })
})

it('of tokens for others, the answer tells nothing, signed or not', async () => {
  const tokens = Object.values(await bad(world, {}))
  const plain: Answer[] = []
  const signed: unknown[] = []
  for (const token of [...tokens, 'nonsense']) {
    plain.push(await ask(token, narrow, 'narrow'))
    const { body, headers, status } = await ask(token, narrow, 'narrow', { accept: JWT_ANSWER })
    const { iat: _, ...claims } = decodeJwt(body)
    signed.push({ status, headers, claims, length: body.length })
  }
  const [first] = plain as [Answer]
  expect(first).toMatchObject({ status: 200, body: '{"active":false}' })
  for (const answer of plain) expect(answer).toEqual(first)
  for (const answer of signed) expect(answer).toEqual(signed[0])
})

describe('a signed answer', () => {
  it('is a JWT of its own type, for the one who asked, and can pass for no access token', async () => {
    const token = await world.issuer.sign({ scope: 'read' })
    const answer = await ask(token, tool.secret, 'tool', { accept: JWT_ANSWER })
    expect(answer.headers).toMatchObject({ 'content-type': JWT_ANSWER, 'cache-control': 'no-store' })
    const keys = (await (await world.ask('/jwks.json')).json()) as JSONWebKeySet
    const { payload, protectedHeader } = await jwtVerify(answer.body, createLocalJWKSet(keys), {
      typ: 'token-introspection+jwt',
    })
    expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'token-introspection+jwt', kid: keys.keys[0]?.kid })
    const { token_introspection: said, ...outside } = payload
    expect(outside).toEqual({ iss: world.url, aud: 'tool', iat: expect.any(Number) as number })
    expect(said).toEqual(await introspect(world, token))
    expect(said).toMatchObject({ active: true, sub: 'alice', scope: 'read' })
  })

  it('says as little of a token that is no good', async () => {
    const { revoked } = await bad(world, {})
    const { body } = await ask(revoked, tool.secret, 'tool', { accept: JWT_ANSWER })
    expect(decodeJwt(body).token_introspection).toEqual({ active: false })
  })

  it.each([
    ['', false],
    ['*/*', false],
    ['application/*', false],
    ['text/html', false],
    ['application/json', false],
    [JWT_ANSWER, true],
    [JWT_ANSWER.toUpperCase(), true],
    [`${JWT_ANSWER}, */*`, true],
    [`${JWT_ANSWER}, application/json`, true],
    [`application/json, ${JWT_ANSWER}`, false],
    [`application/json;q=0.5, ${JWT_ANSWER}`, true],
    [`application/json, ${JWT_ANSWER};q=0.9`, false],
    [`${JWT_ANSWER};q=0`, false],
    [`${JWT_ANSWER};q=0.1, */*`, false],
    [`application/json;q=0, */*`, true],
    [`application/json;q=0`, false],
    ['application/jwt', false],
    [';;,=,q=', false],
  ])('for Accept: %s is %s', async (accept, isSigned) => {
    const answer = await ask(await world.issuer.sign(), tool.secret, 'tool', { accept })
    expect(answer.headers['content-type']).toBe(isSigned ? JWT_ANSWER : 'application/json')
  })

  it('is none where the request is refused', async () => {
    const { status, headers } = await ask('a.b.c', 'wrong', 'tool', { accept: JWT_ANSWER })
    expect({ status, type: headers['content-type'] }).toEqual({ status: 401, type: 'application/json' })
  })
})
