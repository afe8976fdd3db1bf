/**
 * Whom a run is about: numbered tokens. Each is revoked under one target of its own, by token, person or session, and
 * every fifth is a bystander whom nobody ever revokes.
 */
import type { Claims, Target } from '../../../src/core/target.js'

const ISS = 'https://login.example.com'
const IAT = 1_700_000_000
const BYSTANDER_EVERY = 5

export function claimsOf(subject: number): Claims {
  return { iss: ISS, jti: `token-${subject}`, sub: `person-${subject}`, sid: `session-${subject}`, iat: IAT }
}

export function targetOf(subject: number): Target {
  switch (subject % 4) {
    case 0:
      return { sub: `person-${subject}` }
    case 1:
      return { sid: `session-${subject}` }
    default:
      return { iss: ISS, jti: `token-${subject}` }
  }
}

/** Its name in the history. */
export function nameOf(subject: number): string {
  return `token-${subject}`
}

export function isBystander(subject: number): boolean {
  return subject % BYSTANDER_EVERY === BYSTANDER_EVERY - 1
}
