import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readCredentials, TOKEN_LENGTH_MAX, type TokenSource } from '../../src/token/credentials.js'

const header = (...authorization: string[]) => readCredentials({ authorization }, ['header'])
const ALL: TokenSource[] = ['header', 'form', 'query']

describe('the Authorization field (RFC 6750 §2.1)', () => {
  it.each(['Bearer abc', 'bearer abc', 'BEARER   abc  ', '\tBearer\tabc'])('%j presents a token', (field) => {
    expect(header(field)).toEqual({ status: 'present', token: 'abc', source: 'header' })
  })
  it.each(['', 'Basic abc', 'Bearerabc', 'Token abc', 'Bear', 'Bearer=abc', 'DPoP abc'])(
    '%j presents none',
    (field) => {
      expect(header(field)).toEqual({ status: 'missing' })
    },
  )
  it('absent presents none', () => expect(header()).toEqual({ status: 'missing' }))
  it.each(['Bearer', 'bearer ', 'Bearer \t '])('%j is a malformed request', (field) => {
    expect(header(field)).toMatchObject({ status: 'request-invalid' })
  })
  it('given twice is a malformed request, even when both are the same', () => {
    expect(header('Bearer a', 'Bearer a')).toMatchObject({ status: 'request-invalid' })
  })
  it.each([
    'Bearer a b',
    'Bearer a,b',
    'Bearer a, Bearer b',
    'Bearer "a"',
    'Bearer a\u00e4',
    'Bearer a=b',
    'Bearer ==',
    'Bearer a\nb',
    'Bearer a;x',
  ])('%j presents a malformed token', (field) =>
    expect(header(field)).toMatchObject({ status: 'token-malformed' }),
  )
  it('has a bound before anything is parsed', () => {
    expect(header(`Bearer ${'a'.repeat(TOKEN_LENGTH_MAX)}`)).toMatchObject({ status: 'present' })
    expect(header(`Bearer ${'a'.repeat(TOKEN_LENGTH_MAX + 1)}`)).toMatchObject({ status: 'token-malformed' })
  })
})

describe('form and query (RFC 6750 §2.2, §2.3)', () => {
  it('are read only where the route opts in', () => {
    const head = { authorization: [], query: 'access_token=q', form: { access_token: 'f' } }
    expect(readCredentials(head, ['header'])).toEqual({ status: 'missing' })
    expect(readCredentials(head, ['header', 'query'])).toMatchObject({ token: 'q', source: 'query' })
    expect(readCredentials(head, ['form'])).toMatchObject({ token: 'f', source: 'form' })
  })
  it('two places at once, repeats and empties are malformed requests', () => {
    for (const head of [
      { authorization: ['Bearer a'], query: 'access_token=a' },
      { authorization: ['Bearer a'], form: { access_token: 'a' } },
      { authorization: [], query: 'access_token=a&access_token=a' },
      { authorization: [], query: '?x=1&access_token=' },
      { authorization: [], form: { access_token: ['a', 'b'] } },
      { authorization: [], form: { access_token: { a: 1 } } },
      { authorization: [], form: { access_token: '' } },
    ]) {
      expect(readCredentials(head, ALL), JSON.stringify(head)).toMatchObject({ status: 'request-invalid' })
    }
  })
  it('inherited and foreign members are not parameters', () => {
    for (const form of [null, 'access_token=a', Object.create({ access_token: 'a' }), [], 5]) {
      expect(readCredentials({ authorization: [], form }, ALL)).toEqual({ status: 'missing' })
    }
  })
})

it('whatever comes in, something of the four answers comes out, and what is present is of a token’s syntax', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string().map((rest) => `Bearer ${rest}`),
    fc.constant('Bearer abc'),
  )
  fc.assert(
    fc.property(
      fc.array(text, { maxLength: 3 }),
      text,
      fc.anything(),
      fc.subarray(ALL),
      (authorization, query, form, sources) => {
        const result = readCredentials({ authorization, query, form }, sources)
        if (result.status === 'present') expect(result.token).toMatch(/^[A-Za-z0-9\-._~+/]+=*$/)
        else expect(['missing', 'request-invalid', 'token-malformed']).toContain(result.status)
      },
    ),
    { numRuns: 5000 },
  )
})
