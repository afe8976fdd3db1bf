/**
 * Several issuers behind one verifier. A token says by whom it was issued; only the keys of that issuer may prove it
 * (RFC 8725 §3.8), with the rules that hold for its tokens.
 */
import { JwtVerifier, RescindError, type Verification, type VerifiedToken, type Verifier } from 'rescind'
import { invalid, keySetIn, readNamedFile } from './config/load.js'
import type { IssuerConfig } from './config/schema.js'
import { unverifiedClaims } from './unverified-claims.js'

const MALFORMED: Verification = {
  status: 'invalid',
  code: 'ERR_TOKEN_MALFORMED',
  reason: 'The token is not a signed JWT',
}
const UNKNOWN: Verification = {
  status: 'invalid',
  code: 'ERR_TOKEN_INVALID',
  reason: 'The token was issued by nobody who is known here',
}

export interface IssuersOptions {
  readonly issuers: readonly IssuerConfig[]
  readonly clockToleranceSeconds: number
}

export class Issuers implements Verifier {
  readonly clockToleranceSeconds: number
  readonly #verifiers: ReadonlyMap<string, JwtVerifier>

  /** Throws one `ERR_CONFIG_INVALID` for everything that is wrong with them. */
  constructor({ issuers, clockToleranceSeconds }: IssuersOptions) {
    this.clockToleranceSeconds = clockToleranceSeconds
    const problems: string[] = []
    const verifiers = new Map<string, JwtVerifier>()
    for (const [i, issuer] of issuers.entries()) {
      try {
        verifiers.set(issuer.issuer, verifierOf(issuer, `issuers[${i}]`, clockToleranceSeconds))
      } catch (error) {
        const found = (error as { problems?: readonly string[] }).problems ?? ['its key set cannot be read']
        problems.push(
          ...found.map((problem) => (problem.startsWith('issuers[') ? problem : `issuers[${i}]: ${problem}`)),
        )
      }
    }
    if (problems.length > 0) throw invalid(problems)
    this.#verifiers = verifiers
  }

  /** Changes when the keys of any of them do. */
  get keysVersion(): number {
    let version = 0
    for (const verifier of this.#verifiers.values()) version += verifier.keysVersion
    return version
  }

  get names(): readonly string[] {
    return [...this.#verifiers.keys()]
  }

  async verify(token: string, now: number): Promise<Verification> {
    const claims = unverifiedClaims(token)
    if (claims === undefined) return MALFORMED
    const verifier = typeof claims.iss === 'string' ? this.#verifiers.get(claims.iss) : undefined
    return verifier === undefined ? UNKNOWN : verifier.verify(token, now)
  }

  /** The same; throws why the token cannot be used, or why that cannot be told. */
  async verified(token: string, now: number): Promise<VerifiedToken> {
    const result = await this.verify(token, now)
    if (result.status === 'unknown') throw result.cause
    if (result.status === 'invalid') throw new RescindError(result.code, result.reason)
    return result.token
  }
}

function verifierOf(issuer: IssuerConfig, place: string, clockToleranceSeconds: number): JwtVerifier {
  const { jwksFile, publicKeyFile, secretFile } = issuer
  return new JwtVerifier({
    issuer: issuer.issuer,
    audience: issuer.audience,
    algorithms: issuer.algorithms,
    typ: issuer.types,
    clockToleranceSeconds,
    requiredClaims: issuer.requiredClaims,
    maxAgeSeconds: issuer.lifetimeMaxSeconds,
    jwksUrl: issuer.jwksUrl,
    jwksAllowHttp: issuer.jwksAllowHttp,
    jwks: jwksFile === undefined ? issuer.jwks : keySetIn(`${place}.jwksFile`, jwksFile),
    publicKey:
      publicKeyFile === undefined ? undefined : readNamedFile(`${place}.publicKeyFile`, publicKeyFile),
    secret:
      secretFile === undefined
        ? undefined
        : readNamedFile(`${place}.secretFile`, secretFile).replace(/\r?\n$/, ''),
  })
}
