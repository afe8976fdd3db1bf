/**
 * The HTTP contract of all adapters: the whole matrix of answers, over a socket, with the real framework.
 *
 * A new adapter serves these routes and calls `adapterContract`:
 * - `GET /open`: no gate; 200 with `{"open":true}`
 * - `GET /protected`, `GET /admin` (scope `admin`), `GET /query` (`tokenFrom: ['header', 'query']`): 200 with
 *   `{"sub":…}` of the token
 * - `POST /form` (`tokenFrom: ['header', 'form']`): the same, and `note` of the form
 * - `POST /logout`: revokes the token of the request; 204
 *
 * Every handler behind the gate calls `ran`, so that one which runs after a denial is found out.
 */
import { randomUUID } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { SignJWT } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import type { DenialCode } from '../../src/denial.js'
import { RescindError } from '../../src/errors.js'
import { Gate } from '../../src/gate.js'
import { MemoryStore } from '../../src/stores/memory.js'
import { TokenManager } from '../../src/token-manager.js'
import { AUDIENCE, ISSUER, type Issuer, makeIssuer } from '../support/issuer.js'
import { type Answer, type Ask, ask, form, type Served } from './http.js'

export type Start = (gate: Gate, ran: () => void) => Promise<Served>

export interface Traits {
  /** What `OPTIONS /protected` without a token is answered: it is the framework's business. */
  readonly options: number
  /** The framework shows two `Authorization` fields as one with a comma. */
  readonly joinsFields?: boolean
  /** The framework reads no forms. */
  readonly hasNoForms?: boolean
  /** The framework answers a handler that throws with the status that the failure names. */
  readonly answersFailures?: boolean
}

const REALM = 'contract'
const RETRY_AFTER = '7'
const STATUS: Readonly<Record<DenialCode, number>> = {
  request_invalid: 400,
  token_missing: 401,
  token_malformed: 401,
  token_invalid: 401,
  token_expired: 401,
  token_revoked: 401,
  scope_insufficient: 403,
  check_unavailable: 503,
}

export function adapterContract(name: string, start: Start, traits: Traits): void {
  describe(name, () => {
    let issuer: Issuer
    let stranger: Issuer
    let gate: Gate
    let served: Served
    let runs = 0
    let runsWanted = 0
    const ran = () => void (runs += 1)
    const call = async (path: string, what: Ask = {}, url = served.url) => {
      const answer = await ask(url + path, what)
      if (answer.status < 300 && path !== '/open' && what.method !== 'OPTIONS') runsWanted += 1
      return answer
    }
    const get = (path: string, ...authorization: string[]) => call(path, { authorization })

    beforeAll(async () => {
      issuer = await makeIssuer()
      stranger = await makeIssuer()
      gate = makeGate(issuer)
      served = await start(gate, ran)
    })
    afterEach(async () => {
      await setImmediate()
      expect(runs, 'handlers run once for an allowed request, and for no other').toBe(runsWanted)
    })
    afterAll(async () => {
      await served.close()
      await gate.manager.close()
    })

    describe('lets through', () => {
      it('everybody where no gate stands', async () => {
        for (const answer of [await get('/open'), await get('/open', 'Bearer nonsense')]) {
          expect(answer).toMatchObject({ status: 200, body: '{"open":true}' })
        }
      })

      it.each(['Bearer', 'bearer', 'BEARER'])(
        'a good token of the scheme %s, and gives its claims',
        async (scheme) => {
          const answer = await get('/protected', `${scheme} ${await issuer.sign({ sub: 'bob' })}`)
          expect(answer).toMatchObject({ status: 200, body: '{"sub":"bob"}' })
          expect(answer.headers['www-authenticate']).toBeUndefined()
        },
      )

      it.each(['admin', 'read admin write'])(
        'a token whose scope is "%s" where admin is asked for',
        async (scope) => {
          const answer = await get('/admin', `Bearer ${await issuer.sign({ scope })}`)
          expect(answer).toMatchObject({ status: 200, body: '{"sub":"alice"}' })
        },
      )

      it('a token in the query where the route takes it, as a private answer (RFC 6750 §2.3)', async () => {
        const answer = await get(`/query?a=1&access_token=${await issuer.sign()}`)
        expect(answer).toMatchObject({ status: 200, body: '{"sub":"alice"}' })
        expect(answer.headers['cache-control']).toEqual(['private'])
      })

      it('a token in the field on a route that takes it from the query as well', async () => {
        const answer = await get('/query?a=1', `Bearer ${await issuer.sign()}`)
        expect(answer).toMatchObject({ status: 200, body: '{"sub":"alice"}' })
        expect(answer.headers['cache-control'] ?? []).not.toContain('private')
      })

      it('HEAD as GET, without a body', async () => {
        const authorization = [`Bearer ${await issuer.sign()}`]
        const answer = await call('/protected', { method: 'HEAD', authorization })
        expect(answer).toMatchObject({ status: 200, body: '' })
      })

      it('many at once, each with the claims of its own', async () => {
        const subs = Array.from({ length: 40 }, (_, i) => `user-${i}`)
        const answers = await Promise.all(
          subs.map(async (sub) => get('/protected', `Bearer ${await issuer.sign({ sub })}`)),
        )
        expect(answers.map(({ body }) => (JSON.parse(body) as { sub: string }).sub)).toEqual(subs)
      })
    })

    describe('asks for a token, without an error code,', () => {
      it.each([
        ['without credentials', []],
        ['with the scheme Basic', ['Basic YWxpY2U6c2VjcmV0']],
        ['with a scheme that only begins like Bearer', ['Bearerish abcdefgh']],
      ])('%s', async (_, authorization) => {
        expectDenial(await get('/protected', ...authorization), 'token_missing')
      })

      it('with a token in the query where the route does not take it', async () => {
        expectDenial(await get(`/protected?access_token=${await issuer.sign()}`), 'token_missing')
      })

      it('for HEAD, without a body', async () => {
        const answer = await call('/protected', { method: 'HEAD' })
        expect(answer).toMatchObject({ status: 401, body: '' })
        expect(challengeOf(answer)).toEqual({ realm: REALM })
      })
    })

    describe('answers 400', () => {
      it.each(['Bearer', 'Bearer ', 'bearer'])('to "%s" without a token', async (field) => {
        expectDenial(await get('/protected', field), 'request_invalid')
      })

      it('to a token in the field and in the query', async () => {
        const token = await issuer.sign()
        expectDenial(await get(`/query?access_token=${token}`, `Bearer ${token}`), 'request_invalid')
      })

      it('to two tokens in the query', async () => {
        const query = `access_token=${await issuer.sign()}&access_token=${await issuer.sign()}`
        expectDenial(await get(`/query?${query}`), 'request_invalid')
      })

      it('to an empty token in the query', async () => {
        expectDenial(await get('/query?access_token='), 'request_invalid')
      })
    })

    it('never picks one of two Authorization fields', async () => {
      const [good, other] = [`Bearer ${await issuer.sign()}`, `Bearer ${await issuer.sign({ sub: 'bob' })}`]
      const code = traits.joinsFields === true ? 'token_malformed' : 'request_invalid'
      expectDenial(await get('/protected', good, other), code)
      expectDenial(await get('/protected', good, good), code)
      expectDenial(await get('/protected', good, 'Basic YWxpY2U6c2VjcmV0'), code)
      const basicFirst = traits.joinsFields === true ? 'token_missing' : 'request_invalid'
      expectDenial(await get('/protected', 'Basic YWxpY2U6c2VjcmV0', good), basicFirst)
    })

    describe('refuses', () => {
      const now = () => Math.floor(Date.now() / 1000)
      const cases: Record<string, [DenialCode, () => string | Promise<string>]> = {
        'what is no token': ['token_malformed', () => 'canary-no-token'],
        'a token with a space in it': ['token_malformed', async () => `${await issuer.sign()} x`],
        'a token that is too long': ['token_malformed', () => 'a'.repeat(8193)],
        'a token without a signature (alg none)': ['token_malformed', () => unsigned('')],
        'a token that says alg none and has a signature': ['token_invalid', () => unsigned('c2ln')],
        'an expired token': ['token_expired', () => issuer.sign({ iat: now() - 700, exp: now() - 100 })],
        'a token that is not valid yet': ['token_invalid', () => issuer.sign({ nbf: now() + 300 })],
        'a token signed by another key': ['token_invalid', () => stranger.sign()],
        'a token with another payload': ['token_invalid', altered],
        'a token of another algorithm': ['token_invalid', otherAlgorithm],
        'a token of another issuer': ['token_invalid', () => issuer.sign({ iss: 'https://other.example' })],
        'a token for another audience': [
          'token_invalid',
          () => issuer.sign({ aud: 'https://other.example' }),
        ],
        'a token of another type': ['token_invalid', () => issuer.sign({}, { typ: 'JWT' })],
        'a token that lacks a claim': ['token_invalid', () => issuer.sign({ client_id: undefined })],
        'a token that is older than is accepted': [
          'token_expired',
          () => issuer.sign({ iat: now() - 4000, exp: now() + 600 }),
        ],
        'a revoked token': ['token_revoked', revoked],
        'a token of a person whose tokens are revoked': ['token_revoked', revokedSub],
      }

      async function altered(): Promise<string> {
        const [header, payload, signature] = (await issuer.sign()).split('.') as [string, string, string]
        const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
        return [header, base64url({ ...claims, sub: 'root' }), signature].join('.')
      }
      async function otherAlgorithm(): Promise<string> {
        // RFC 8725 §2.1: the public key must never serve as a shared secret.
        const secret = new TextEncoder().encode(JSON.stringify(issuer.jwk))
        return new SignJWT({ sub: 'root', client_id: 'app', jti: randomUUID() })
          .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
          .setIssuer(ISSUER)
          .setAudience(AUDIENCE)
          .setIssuedAt()
          .setExpirationTime('5m')
          .sign(secret)
      }
      async function revoked(): Promise<string> {
        const token = await issuer.sign()
        await gate.manager.revokeToken(token)
        return token
      }
      async function revokedSub(): Promise<string> {
        const sub = randomUUID()
        // Signed before: a token of the next second would be a new log-in, which passes.
        const token = await issuer.sign({ sub })
        await gate.manager.revoke({ sub })
        return token
      }

      it.each(Object.entries(cases))('%s', async (_, [code, make]) => {
        const token = await make()
        expectDenial(await get('/protected', `Bearer ${token}`), code)
        expectDenial(await get(`/query?access_token=${encodeURIComponent(token)}`), code)
      })

      it('a token with too little scope, and names the scope', async () => {
        for (const scope of [undefined, '', 'read', 'administrator', 'read ADMIN']) {
          const answer = await get('/admin', `Bearer ${await issuer.sign({ scope })}`)
          expectDenial(answer, 'scope_insufficient')
        }
      })

      it('a token after the log-out that it asked for, and no other', async () => {
        const [token, other] = [await issuer.sign(), await issuer.sign()]
        expect((await get('/protected', `Bearer ${token}`)).status).toBe(200)
        const logout = await call('/logout', {
          method: 'POST',
          authorization: [`Bearer ${token}`],
        })
        expect(logout).toMatchObject({ status: 204, body: '' })
        expectDenial(await get('/protected', `Bearer ${token}`), 'token_revoked')
        expectDenial(await get('/admin', `bearer  ${token}`), 'token_revoked')
        expectDenial(
          await call('/logout', { method: 'POST', authorization: [`Bearer ${token}`] }),
          'token_revoked',
        )
        expect((await get('/protected', `Bearer ${other}`)).status).toBe(200)
      })
    })

    if (traits.answersFailures === true) {
      it('answers 503 to a log-out that could not be stored', async () => {
        const failure = new RescindError('ERR_STORE_UNAVAILABLE', 'the store is away')
        const revokeToken = vi.spyOn(gate.manager, 'revokeToken').mockRejectedValue(failure)
        // What frameworks write of a failure is not looked at.
        const written = vi.spyOn(console, 'error').mockReturnValue()
        try {
          const authorization = [`Bearer ${await issuer.sign()}`]
          expect((await call('/logout', { method: 'POST', authorization })).status).toBe(503)
          runsWanted += 1
          expect(revokeToken).toHaveBeenCalledTimes(1)
        } finally {
          revokeToken.mockRestore()
          written.mockRestore()
        }
      })
    }

    it('answers OPTIONS without running the handler', async () => {
      const answer = await call('/protected', { method: 'OPTIONS' })
      expect(answer.status).toBe(traits.options)
      expect(answer.body).not.toContain('sub')
    })

    it('asks the gate once a request, and not at all where none stands', async () => {
      const check = vi.spyOn(gate, 'check')
      try {
        await get('/open')
        expect(check).toHaveBeenCalledTimes(0)
        await get('/protected', `Bearer ${await issuer.sign()}`)
        expect(check).toHaveBeenCalledTimes(1)
        await get('/admin', `Bearer ${await issuer.sign({ scope: 'admin' })}`)
        expect(check).toHaveBeenCalledTimes(2)
        await call('/form', form('note=x'))
        expect(check).toHaveBeenCalledTimes(3)
      } finally {
        check.mockRestore()
      }
    })

    describe('takes a token from a form where the route allows it:', () => {
      const post = (fields: string) => call('/form', form(fields))

      if (traits.hasNoForms === true) {
        it('but not here, where the body is never read', async () => {
          expectDenial(await post(`access_token=${await issuer.sign()}`), 'token_missing')
        })
      } else {
        it('the form of a POST, which the handler can still read', async () => {
          const answer = await post(`note=kept&access_token=${await issuer.sign()}`)
          expect(answer).toMatchObject({ status: 200, body: '{"sub":"alice","note":"kept"}' })
        })

        it('never two tokens at once', async () => {
          const token = await issuer.sign()
          const authorization = [`Bearer ${token}`]
          const both = await call('/form', { ...form(`access_token=${token}`), authorization })
          expectDenial(both, 'request_invalid')
          expectDenial(await post(`access_token=${token}&access_token=${token}`), 'request_invalid')
          expectDenial(await post('access_token='), 'request_invalid')
        })

        it('never a token that is refused elsewhere', async () => {
          expectDenial(await post(`access_token=${await stranger.sign()}`), 'token_invalid')
        })
      }

      it('never a body that is no form', async () => {
        const body = JSON.stringify({ access_token: await issuer.sign() })
        const headers = { 'Content-Type': 'application/json' }
        expectDenial(await call('/form', { method: 'POST', headers, body }), 'token_missing')
      })

      it('or from the field', async () => {
        const answer = await call('/form', {
          ...form('note=kept'),
          authorization: [`Bearer ${await issuer.sign()}`],
        })
        expect(answer.status).toBe(200)
      })
    })

    describe('while the store is away', () => {
      let away: Gate
      let servedAway: Served
      const causes: RescindError[] = []
      beforeAll(async () => {
        away = makeGate(issuer, new AwayStore(), (cause) => causes.push(cause))
        servedAway = await start(away, ran)
      })
      afterAll(() => servedAway.close())

      it('answers 503 to a good token, and tells the application why', async () => {
        const authorization = [`Bearer ${await issuer.sign({ scope: 'admin' })}`]
        for (const path of ['/protected', '/admin', '/query']) {
          expectDenial(await call(path, { authorization }, servedAway.url), 'check_unavailable')
        }
        expect(causes.map(({ code }) => code)).toEqual(Array(3).fill('ERR_STORE_UNAVAILABLE'))
      })

      it('still asks for a token, refuses a forged one, and lets everybody in where no gate stands', async () => {
        expectDenial(await call('/protected', {}, servedAway.url), 'token_missing')
        const authorization = [`Bearer ${await stranger.sign()}`]
        expectDenial(await call('/protected', { authorization }, servedAway.url), 'token_invalid')
        expect((await call('/open', {}, servedAway.url)).status).toBe(200)
      })
    })
  })
}

class AwayStore extends MemoryStore {
  override async find(): Promise<never> {
    throw new RescindError('ERR_STORE_UNAVAILABLE', 'the store is away')
  }

  override async readLog(): Promise<never> {
    throw new RescindError('ERR_STORE_UNAVAILABLE', 'the store is away')
  }
}

export function makeGate(
  issuer: Issuer,
  store = new MemoryStore(),
  onUncertain?: (cause: RescindError) => void,
): Gate {
  const manager = new TokenManager({ store, verifier: issuer.verifier })
  return new Gate({ manager, realm: REALM, retryAfterSeconds: Number(RETRY_AFTER), onUncertain })
}

/** The whole answer of a denial: status, every header, challenge and body (RFC 6750 §3, RFC 9457). */
export function expectDenial(answer: Answer, code: DenialCode): void {
  const status = STATUS[code]
  const body = JSON.parse(answer.body) as Record<string, unknown>
  expect({ status: answer.status, code: body.code }).toEqual({ status, code })
  expect(body).toEqual({
    type: `urn:rescind:denial:${code}`,
    title: expect.stringMatching(/^[A-Z]/) as unknown,
    status,
    detail: expect.stringMatching(/^[A-Z]/) as unknown,
    code,
  })
  expect(answer.headers['content-type']).toEqual(['application/problem+json'])
  expect(answer.headers['cache-control']).toEqual(['no-store'])
  expect(answer.headers['retry-after']).toEqual(status === 503 ? [RETRY_AFTER] : undefined)
  expect(challengeOf(answer)).toEqual(challengeFor(code, body.detail))
}

function challengeFor(code: DenialCode, detail: unknown): object | undefined {
  if (code === 'check_unavailable') return undefined
  if (code === 'token_missing') return { realm: REALM }
  if (code === 'request_invalid') return { realm: REALM, error: 'invalid_request', error_description: detail }
  if (code === 'scope_insufficient') {
    return { realm: REALM, error: 'insufficient_scope', error_description: detail, scope: 'admin' }
  }
  return { realm: REALM, error: 'invalid_token', error_description: detail }
}

/** The one challenge of an answer: each parameter once, values of the characters of RFC 6750 §3. */
function challengeOf(answer: Answer): Record<string, string> | undefined {
  const fields = answer.headers['www-authenticate']
  if (fields === undefined) return undefined
  expect(fields).toHaveLength(1)
  const [, text = ''] = /^Bearer (.*)$/.exec(fields[0] ?? '') ?? []
  const parameters = [...text.matchAll(/(?:^|, )([a-z_]+)="([\x20\x21\x23-\x5b\x5d-\x7e]*)"/g)]
  expect(parameters.map(([whole]) => whole).join('')).toBe(text)
  const names = parameters.map(([, key]) => key)
  expect(new Set(names).size).toBe(names.length)
  return Object.fromEntries(parameters.map(([, key, value]) => [key, value]) as [string, string][])
}

function unsigned(signature: string): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'root',
    client_id: 'app',
    jti: '1',
    iat: now,
    exp: now + 600,
  }
  return `${base64url({ alg: 'none', typ: 'at+jwt' })}.${base64url(claims)}.${signature}`
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
