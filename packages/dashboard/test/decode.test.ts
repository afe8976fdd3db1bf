import fc from 'fast-check'
import { expect, it } from 'vitest'
import { cleanToken, decode, looksLikeToken } from '../src/token/decode.js'

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const tokenOf = (claims: unknown) => `${part({ alg: 'ES256' })}.${part(claims)}.c2lnbmF0dXJl`

it('reads what a token says, whatever it says', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (claims) => {
      const said = JSON.parse(JSON.stringify(claims)) as unknown
      expect(decode(tokenOf(claims))?.claims).toEqual(said)
    }),
  )
  expect(decode(tokenOf({ sub: 'Zoë 🌍' }))?.claims).toEqual({ sub: 'Zoë 🌍' })
})

it('takes nothing else for a token, and never fails', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const decoded = decode(text)
      expect(decoded === undefined || typeof decoded.claims === 'object').toBe(true)
    }),
  )
  for (const text of [
    '',
    'a.b',
    'a.b.c',
    'a.b.c.d',
    `${part([])}.${part({})}.x`,
    `${part({})}.${part(null)}.x`,
  ])
    expect(decode(text), text).toBeUndefined()
})

it('takes off what comes along when a token is copied', () => {
  const token = tokenOf({ sub: 'alice' })
  for (const text of [
    token,
    ` ${token}\n`,
    `Bearer ${token}`,
    `authorization: bearer ${token}`,
    `Authorization: DPoP ${token}`,
    `"${token}",`,
    `${token.slice(0, 20)}\n  ${token.slice(20)}`,
  ])
    expect(cleanToken(text), text).toBe(token)
})

it('knows a token where none belongs, and takes no words for one', () => {
  expect(looksLikeToken(`it was ${tokenOf({ sub: 'alice' })}`)).toBe(true)
  for (const text of ['phone was stolen', 'ticket.4711.closed', 'https://id.example.com', 'eyJ', ''])
    expect(looksLikeToken(text), text).toBe(false)
})
