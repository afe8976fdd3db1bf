/** RFC 7009: who may revoke what, and what is answered to tokens that are no good. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { otherSpellings } from '../../../rescind/test/token/spellings.js'
import type { World } from '../support/service.js'
import {
  type Answer,
  askFor,
  bad,
  basic,
  countRevocations,
  introspect,
  startFreeWorld,
  startOAuthWorld,
} from './callers.js'

let world: World
/** The same, for tokens that name no client, or name it in another claim. */
let free: World
beforeAll(async () => {
  ;({ world } = await startOAuthWorld())
  free = await startFreeWorld(world.issuer)
})
afterAll(async () => {
  await world[Symbol.asyncDispose]()
  await free[Symbol.asyncDispose]()
})

const revoke = (token: string, by = 'app', form: Record<string, string> = {}, at = world): Promise<Answer> =>
  askFor(at, '/revoke', {
    headers: { authorization: basic(by, at.keys[by] as string) },
    form: { token, ...form },
  })
const DONE = { status: 200, body: '', headers: { 'cache-control': 'no-store' } }
const isActive = async (token: string) => (await introspect(world, token)).active

describe('a client', () => {
  it.each([
    ['client_id', { client_id: 'app' }],
    ['client_id, whatever else it says', { client_id: 'app', azp: 'other' }],
    ['azp', { client_id: undefined, azp: 'app' }],
  ])('revokes a token that is its own by %s, and none beside it', async (_, claims) => {
    const [token, beside] = [await world.issuer.sign(claims), await world.issuer.sign(claims)]
    expect(await introspect(free, token)).toMatchObject({ active: true })
    expect(await revoke(token, 'app', {}, free)).toMatchObject(DONE)
    expect(await introspect(free, token)).toEqual({ active: false })
    expect(await introspect(free, beside)).toMatchObject({ active: true })
  })

  it('revokes a token that names no client when it is meant for it', async () => {
    const token = await world.issuer.sign({ client_id: undefined, aud: ['https://api.example', 'app'] })
    expect((await revoke(token, 'other', {}, free)).status).toBe(400)
    expect(await introspect(free, token)).toMatchObject({ active: true })
    expect(await revoke(token, 'app', {}, free)).toMatchObject(DONE)
    expect(await introspect(free, token)).toEqual({ active: false })
  })

  it.each(['access_token', 'refresh_token', 'pct', 'nonsense'])('may give the hint %s', async (hint) => {
    const token = await world.issuer.sign()
    expect(await revoke(token, 'app', { token_type_hint: hint })).toMatchObject(DONE)
    expect(await isActive(token)).toBe(false)
  })

  it('may use a bearer key, and say it twice', async () => {
    const token = await world.issuer.sign()
    for (let i = 0; i < 2; i++)
      expect(await askFor(world, '/revoke', { key: world.keys.app, form: { token } })).toMatchObject(DONE)
    expect(await isActive(token)).toBe(false)
  })
})

it.each(['revoker', 'admin'])('the client %s revokes the token of any', async (id) => {
  const token = await world.issuer.sign({ client_id: 'somebody' })
  expect(await revoke(token, id)).toMatchObject(DONE)
  expect(await isActive(token)).toBe(false)
})

it('the audit trail, the store and the metrics tell of it, and none of what was refused', async () => {
  await using fresh = (await startOAuthWorld()).world
  const { manager, records } = fresh.service.parts
  const token = await fresh.issuer.sign({ jti: 'one' })
  const form = (text: string) => ({ key: fresh.keys.app, form: { token: text } })
  await askFor(fresh, '/revoke', form(token))
  await askFor(fresh, '/revoke', form(await fresh.issuer.sign({ client_id: 'other' })))
  await askFor(fresh, '/revoke', form('nonsense'))
  const { revocations } = await manager.list()
  expect(revocations).toMatchObject([{ target: { jti: 'one' }, actor: 'app' }])
  const { entries } = await records.trail({ limit: 10 })
  expect(entries.map(({ text }) => JSON.parse(text) as unknown)).toMatchObject([
    { client: 'app', operation: 'revoke', scope: 'token', target: { jti: 'one' }, via: 'oauth' },
  ])
  const metrics = await (await fresh.ask('/metrics')).text()
  expect(metrics).toContain('rescind_changes_total{operation="revoke",scope="token"} 1')
})

describe('a token that is no good', () => {
  it('is answered as one that was revoked, and nothing of it is written', async () => {
    const { genuine: _, revoked: __, ...tokens } = await bad(world, { client_id: 'app' })
    // What is too old for the gate is genuine all the same: that it is dead may be written down.
    const { 'that is too old': ___, ...dead } = tokens
    const before = await countRevocations(world)
    for (const by of ['app', 'revoker'])
      for (const [what, token] of Object.entries(dead))
        expect({ what, ...(await revoke(token, by)) }).toMatchObject({ what, ...DONE })
    expect(await countRevocations(world)).toBe(before)
  })

  it.each([
    ['one letter', 'a'],
    ['two parts', 'a.b'],
    ['no parts', '..'],
    ['four parts', 'a.b.c.d'],
    ['no JSON', 'a.b.c'],
    ['a list', `e30.${btoa('[]').replaceAll('=', '')}.AA`],
    ['null', `e30.${btoa('null').replaceAll('=', '')}.AA`],
    ['too many characters', `e30.${'A'.repeat(9000)}.AA`],
    ['control characters', '\u0000\r\n\t'],
    ['other alphabets', 'токен'],
    ['an opaque token', 'SlAV32hkKG'],
  ])('with %s as well', async (_, token) => {
    const before = await countRevocations(world)
    for (const by of ['app', 'revoker']) expect(await revoke(token, by)).toMatchObject(DONE)
    expect(await countRevocations(world)).toBe(before)
  })

  it.each([
    ['is encrypted', 'eyJhbGciOiJkaXIifQ..AA.AA.AA', {}],
    ['is called a refresh token, and no JWT', 'SlAV32hkKG', { token_type_hint: 'refresh_token' }],
  ])('but is refused when it %s: nobody shall take it for dead', async (_, token, form) => {
    const answer = await revoke(token, 'app', form)
    expect(answer).toMatchObject({ status: 400, headers: { 'cache-control': 'no-store' } })
    expect(JSON.parse(answer.body)).toMatchObject({ error: 'unsupported_token_type' })
  })
})

it.each([
  ['client_id', { client_id: 'other' }],
  ['azp', { client_id: undefined, azp: 'other' }],
  ['nobody', { client_id: undefined }],
])(
  'of tokens of others (%s) the answer tells nothing: not whether they are genuine, nor whether they live',
  async (_, claims) => {
    const tokens = await bad(free, claims)
    const before = await countRevocations(free)
    const answers = []
    for (const token of Object.values(tokens)) answers.push(await revoke(token, 'app', {}, free))
    const [first] = answers as [Answer]
    expect(first.status).toBe(400)
    expect(JSON.parse(first.body)).toMatchObject({ error: 'unauthorized_client' })
    for (const answer of answers) expect(answer).toEqual(first)
    expect(await countRevocations(free)).toBe(before)
    expect(await introspect(free, tokens.genuine)).toMatchObject({ active: true })
  },
)

describe('a revoked token in another spelling', () => {
  it('is inactive, though some spellings verify', async () => {
    const token = await world.issuer.sign()
    const spellings = otherSpellings(token, 'ES256')
    const active = []
    for (const spelling of spellings) if ((await isActive(spelling)) === true) active.push(spelling)
    // What was signed is the same in those: without the revocation they pass.
    expect(active.length).toBeGreaterThan(0)
    await revoke(token)
    for (const spelling of [token, ...spellings])
      expect(await introspect(world, spelling)).toEqual({ active: false })
  })

  it('revokes the token itself, where it verifies', async () => {
    const verifying = otherSpellings(await world.issuer.sign(), 'ES256').map((_, i) => i)
    let dead = 0
    for (const i of verifying) {
      const token = await world.issuer.sign()
      const spelling = otherSpellings(token, 'ES256')[i] as string
      const verifies = (await isActive(spelling)) === true
      expect(await revoke(spelling)).toMatchObject(DONE)
      expect(await isActive(token)).toBe(!verifies)
      if (verifies) dead++
    }
    expect(dead).toBeGreaterThan(0)
  })
})
