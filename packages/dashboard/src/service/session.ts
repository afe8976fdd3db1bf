/**
 * Who is signed in. The session itself is in a cookie that this page cannot read; here is only what the service says of
 * it. It is renewed while somebody uses the page, and ends by itself otherwise.
 */
import { computed, signal } from '@preact/signals'
import { ask, whenSessionEnds } from './ask.js'

export type Role = 'read' | 'revoke:own' | 'revoke:any' | 'introspect' | 'admin'

export interface SessionState {
  readonly client: { readonly id: string; readonly name: string | null; readonly roles: readonly Role[] }
  /** In seconds since 1970. */
  readonly expiresAt: number
  readonly endsAt: number
}

/** Undefined before it is known; null where nobody is signed in. */
export const session = signal<SessionState | null | undefined>(undefined)
/** Why nobody is signed in any more; the page stays as it is until somebody signs in again. */
export const hasEnded = signal(false)

/** Why the session could not be ended, where it could not. */
export const signOutFailure = signal<unknown>(undefined)

export const mayRead = computed(() => hasRole('read'))
export const mayRevoke = computed(() => hasRole('revoke:any'))
export const isAdmin = computed(() => hasRole('admin'))

const RENEW_AFTER_MS = 60_000
const RENEW_LOOK_MS = 15_000

type Answer = SessionState | { readonly client: null }

function hasRole(role: Role): boolean {
  const roles = session.value?.client.roles ?? []
  return roles.includes(role) || roles.includes('admin')
}

function take(answer: Answer): void {
  if (answer.client !== null) {
    session.value = answer
    signOutFailure.value = undefined
    hasEnded.value = false
  } else if (session.value) hasEnded.value = true
  else session.value = null
}

export async function loadSession(): Promise<void> {
  take(await ask<Answer>('/ui/session'))
}

export async function signIn(key: string): Promise<void> {
  take(await ask<Answer>('/ui/session', { method: 'POST', body: { key } }))
}

/** Whatever happens, the page is closed; what could not be done is told where one signs in. */
export async function signOut(): Promise<void> {
  signOutFailure.value = undefined
  try {
    await ask('/ui/session', { method: 'DELETE' })
  } catch (error) {
    signOutFailure.value = error
  }
  hasEnded.value = false
  session.value = null
}

/** Renews the session while somebody is there. Returns what ends that. */
export function keepSession(): () => void {
  let usedAt = Date.now()
  let renewedAt = Date.now()
  const used = () => (usedAt = Date.now())
  const events = ['pointerdown', 'keydown'] as const
  for (const event of events) addEventListener(event, used, { passive: true })
  const timer = setInterval(() => {
    const current = session.value
    if (!current || hasEnded.value) return
    if (Date.now() >= current.expiresAt * 1000) {
      // This machine's clock may be wrong: the service knows.
      loadSession().catch(() => undefined)
      return
    }
    if (usedAt <= renewedAt || Date.now() - renewedAt < RENEW_AFTER_MS) return
    renewedAt = Date.now()
    ask<Answer>('/ui/session', { method: 'PUT' }).then(take, () => undefined)
  }, RENEW_LOOK_MS)
  whenSessionEnds(() => {
    if (session.value) hasEnded.value = true
  })
  return () => {
    clearInterval(timer)
    for (const event of events) removeEventListener(event, used)
  }
}
