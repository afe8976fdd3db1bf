/**
 * Who is signed in at the dashboard. A session is a short JWT that this service signs for itself, in a cookie that no
 * script can read. It is revoked like any other token, in our own store, and every request asks the replica about it:
 * where that cannot tell, nobody is let in.
 *
 * It ends half an hour after the last renewal and at the latest eight hours after the sign-in; sooner, when it is
 * revoked, or its client is disabled, or the key that it was opened with is taken away.
 */
import { randomUUID } from 'node:crypto'
import type { Context } from 'hono'
import { deleteCookie, getCookie, setCookie } from 'hono/cookie'
import type { Claims, RescindError } from 'rescind'
import type { Client } from '../clients/client.js'
import { keyIdOf, keyIdOfHash } from '../clients/secret.js'
import type { Parts } from '../parts.js'

export const SESSION_IDLE_SECONDS = 30 * 60
export const SESSION_MAX_SECONDS = 8 * 3600
/** Read by nobody else: of a type of its own, so that it passes for no other token (RFC 8725, section 3.11). */
const TYPE = 'rescind-session+jwt'
const COOKIE = 'rescind-session'
const COOKIE_LENGTH_MAX = 2048
const REQUIRED = ['sub', 'jti', 'iat', 'exp', 'auth_time'] as const

export interface Session {
  readonly client: Client
  /** What its JWT says, as of the sign-in. */
  readonly claims: Claims
  readonly id: string
  /** When it ends unless it is renewed, in seconds since 1970. */
  readonly expiresAt: number
  /** When it ends whatever is done. */
  readonly endsAt: number
  /** Of the key that it was opened with, where that has an id. */
  readonly keyId: string | undefined
}

export type SessionResult =
  | { readonly status: 'session'; readonly session: Session }
  /** No cookie. */
  | { readonly status: 'missing' }
  /** A cookie that is good no more, or never was. */
  | { readonly status: 'ended' }
  | { readonly status: 'unknown'; readonly cause: RescindError }

/** Opens one for a client whose key was found right, and sets the cookie. */
export async function openSession(c: Context, parts: Parts, client: Client, key: string): Promise<Session> {
  const now = Math.floor(parts.now() / 1000)
  return write(c, parts, { client, id: randomUUID(), keyId: keyIdOf(key), startedAt: now })
}

/** The same session for another while, though not past its end. */
export async function renewSession(c: Context, parts: Parts, session: Session): Promise<Session> {
  const { client, id, keyId, endsAt } = session
  return write(c, parts, { client, id, keyId, startedAt: endsAt - SESSION_MAX_SECONDS })
}

/** Revokes it. Throws the failure of the store. */
export async function endSession({ manager, publicUrl }: Parts, session: Session): Promise<void> {
  const { id, client, endsAt } = session
  await manager.revoke(
    { iss: publicUrl, jti: id },
    {
      // Whatever was renewed of it at the same time ends then at the latest.
      expiresAt: endsAt + manager.settings.skewMarginSeconds + 1,
      reason: 'signed out of the dashboard',
      actor: client.id,
    },
  )
}

export function forgetSession(c: Context, parts: Parts): void {
  deleteCookie(c, COOKIE, cookieOptions(parts))
}

/** The session of a request. Throws the failure of the records when the client cannot be looked up. */
export async function readSession(c: Context, parts: Parts): Promise<SessionResult> {
  const cookie = isSecure(parts) ? getCookie(c, COOKIE, 'host') : getCookie(c, COOKIE)
  if (cookie === undefined || cookie === '') return { status: 'missing' }
  if (cookie.length > COOKIE_LENGTH_MAX) return { status: 'ended' }
  const { signer, publicUrl: party, clients, manager, now } = parts
  const payload = await signer.verify(cookie, { typ: TYPE, party, requiredClaims: REQUIRED, now: now() })
  if (payload === undefined) return { status: 'ended' }
  const { sub, jti, exp = 0, auth_time: startedAt, key_id: keyId } = payload
  const client = await clients.find(sub as string)
  if (client === undefined || !isLetIn(client, keyId, now() / 1000)) return { status: 'ended' }
  // A renewal is no new sign-in: what was revoked since that is dead.
  const claims = { ...payload, iat: startedAt }
  const check = await manager.check(claims)
  if (check.status === 'unknown') return check
  if (check.status === 'revoked') return { status: 'ended' }
  const session: Session = {
    client,
    claims,
    id: jti as string,
    expiresAt: exp,
    endsAt: (startedAt as number) + SESSION_MAX_SECONDS,
    keyId: keyId as string | undefined,
  }
  return { status: 'session', session }
}

async function write(
  c: Context,
  parts: Parts,
  session: { client: Client; id: string; keyId: string | undefined; startedAt: number },
): Promise<Session> {
  const { client, id, keyId, startedAt } = session
  const { signer, publicUrl, manager, now } = parts
  const iat = Math.floor(now() / 1000)
  const endsAt = startedAt + SESSION_MAX_SECONDS
  // A revocation of many lives for `lifetimeMaxSeconds`: a cookie that outlived it would come back to life.
  const lifeSeconds = Math.min(SESSION_IDLE_SECONDS, manager.settings.lifetimeMaxSeconds)
  const expiresAt = Math.min(iat + lifeSeconds, endsAt)
  const claims = {
    iss: publicUrl,
    aud: publicUrl,
    sub: client.id,
    jti: id,
    iat,
    exp: expiresAt,
    auth_time: startedAt,
    ...(keyId === undefined ? {} : { key_id: keyId }),
  }
  setCookie(c, COOKIE, await signer.sign(claims, TYPE), {
    ...cookieOptions(parts),
    maxAge: expiresAt - iat,
  })
  return { client, claims: { ...claims, iat: startedAt }, id, expiresAt, endsAt, keyId }
}

/** Is its client still let in, with the key that it was opened with? Throws the failure of the records. */
export async function holdsClient(
  parts: Parts,
  session: Pick<Session, 'client' | 'keyId'>,
): Promise<boolean> {
  const client = await parts.clients.find(session.client.id)
  return client !== undefined && isLetIn(client, session.keyId, parts.now() / 1000)
}

/** A key that has ended, or is no longer there, takes its sessions along. */
function isLetIn(client: Client, keyId: unknown, nowSeconds: number): boolean {
  if (client.isDisabled) return false
  return (
    keyId === undefined ||
    client.keys.some(
      ({ hash, expiresAt }) =>
        keyIdOfHash(hash) === keyId && (expiresAt === undefined || nowSeconds < expiresAt),
    )
  )
}

function cookieOptions(parts: Parts) {
  const shared = { path: '/', httpOnly: true, sameSite: 'Strict' } as const
  return isSecure(parts) ? ({ ...shared, secure: true, prefix: 'host' } as const) : shared
}

function isSecure({ config, publicUrl }: Parts): boolean {
  return config.listen.tls !== undefined || publicUrl.startsWith('https:')
}
