/** Refresh tokens that their client cannot read. */
import { randomBytes } from 'node:crypto'
import { EncryptJWT } from 'jose'
import { describe, expect, it } from 'vitest'
import { RefreshFamilies, SealedTokens, type SealingKey } from '../../src/refresh/index.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager } from '../../src/token-manager.js'
import { rememberToken } from '../support/canary.js'

const NOW = 1_800_000_000
const CLAIMS = { iss: 'https://as.example', sub: 'alice', jti: 'j1', exp: NOW + 600 }
const key = (kid: string): SealingKey => ({ kid, secret: randomBytes(32) })
const [one, two] = [key('k1'), key('k2')]

async function seal(tokens: SealedTokens, claims: Record<string, unknown> = CLAIMS): Promise<string> {
  const token = await tokens.seal(claims)
  rememberToken(token)
  return token
}

describe('a sealed token', () => {
  it('gives its claims to who has the key, and shows nobody else more than the name of the key', async () => {
    const tokens = new SealedTokens({ keys: [one] })
    const token = await seal(tokens)
    expect(token).not.toBe(await seal(tokens))
    const parts = token.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'))
    expect(JSON.parse(parts[0]!)).toEqual({ alg: 'dir', enc: 'A256GCM', kid: 'k1', typ: 'rt+jwe' })
    expect(parts.slice(1).join()).not.toContain('alice')
    const verification = await tokens.verify(token, NOW)
    expect(verification).toMatchObject({ status: 'valid', token: { claims: CLAIMS } })
    expect(verification).toMatchObject({ token: { target: { iss: CLAIMS.iss, jti: 'j1' } } })
    expect(await tokens.verify(token, NOW + 605)).toMatchObject({ code: 'ERR_TOKEN_EXPIRED' })
  })

  it('opens while its key is listed, though another seals', async () => {
    const before = await seal(new SealedTokens({ keys: [one] }))
    const rotated = new SealedTokens({ keys: [two, one] })
    expect((await rotated.verify(before, NOW)).status).toBe('valid')
    const after = await seal(rotated)
    expect((await new SealedTokens({ keys: [two] }).verify(after, NOW)).status).toBe('valid')
    for (const token of [before, after])
      expect(await new SealedTokens({ keys: [key('k1'), key('k3')] }).verify(token, NOW)).toMatchObject({
        status: 'invalid',
        code: 'ERR_TOKEN_INVALID',
      })
  })

  it('is refused with any part changed, cut, or of another kind', async () => {
    const tokens = new SealedTokens({ keys: [one] })
    const token = await seal(tokens)
    const parts = token.split('.')
    for (const i of [0, 2, 3, 4]) {
      const bytes = Buffer.from(parts[i]!, 'base64url')
      bytes[bytes.length >> 1]! ^= 1
      const changed = parts.map((part, at) => (at === i ? bytes.toString('base64url') : part)).join('.')
      expect((await tokens.verify(changed, NOW)).status, `part ${i}`).toBe('invalid')
    }
    for (const text of [
      '',
      'x',
      '.',
      '....',
      token.slice(0, -2),
      `${token}.`,
      token.replace('..', '.AA.'),
      'a'.repeat(9000),
    ])
      expect((await tokens.verify(text, NOW)).status).toBe('invalid')
    const other = await seal(new SealedTokens({ keys: [one], typ: 'other+jwe' }))
    expect(await tokens.verify(other, NOW)).toMatchObject({ code: 'ERR_TOKEN_INVALID' })
    for (const claims of [
      { ...CLAIMS, exp: undefined },
      { ...CLAIMS, jti: undefined },
      { ...CLAIMS, jti: 7 },
    ]) {
      const lacking = await seal(tokens, claims)
      expect(await tokens.verify(lacking, NOW)).toMatchObject({ code: 'ERR_TOKEN_INVALID' })
    }
    // With the right key, and by another algorithm.
    const wrapped = await new EncryptJWT(CLAIMS)
      .setProtectedHeader({ alg: 'A256KW', enc: 'A256GCM', kid: 'k1', typ: 'rt+jwe' })
      .encrypt(one.secret)
    rememberToken(wrapped)
    expect((await tokens.verify(wrapped, NOW)).status).toBe('invalid')
    await expect(tokens.seal({ ...CLAIMS, text: 'x'.repeat(8192) })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
  })

  it('goes round as the refresh token of a family', async () => {
    const manager = new TokenManager({ store: new MemoryStore(), replica: false })
    const families = new RefreshFamilies({ manager })
    const tokens = new SealedTokens({ keys: [one] })
    let token = await seal(tokens, await families.begin({ sub: 'alice' }))
    for (let generation = 2; generation < 5; generation++) {
      const verification = await tokens.verify(token, manager.now())
      if (verification.status !== 'valid') throw new Error('it does not open')
      const rotation = await families.rotate(verification.token)
      expect(rotation).toMatchObject({ status: 'rotated', claims: { generation } })
      if ('claims' in rotation) token = await seal(tokens, rotation.claims)
    }
  })
})

it('keys are checked, with one error for all that is wrong, and no secret in it', () => {
  const short = { kid: 'k 1', secret: Buffer.from('geheim') }
  const wrong = () => new SealedTokens({ keys: [short, short], typ: '', clockToleranceSeconds: 301 })
  expect(wrong).toThrow(/each kid must be[^]*stand once[^]*32 bytes[^]*typ[^]*clockToleranceSeconds/)
  expect(wrong).not.toThrow('geheim')
  for (const keys of [[], Array.from({ length: 17 }, (_, i) => key(`k${i}`)), undefined as never])
    expect(() => new SealedTokens({ keys })).toThrow('keys must list')
})
