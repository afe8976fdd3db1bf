/** The example API: log in, call a protected route, log out, and the same token is refused everywhere. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import express, { type ErrorRequestHandler, type Express } from 'express'
import { SignJWT } from 'jose'
import { Gate, hasCode, JwtVerifier, RescindError, type Store, TokenManager } from 'rescind'
import { requireToken } from 'rescind/express'
import type { Keys } from './keys.js'

export const ISSUER = 'https://example-api.invalid'
export const AUDIENCE = 'https://example-api.invalid/api'
const CLIENT_ID = 'example'
/** Tokens live for this long, in seconds. */
const TOKEN_LIFE_SECONDS = 900
const USER_LENGTH_MAX = 64

/** Makes the API. Tokens that another key has signed are not accepted. */
export async function makeApp(
  store: Store,
  env: NodeJS.ProcessEnv,
  { publicKey, privateKey }: Keys,
): Promise<{ app: Express; manager: TokenManager }> {
  const verifier = new JwtVerifier({ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], publicKey })
  const manager = TokenManager.fromEnv(env, { store, verifier })
  const gate = new Gate({
    manager,
    realm: 'example-api',
    onUncertain: (cause) => console.error(`check unavailable: ${cause.code}: ${cause.message}`),
  })

  const app = express()
  app.disable('x-powered-by')
  app.use(express.json({ limit: '4kb' }))

  app.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' })
  })

  app.post('/login', async (request, response) => {
    const user = (request.body as { user?: unknown } | undefined)?.user
    if (typeof user !== 'string' || user === '' || user.length > USER_LENGTH_MAX || !user.isWellFormed()) {
      response
        .status(400)
        .json({ error: `send {"user":"alice"}: a text of 1 to ${USER_LENGTH_MAX} characters` })
      return
    }
    // An example: a real API asks for a password here.
    await afterLogOut(manager, user)
    const token = await new SignJWT({ client_id: CLIENT_ID, scope: 'me' })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setSubject(user)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${TOKEN_LIFE_SECONDS}s`)
      .sign(privateKey)
    response
      .set('cache-control', 'no-store')
      .json({ access_token: token, token_type: 'Bearer', expires_in: TOKEN_LIFE_SECONDS })
  })

  app.get('/me', requireToken(gate), (request, response) => {
    const { sub, iat, exp, jti } = request.auth!.claims
    response.json({ user: sub, token: { jti, iat, exp } })
  })

  app.post('/logout', requireToken(gate), async (request, response) => {
    await manager.revokeToken(request.auth!, { reason: 'log-out' })
    response.status(204).end()
  })

  app.post('/logout-everywhere', requireToken(gate), async (request, response) => {
    await manager.revoke(
      { iss: ISSUER, sub: request.auth!.claims.sub as string },
      { reason: 'log-out everywhere' },
    )
    response.status(204).end()
  })

  app.use(answerFailure)
  return { app, manager }
}

/**
 * "Log out everywhere" kills every token of its second (`issuedBefore` is inclusive), so a log-in in that same
 * second waits for the next one. A store that is away does not keep anybody from logging in.
 */
async function afterLogOut(manager: TokenManager, user: string): Promise<void> {
  const iat = Math.floor(manager.now())
  const result = await manager.check({ iss: ISSUER, sub: user, jti: randomUUID(), iat })
  if (result.status === 'revoked' && result.revocation.issuedBefore === iat) {
    await sleep((iat + 1 - manager.now()) * 1000 + 1)
  }
}

/** A revocation that could not be stored is 503: the client must not believe that it is logged out. */
const answerFailure: ErrorRequestHandler = (error: unknown, _request, response, _next) => {
  if (error instanceof RescindError) {
    console.error(`${error.code}: ${error.message}`)
    response.status(hasCode(error, 'ERR_OPTION_INVALID') ? 400 : 503)
    response.set('retry-after', '1').type('application/problem+json')
    response.send(
      JSON.stringify({
        title: 'Not done',
        status: response.statusCode,
        detail: 'Try again',
        code: error.code,
      }),
    )
    return
  }
  const status = (error as { status?: unknown } | null)?.status
  response
    .status(typeof status === 'number' && status >= 400 && status < 500 ? status : 500)
    .json({ error: 'the request failed' })
}
