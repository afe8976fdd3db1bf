/** Tokens as an attacker makes them up: headers, payloads, and signatures by whatever can be had. */
import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { expect } from 'vitest'
import { RescindError } from '../../src/errors.js'
import type { Verification, Verifier } from '../../src/token/verifier.js'
import { AUDIENCE, ISSUER } from '../support/issuer.js'
import type { Hostile } from './inputs.js'

const CODES = ['ERR_TOKEN_MALFORMED', 'ERR_TOKEN_INVALID', 'ERR_TOKEN_EXPIRED']

export const base64url = (text: string) => Buffer.from(text).toString('base64url')

/** Verifies, and sees to the form of the answer. */
export async function verify(hostile: Hostile, verifier: Verifier, token: string): Promise<Verification> {
  const result = await hostile.later(() => verifier.verify(token, Date.now() / 1000))
  if (result.status === 'unknown') expect(result.cause).toBeInstanceOf(RescindError)
  if (result.status === 'invalid') {
    expect(CODES).toContain(result.code)
    // Reasons are sentences of ours.
    expect(result.reason).toMatch(/^[A-Za-z0-9 _]{1,80}$/)
  }
  return result
}

/** Headers that a stranger may write, as JSON, each with why it is nasty. */
export const HEADERS: Readonly<Record<string, string>> = {
  'no signature': '{"alg":"none","typ":"at+jwt"}',
  'no signature in another case': '{"alg":"nOnE","typ":"at+jwt"}',
  'no algorithm': '{"typ":"at+jwt"}',
  'an empty algorithm': '{"alg":"","typ":"at+jwt"}',
  'a list of algorithms': '{"alg":["HS256"],"typ":"at+jwt"}',
  'a shared secret in place of a public key': '{"alg":"HS256","typ":"at+jwt","kid":"one"}',
  'two algorithms, of which parsers take the last': '{"alg":"RS256","alg":"HS256","typ":"at+jwt"}',
  'an algorithm that every object has': '{"alg":"constructor","typ":"at+jwt"}',
  'an algorithm of encryption': '{"alg":"RSA-OAEP","enc":"A256GCM","typ":"at+jwt"}',
  'a key of its own': '{"alg":"ES256","typ":"at+jwt","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}',
  'a key set of its own': '{"alg":"RS256","typ":"at+jwt","jku":"http://127.0.0.1:9/keys"}',
  'a certificate of its own': '{"alg":"RS256","typ":"at+jwt","x5u":"http://127.0.0.1:9/cert","x5c":["AAAA"]}',
  'a key in a file': '{"alg":"HS256","typ":"at+jwt","kid":"../../../../dev/null"}',
  'a key of a query': '{"alg":"HS256","typ":"at+jwt","kid":"x\' UNION SELECT \'k"}',
  'a long name of a key': `{"alg":"ES256","typ":"at+jwt","kid":"${'k'.repeat(5500)}"}`,
  'a name of a key that is no text': '{"alg":"ES256","typ":"at+jwt","kid":{"toString":1}}',
  'a name of a key that every object has': '{"alg":"ES256","typ":"at+jwt","kid":"__proto__"}',
  'what must be understood and is not': '{"alg":"ES256","typ":"at+jwt","crit":["exp"],"exp":1}',
  'what must be understood, as no list': '{"alg":"ES256","typ":"at+jwt","crit":"exp"}',
  'a payload that is not encoded': '{"alg":"ES256","typ":"at+jwt","crit":["b64"],"b64":false}',
  'the same, not critical': '{"alg":"ES256","typ":"at+jwt","b64":false}',
  'a compressed payload': '{"alg":"ES256","typ":"at+jwt","zip":"DEF"}',
  'members that every object has':
    '{"alg":"ES256","typ":"at+jwt","__proto__":{"alg":"none"},"constructor":1}',
  'a list': '["ES256"]',
  'a null': 'null',
  'not JSON': '{"alg":"ES256"',
  'deep nesting': `{"alg":"ES256","x":${'['.repeat(2500)}${']'.repeat(2500)}}`,
}

/** A forgery: the header as it is, a payload that would pass, and a signature by what an attacker has. */
export function forge(header: string, payload: string, by: Forger): string {
  const input = `${base64url(header)}.${base64url(payload)}`
  return `${input}.${by(Buffer.from(input)).toString('base64url')}`
}
export type Forger = (input: Buffer) => Buffer

const own = {
  ec: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  rsa: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ed: generateKeyPairSync('ed25519'),
}
export const forgers = (published: readonly (string | Buffer)[]): Forger[] => [
  () => Buffer.alloc(0),
  () => Buffer.alloc(64),
  // CVE-2022-21449: r and s of zero. The same with those of the order.
  () => Buffer.alloc(64, 0xff),
  (input) => signBy(own.ec.privateKey, input),
  (input) => signBy(own.rsa.privateKey, input),
  (input) => sign(undefined, input, own.ed.privateKey),
  ...['', 'secret', ...published].map(
    (key): Forger =>
      (input) =>
        createHmac('sha256', key).update(input).digest(),
  ),
]

function signBy(key: KeyObject, input: Buffer): Buffer {
  return sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' })
}

export const payloadText = (more: readonly (readonly [string, string])[] = []) => {
  const now = Math.floor(Date.now() / 1000)
  const usual = [
    ['iss', `"${ISSUER}"`],
    ['aud', `"${AUDIENCE}"`],
    ['sub', '"mallory"'],
    ['client_id', '"app"'],
    ['jti', '"forged"'],
    ['iat', `${now}`],
    ['exp', `${now + 600}`],
  ] as const
  const kept = usual.filter(([name]) => !more.some(([other]) => other === name))
  return `{${[...kept, ...more].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`
}
