/** Headers, queries and forms of strangers: the gate never throws, and lets nobody in but the bearer of a token. */
import { parse as parseQuery } from 'node:querystring'
import * as fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import { authorizationFields, isForm, queryOf } from '../../src/adapters/request.js'
import { DENIAL_CODES, makeDenial } from '../../src/denial.js'
import { Gate, type Policy, type Verdict } from '../../src/gate.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager } from '../../src/token-manager.js'
import type { RequestHead } from '../../src/token/credentials.js'
import { makeIssuer } from '../support/issuer.js'
import { CHANGE, changed, nastyText, TEXTS } from './texts.js'
import { Hostile } from './inputs.js'

const hostile = new Hostile('headers')
const STATUS_OF: Readonly<Record<string, number>> = {
  ...{ request_invalid: 400, scope_insufficient: 403, check_unavailable: 503 },
  ...{ token_missing: 401, token_malformed: 401, token_invalid: 401, token_expired: 401, token_revoked: 401 },
}
const HEADER_ONLY: Policy = {}
const ANYWHERE: Policy = { tokenFrom: ['header', 'form', 'query'] }

let good: string
let revoked: string
/** From memory, with a cache; and from the store, without one. */
let gates: readonly Gate[]

beforeAll(async () => {
  const issuer = await makeIssuer('HS256')
  good = await issuer.sign()
  revoked = await issuer.sign({ sub: 'bob' })
  const store = new MemoryStore()
  const cached = new TokenManager({ store, verifier: issuer.verifier })
  const strict = new TokenManager({ store, verifier: issuer.verifier, replica: false })
  await cached.revokeToken(revoked)
  await cached.ready()
  gates = [new Gate({ manager: cached }), new Gate({ manager: strict, cache: false })]
})

/** What a head says is the token, read by another rule than that of the library: by taking everything else away. */
function isBearerOf(head: RequestHead, policy: Policy, token: string): boolean {
  const places = [
    ...head.authorization.map((field) => /^\s*bearer[ \t]\s*(\S*)\s*$/i.exec(field)?.[1]),
    ...(policy === ANYWHERE ? [...formValues(head.form), ...queryValues(head.query)] : []),
  ]
  return head.authorization.length <= 1 && places.filter((place) => place === token).length === 1
}

function formValues(form: unknown): unknown[] {
  return typeof form === 'object' && form !== null
    ? [Object.entries(form).find(([name]) => name === 'access_token')?.[1]].flat()
    : []
}

function queryValues(query: string | undefined): unknown[] {
  return [parseQuery((query ?? '').replace(/^\?/, '')).access_token].flat()
}

function check(head: RequestHead, policy: Policy, verdict: Verdict): void {
  if (verdict.allowed) {
    if (!isBearerOf(head, policy, good)) throw new Error('somebody was let in who does not bear the token')
    return
  }
  const { denial } = verdict
  if (!DENIAL_CODES.includes(denial.code) || denial.status !== STATUS_OF[denial.code])
    throw new Error('not of the table')
  const said = JSON.stringify(denial)
  if (Object.values(denial.headers).some((value) => !/^[\x20-\x7e]*$/.test(value)))
    throw new Error('a header breaks')
  if (said.includes(good.slice(-40)) || said.includes(revoked.slice(-40)))
    throw new Error('it repeats a token')
}

async function tryOn(head: RequestHead, policy: Policy): Promise<void> {
  for (const gate of gates) check(head, policy, await hostile.later(async () => gate.check(head, policy)))
}

/** Forms of the `Authorization` field around a token, each with why it is nasty. */
const FIELDS: Readonly<Record<string, (token: string) => string>> = {
  'mixed case': (token) => `bEaReR ${token}`,
  'a tab': (token) => `Bearer\t${token}`,
  'many blanks': (token) => `  Bearer ${' '.repeat(5000)}${token}  `,
  'no blank': (token) => `Bearer${token}`,
  'a no-break space': (token) => `Bearer\u00a0${token}`,
  'a line break': (token) => `Bearer\r\n ${token}`,
  'another scheme': (token) => `Basic ${token}`,
  'the scheme of DPoP': (token) => `DPoP ${token}`,
  'the scheme twice': (token) => `Bearer Bearer ${token}`,
  'a parameter': (token) => `Bearer token="${token}"`,
  'a list, as parsers join repeats': (token) => `Bearer ${token}, Bearer ${token}`,
  'a list that ends in another': (token) => `Bearer x, Bearer ${token}`,
  quoted: (token) => `Bearer "${token}"`,
  padded: (token) => `Bearer ${token}==`,
  'percent-encoded': (token) => `Bearer ${token.replaceAll('.', '%2E')}`,
  'a NUL behind': (token) => `Bearer ${token}\u0000`,
  'a NUL before': (token) => `\u0000Bearer ${token}`,
  'no scheme': (token) => token,
  'nothing behind the scheme': () => 'Bearer',
  'blanks behind the scheme': () => 'Bearer    ',
  'a long s in front': (token) => `\u017fBearer ${token}`,
  'a megabyte behind': (token) => `Bearer ${token}${'A'.repeat(1024 * 1024)}`,
  'a megabyte of dots': () => `Bearer ${'.'.repeat(1024 * 1024)}`,
  'as long as a token may be': () => `Bearer ${'A'.repeat(8192)}`,
}
const SAME_TOKEN = ['mixed case', 'a tab', 'many blanks']

const field = fc.oneof(
  fc
    .tuple(fc.constantFrom(...Object.values(FIELDS)), fc.boolean())
    .map(([write, isGood]) => write(isGood ? good : revoked)),
  fc
    .tuple(fc.array(CHANGE, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([changes, isGood]) => changed(`Bearer ${isGood ? good : revoked}`, changes)),
  nastyText().map((text) => `Bearer ${text}`),
  nastyText(),
)
const place = fc.oneof(
  fc.constant(undefined),
  field,
  nastyText(),
  fc.boolean().map((isGood) => (isGood ? good : revoked)),
)
const form = fc.oneof(
  fc.anything(),
  place.map((value) => ({ access_token: value })),
  fc.array(place, { maxLength: 3 }).map((values) => ({ access_token: values })),
  place.map(
    (value) => JSON.parse(`{"__proto__":{"access_token":${JSON.stringify(value ?? null)}}}`) as unknown,
  ),
)
const query = fc.oneof(
  fc.constant(undefined),
  nastyText(),
  fc
    .array(
      fc.tuple(
        fc.constantFrom('access_token', 'ACCESS_TOKEN', 'access%5Ftoken', 'access_token[]', '__proto__'),
        place,
      ),
      { maxLength: 3 },
    )
    .map((pairs) => pairs.map(([name, value]) => `${name}=${value ?? ''}`).join('&')),
)

describe('a request', () => {
  it('sanity: with the good token passes, with the revoked one does not', async () => {
    for (const gate of gates) {
      expect(await gate.check({ authorization: [`Bearer ${good}`] })).toMatchObject({ allowed: true })
      expect(await gate.check({ authorization: [`Bearer ${revoked}`] })).toMatchObject({
        denial: { code: 'token_revoked' },
      })
    }
  })

  it.each(Object.keys(FIELDS))('%s: allowed only where it is the same token', async (name) => {
    const write = FIELDS[name] as (token: string) => string
    for (const gate of gates) {
      const verdicts = await Promise.all(
        [good, revoked].map(async (token) => gate.check({ authorization: [write(token)] })),
      )
      expect(verdicts.map(({ allowed }) => allowed)).toEqual([SAME_TOKEN.includes(name), false])
      check({ authorization: [write(good)] }, HEADER_ONLY, verdicts[0] as Verdict)
    }
  })

  it.each(Object.entries(TEXTS))('with %s in every place is denied by the table', async (_, text) => {
    for (const authorization of [
      [text],
      [`Bearer ${text}`],
      [`Bearer ${good}`, text],
      [text, `Bearer ${good}`],
    ])
      await tryOn({ authorization }, HEADER_ONLY)
    for (const authorization of [[], [text]])
      await tryOn({ authorization, query: `access_token=${text}`, form: { access_token: text } }, ANYWHERE)
  })

  it(
    'made of anything is denied by the table, or bears the token',
    { timeout: hostile.timeoutMs },
    async () => {
      const head = fc.record({ authorization: fc.array(field, { maxLength: 3 }), form, query })
      const policy = fc.constantFrom(HEADER_ONLY, HEADER_ONLY, ANYWHERE)
      // Each goes through two gates.
      await fc.assert(fc.asyncProperty(head, policy, tryOn), hostile.runs(0.4))
    },
  )

  it('that no adapter would make is denied, not thrown', async () => {
    const heads: unknown[] = [
      {},
      { authorization: undefined },
      { authorization: null },
      { authorization: [undefined] },
      { authorization: [null] },
      { authorization: [1] },
      { authorization: [{}] },
      { authorization: [[`Bearer ${good}`]] },
      { authorization: { length: 1 } },
      { authorization: [{ length: 3, trim: () => good }] },
      { authorization: `Bearer ${good}` },
      null,
      undefined,
      1,
      {
        authorization: [],
        get form() {
          throw new Error('no')
        },
      },
    ]
    for (const head of heads)
      for (const policy of [HEADER_ONLY, ANYWHERE])
        for (const gate of gates)
          expect(await gate.check(head as RequestHead, policy)).toMatchObject({ allowed: false })
  })
})

describe('a denial', () => {
  it('of any realm, sentence and scope has headers of one line each', { timeout: hostile.timeoutMs }, () => {
    const code = fc.constantFrom(...DENIAL_CODES)
    const text = fc.oneof(nastyText(), fc.constant('x", error="none'))
    fc.assert(
      fc.property(code, text, text, text, (code, realm, detail, scope) => {
        const context = { realm, resourceMetadata: detail, retryAfterSeconds: 1 }
        const { headers } = hostile.now(() => makeDenial(code, context, { detail, scope: [scope] }))
        for (const value of Object.values(headers)) expect(value).toMatch(/^[\x20-\x7e]*$/)
        // Nobody writes a parameter of their own.
        expect(headers['www-authenticate'] ?? 'Bearer a="b"').toMatch(
          /^Bearer [a-z_]+="[^"\\]*"(, [a-z_]+="[^"\\]*")*$/,
        )
      }),
      hostile.runs(0.05),
    )
  })
})

describe('raw fields', () => {
  const name = fc.oneof(
    fc.constantFrom(
      'authorization',
      'Authorization',
      'AUTHORIZATION',
      'authorization ',
      'authorizatıon',
      'Cookie',
      'Proxy-Authorization',
      'X-Authorization',
      '__proto__',
    ),
    nastyText(),
  )

  it(
    'of any names: only Authorization counts, and repeats show',
    { timeout: hostile.timeoutMs },
    async () => {
      const pairs = fc.array(fc.tuple(name, field), { maxLength: 6 })
      await fc.assert(
        fc.asyncProperty(pairs, async (raw) => {
          const own = raw.filter(([each]) => each.toLowerCase() === 'authorization').map(([, value]) => value)
          // As Node.js joins them: the first wins.
          const fields = hostile.now(() => authorizationFields(raw.flat(), own[0]))
          expect(fields).toEqual(own)
          await tryOn({ authorization: fields }, HEADER_ONLY)
        }),
        hostile.runs(0.05),
      )
    },
  )

  it('a cookie with the token is none', async () => {
    const fields = authorizationFields(['Cookie', `access_token=${good}`, 'X-Access-Token', good], undefined)
    for (const gate of gates)
      expect(await gate.check({ authorization: fields })).toMatchObject({ denial: { code: 'token_missing' } })
  })

  it('targets and content types of any text are read without a failure', () => {
    const text = fc.oneof(nastyText(), fc.webUrl({ withQueryParameters: true }))
    fc.assert(
      fc.property(text, text, (url, type) => {
        const query = hostile.now(() => queryOf(url))
        expect(query === undefined ? url.includes('?') : url.endsWith(`?${query}`)).toBe(query !== undefined)
        expect(hostile.now(() => isForm('GET', type))).toBe(false)
        hostile.now(() => isForm('POST', type))
      }),
      hostile.runs(0.03),
    )
  })
})
