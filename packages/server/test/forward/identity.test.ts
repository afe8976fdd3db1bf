import fc from 'fast-check'
import type { Auth } from 'rescind'
import { expect, it } from 'vitest'
import { allowedHeaders, IDENTITY_HEADERS, NOBODY } from '../../src/forward/identity.js'

const authOf = (claims: Record<string, unknown>, scopes: readonly string[] = []) =>
  ({ claims, scopes }) as unknown as Auth
const rest = { 'cache-control': 'no-store', 'content-length': '0' }

it('tells subject, client, scope and issuer', () => {
  const claims = { sub: 'alice', client_id: 'app', iss: 'https://as.example' }
  expect(allowedHeaders(authOf(claims, ['orders:read', 'admin']))).toEqual({
    'x-auth-subject': 'alice',
    'x-auth-client': 'app',
    'x-auth-scope': 'orders:read admin',
    'x-auth-issuer': 'https://as.example',
    ...rest,
  })
})

it('has every header, empty where there is nothing to tell', () => {
  expect(allowedHeaders(authOf({ sub: 7, client_id: null }))).toEqual(NOBODY)
  expect(Object.keys(NOBODY)).toEqual([...IDENTITY_HEADERS, ...Object.keys(rest)])
})

it('leaves out what is too long instead of cutting it', () => {
  expect(allowedHeaders(authOf({ sub: 'a'.repeat(512) }))['x-auth-subject']).toHaveLength(512)
  expect(allowedHeaders(authOf({ sub: 'a'.repeat(513) }))['x-auth-subject']).toBe('')
  expect(allowedHeaders(authOf({}, ['a'.repeat(3000)]))['x-auth-scope']).toBe('')
})

it('makes any text safe for a header, and never one value of two', () => {
  const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 40 }))
  fc.assert(
    fc.property(text, (sub) => {
      if (!sub.isWellFormed()) return
      const value = allowedHeaders(authOf({ sub }))['x-auth-subject']
      expect(value).toMatch(/^[\x21-\x7e]*$/)
      if (value !== '') expect(decodeURIComponent(value)).toBe(sub)
    }),
  )
})
