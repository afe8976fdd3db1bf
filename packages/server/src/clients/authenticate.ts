/**
 * Who asks? `client_secret_basic` and `client_secret_post` (RFC 6749 §2.3.1), `private_key_jwt` (RFC 7523 §2.2) and a
 * bearer API key (RFC 6750 §2.1). The answer is data; only records that cannot be read are an exception.
 *
 * A secret is hashed once and then remembered for some minutes, by a digest under a key of this process. Wrong ones are
 * counted by client and address together, those that name a key of ours by key and address, so that nobody who guesses can
 * lock out somebody who knows; and for all clients together by address, so that other names are no way round.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { type JwtVerifier, RescindError } from 'rescind'
import { CLIENT_ID } from '../config/schema.js'
import type { Records } from '../records/records.js'
import { unverifiedClaims } from '../unverified-claims.js'
import { Attempts } from './attempts.js'
import type { Client, ClientKey } from './client.js'
import type { Clients } from './clients.js'
import { type Credentials, type Presented, readPresented } from './credentials.js'
import { Places } from './places.js'
import { keyIdOf, keyIdOfHash, SECRET_LENGTH_MAX, verifyNothing, verifySecret } from './secret.js'

export const CLIENT_AUTH_METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const
export type ClientAuthMethod = (typeof CLIENT_AUTH_METHODS)[number] | 'bearer'

export type Authentication =
  | { readonly status: 'client'; readonly client: Client; readonly method: ClientAuthMethod }
  | { readonly status: 'missing' }
  /** The request is malformed: two methods at once, or one that cannot be read. */
  | { readonly status: 'request-invalid'; readonly reason: string }
  | { readonly status: 'refused'; readonly method: ClientAuthMethod }
  | { readonly status: 'limited'; readonly retryAfterSeconds: number }

export interface AuthenticatorOptions {
  readonly clients: Clients
  readonly records: Records
  /** Whom an assertion may be meant for: the issuer of this service, and its endpoints. */
  readonly audiences: readonly string[]
  readonly failuresPerMinute: number
  readonly ratePerMinute: number
  /** In milliseconds since 1970. */
  readonly now: () => number
}

const KNOWN_MAX = 10_000
const KNOWN_MS = 600_000
/** One address may guess at so many clients as often as it may at one. */
const NAMES_PER_ADDRESS = 10
/** For hashes: as many at once as Node.js has threads for it. */
const PLACES = { workersMax: 4, max: 68, strangersMax: 51, strangerMax: 34 }
/** An assertion that lives longer is refused. */
const ASSERTION_LIFE_MAX_SECONDS = 3600

/** An assertion is good for one use, for as long as it lives. */
interface AssertionUse {
  readonly jti: string
  readonly lifeSeconds: number
}

/** By what a wrong secret is counted. */
interface Guess {
  readonly name: string
  /** The address of whoever names no key that there is. */
  readonly stranger: string | undefined
}

export class Authenticator {
  readonly #options: AuthenticatorOptions
  readonly #failures: Attempts
  /** The same by address alone, whatever client they name. */
  readonly #strangers: Attempts
  readonly #requests: Attempts
  readonly #digestKey = randomBytes(32)
  /** Digests of secrets that were right, and until when that is remembered. */
  readonly #known = new Map<string, number>()
  readonly #places = new Places(PLACES)

  constructor(options: AuthenticatorOptions) {
    this.#options = options
    this.#failures = new Attempts({ perMinute: options.failuresPerMinute })
    this.#strangers = new Attempts({ perMinute: NAMES_PER_ADDRESS * options.failuresPerMinute })
    this.#requests = new Attempts({ perMinute: options.ratePerMinute })
  }

  /** Throws the failure of the records when they cannot be read. */
  async authenticate(credentials: Credentials): Promise<Authentication> {
    const presented = readPresented(credentials)
    if (presented === undefined) return { status: 'missing' }
    if (typeof presented === 'string') return { status: 'request-invalid', reason: presented }
    const result =
      presented.method === 'private_key_jwt'
        ? await this.#byAssertion(presented)
        : await this.#bySecret(presented, credentials.source)
    if (result.status !== 'client') return result
    const { client } = result
    const retryAfterSeconds = this.take(client)
    return retryAfterSeconds > 0 ? limited(retryAfterSeconds) : result
  }

  /** Counts a request of the client. Returns 0, or after how many seconds it may come again. */
  take(client: Client): number {
    return this.#requests.take(client.id, client.ratePerMinute)
  }

  async #bySecret(
    presented: Exclude<Presented, { assertion: string }>,
    source: string,
  ): Promise<Authentication> {
    const { method, secret } = presented
    // What no client can have is refused before any is looked up, so that how long it takes tells nothing, and is not
    // remembered either: it may be as long as the body.
    if (secret.length > SECRET_LENGTH_MAX) return { status: 'refused', method }
    if ('id' in presented && !CLIENT_ID.test(presented.id)) return { status: 'refused', method }
    const keyId = keyIdOf(secret)
    const { clients } = this.#options
    const client =
      presented.method === 'bearer'
        ? keyId === undefined
          ? undefined
          : await clients.findByKeyId(keyId)
        : await clients.find(presented.id)
    const keys = client === undefined || client.isDisabled ? [] : this.#usable(client, keyId)
    const isKnown = () => keys.some((key) => this.#isKnown(key, secret))
    if (client !== undefined && isKnown()) return { status: 'client', client, method }

    // Whoever names a key that there is, whose id nobody can guess, is no stranger.
    const isNamed = keyId !== undefined && keys.some(({ hash }) => keyIdOfHash(hash) === keyId)
    const guess: Guess = {
      name: `${isNamed ? keyId : 'id' in presented ? presented.id : ''}\n${source}`,
      stranger: isNamed ? undefined : source,
    }
    const waitSeconds = this.#waitSeconds(guess)
    if (waitSeconds > 0) return limited(waitSeconds)
    if (method === 'bearer' && !isNamed) return this.#refuse(guess, method)
    const answer = await this.#places.run(guess.stranger, async (): Promise<Authentication> => {
      // Many come back at once with the same: who waited finds it known; or that others have guessed too often.
      if (client !== undefined && isKnown()) return { status: 'client', client, method }
      const laterSeconds = this.#waitSeconds(guess)
      if (laterSeconds > 0) return limited(laterSeconds)
      // One hash for whom there is none, as for a client with one secret: how long it takes tells nothing.
      if (keys.length === 0) await verifyNothing(secret)
      for (const key of keys) {
        if (!(await verifySecret(secret, key.hash))) continue
        this.#remember(key, secret)
        if (client !== undefined) return { status: 'client', client, method }
      }
      return this.#refuse(guess, method)
    })
    return answer ?? limited(1)
  }

  #waitSeconds({ name, stranger }: Guess): number {
    const ofAddress = stranger === undefined ? 0 : this.#strangers.waitSeconds(stranger)
    return Math.max(ofAddress, this.#failures.waitSeconds(name))
  }

  #refuse({ name, stranger }: Guess, method: ClientAuthMethod): Authentication {
    this.#failures.take(name)
    if (stranger !== undefined) this.#strangers.take(stranger)
    return { status: 'refused', method }
  }

  /**
   * RFC 7523 §3. Nobody guesses a signature, so wrong ones are not counted: they would lock out whose name they bear.
   */
  async #byAssertion({ assertion, id }: Extract<Presented, { assertion: string }>): Promise<Authentication> {
    const refused: Authentication = { status: 'refused', method: 'private_key_jwt' }
    const claimed = unverifiedClaims(assertion)?.sub
    if (typeof claimed !== 'string' || (id !== undefined && id !== claimed)) return refused
    const { clients } = this.#options
    const client = await clients.find(claimed)
    const verifier = clients.assertionVerifierOf(claimed)
    if (client === undefined || client.isDisabled || verifier === undefined) return refused
    const use = await this.#verifyAssertion(assertion, claimed, verifier)
    if (use === undefined || !(await this.#isFirstUse(claimed, use))) return refused
    return { status: 'client', client, method: 'private_key_jwt' }
  }

  /** Issuer and subject are the client, the audience is this service. Throws where its keys cannot be fetched. */
  async #verifyAssertion(
    assertion: string,
    claimed: string,
    verifier: JwtVerifier,
  ): Promise<AssertionUse | undefined> {
    const { audiences, now } = this.#options
    const nowSeconds = now() / 1000
    const result = await verifier.verify(assertion, nowSeconds)
    if (result.status === 'unknown')
      throw new RescindError('ERR_KEYS_UNAVAILABLE', 'the key set of the client cannot be reached', {
        cause: result.cause,
      })
    if (result.status === 'invalid') return undefined
    const { sub, aud, exp, jti } = result.token.claims
    if (sub !== claimed || ![aud].flat().some((party) => audiences.includes(party as string)))
      return undefined
    const lifeSeconds = Math.ceil((exp as number) - nowSeconds + verifier.clockToleranceSeconds) + 1
    return lifeSeconds > ASSERTION_LIFE_MAX_SECONDS ? undefined : { jti: String(jti), lifeSeconds }
  }

  #isFirstUse(client: string, { jti, lifeSeconds }: AssertionUse): Promise<boolean> {
    const digest = createHash('sha256')
      .update(JSON.stringify([client, jti]))
      .digest('base64url')
    return this.#options.records.write('once', `assertion:${digest}`, '1', { isNew: true, lifeSeconds })
  }

  /** Those that have not ended; with an id, the one of that id and those that have none. */
  #usable(client: Client, keyId: string | undefined): readonly ClientKey[] {
    const now = this.#options.now() / 1000
    return client.keys.filter(({ hash, expiresAt }) => {
      const id = keyIdOfHash(hash)
      return (expiresAt === undefined || now < expiresAt) && (id === undefined || id === keyId)
    })
  }

  #isKnown(key: ClientKey, secret: string): boolean {
    const digest = this.#digest(key, secret)
    const until = this.#known.get(digest)
    if (until === undefined) return false
    this.#known.delete(digest)
    if (until <= this.#options.now()) return false
    this.#known.set(digest, this.#options.now() + KNOWN_MS)
    return true
  }

  #remember(key: ClientKey, secret: string): void {
    this.#known.set(this.#digest(key, secret), this.#options.now() + KNOWN_MS)
    if (this.#known.size <= KNOWN_MAX) return
    const oldest = this.#known.keys().next().value
    if (oldest !== undefined) this.#known.delete(oldest)
  }

  /** Of the hash too: what was right for a key that was taken away is right no more. */
  #digest({ hash }: ClientKey, secret: string): string {
    return createHmac('sha256', this.#digestKey).update(hash).update('\0').update(secret).digest('base64')
  }
}

function limited(retryAfterSeconds: number): Authentication {
  return { status: 'limited', retryAfterSeconds }
}
