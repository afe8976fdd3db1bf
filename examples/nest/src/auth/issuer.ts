/** Issues tokens, and knows how they are verified. */
import { randomUUID } from 'node:crypto'
import { type CryptoKey, generateKeyPair, SignJWT } from 'jose'
import { JwtVerifier } from 'rescind'

export const ISSUER = 'https://accounts.example'
const AUDIENCE = 'https://api.example'

export class Issuer {
  private constructor(
    readonly verifier: JwtVerifier,
    private readonly privateKey: CryptoKey,
  ) {}

  /** Where others issue the tokens, `jwksUrl` takes the place of `publicKey`. */
  static async create(): Promise<Issuer> {
    const { publicKey, privateKey } = await generateKeyPair('ES256')
    const verifier = new JwtVerifier({
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: ['ES256'],
      publicKey,
    })
    return new Issuer(verifier, privateKey)
  }

  /** A token for a person in one application. Only the web application may manage the person's access. */
  issue(user: string, application: string): Promise<string> {
    const scope = application === 'web' ? 'access' : ''
    return new SignJWT({ sub: user, client_id: application, scope, jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setIssuedAt()
      .setExpirationTime('15m')
      .sign(this.privateKey)
  }
}
