/**
 * Families of refresh tokens, with rotation and detection of reuse (RFC 9700 §2.2.2 and §4.14.2). A family is one
 * log-in of one client: all refresh tokens that came from it, each in exchange for the one before. Of every generation
 * one token is ever used; whoever presents another, or one from before, has ended the family, access tokens included.
 *
 * A family is named by claims of its tokens, so that to revoke it is a revocation of a target like any other. New is
 * only its mark, "used up to here" (`core/mark`), which the store moves forward in one step. Marks are not in the change
 * log, where every node would read them: a rotation every ten minutes of a million families would write 53 kB a second
 * (32 bytes each), 32 GB in a week. What a store loses of them, no node gives back: such a family is `forgotten`, and
 * its client logs in again.
 */
import { BEGINNING, type Mark, usageOf } from '../core/mark.js'
import { type Revocation, TIME_MAX } from '../core/revocation.js'
import type { Claims, Target } from '../core/target.js'
import { RescindError } from '../errors.js'
import { endOfExp, endOfTokensUntil } from '../token-life.js'
import type { Receipt, TokenManager } from '../token-manager.js'
import { VerifiedToken } from '../token/verifier.js'
import {
  familyTarget,
  type FamilyToken,
  firstClaims,
  markName,
  nextClaims,
  readFamilyToken,
  type RefreshClaims,
} from './claims.js'
import {
  type BeginOptions,
  checkedOptions,
  type FamilySettings,
  type RefreshFamiliesOptions,
  type Reuse,
} from './options.js'

/**
 * What became of a refresh token.
 * - `rotated`: it was used for the first time; `repeated`: once more within the grace. `claims` are those of the next
 *   refresh token, and `claims.iat` is the `iat` of the access token that goes with it: then whoever was logged out
 *   meanwhile is logged out of that one too.
 * - `reused`: it had been used. This call has revoked the family.
 * - `revoked`: the family, the person, the client or the token was revoked before.
 * - `expired`: the token or its family has reached its end.
 * - `forgotten`: the store does not know the family (it was emptied, or lost what it wrote last).
 * - `invalid`: it is no token of a family. `reason` is a sentence without any part of the token.
 *
 * All but the first two are `invalid_grant` (RFC 6749 §5.2): the client logs in again.
 */
export type Rotation =
  | { readonly status: 'rotated' | 'repeated'; readonly claims: RefreshClaims }
  | { readonly status: 'reused'; readonly revocation: Receipt }
  | { readonly status: 'revoked'; readonly revocation: Revocation }
  | { readonly status: 'expired' }
  | { readonly status: 'forgotten' }
  | { readonly status: 'invalid'; readonly reason: string }

export class RefreshFamilies {
  readonly manager: TokenManager
  readonly settings: FamilySettings
  readonly #onReuse: (reuse: Reuse) => void

  /** Throws one `ERR_CONFIG_INVALID` for everything that is wrong with the options. */
  constructor(options: RefreshFamiliesOptions) {
    this.settings = checkedOptions(options)
    this.manager = options.manager
    this.#onReuse = options.onReuse ?? (() => undefined)
  }

  /**
   * Begins a family at a log-in. Takes what its refresh tokens shall say (`iss`, `aud`, `sub`, `client_id`, `scope` …)
   * and gives all claims of the first one, with `iat`, `exp`, `jti`, and a `sid` where that names families and was not
   * given. Give the access token the same `sid`. Throws `ERR_OPTION_INVALID` for claims that are made here
   * (`iat`, `exp`, `nbf`, `jti`, `begun`, `generation`) and for a family that lives already, `ERR_TARGET_INVALID` for
   * one that cannot be named, `ERR_ACK_NOT_REACHED` and the failures of the store.
   */
  async begin(claims: Claims, { issuedAt }: BeginOptions = {}): Promise<RefreshClaims> {
    const now = this.manager.now()
    const first = firstClaims(claims, begunAt(now, issuedAt), this.settings)
    const mark = markName(this.targetOf(first), first.begun)
    const { isMoved, shortfall } = await this.#advance(mark, BEGINNING, mark, now, first.exp)
    if (!isMoved) {
      throw new RescindError(
        'ERR_OPTION_INVALID',
        'a family with these claims lives already: give each log-in a value of its own, or leave sid to begin',
      )
    }
    if (shortfall !== undefined) throw shortfall
    return first
  }

  /**
   * Uses a refresh token, which must have been verified: takes what a verifier gave, or its claims. Throws, and then the
   * token is refused, when the store cannot tell or cannot keep what was used: `ERR_STORE_…`, `ERR_ACK_NOT_REACHED`;
   * `ERR_CLAIM_INVALID` for a claim that cannot be compared with what is revoked.
   */
  async rotate(token: VerifiedToken | Claims): Promise<Rotation> {
    const claims = token instanceof VerifiedToken ? token.claims : token
    const now = this.manager.now()
    const presented = readFamilyToken(claims, this.settings.claims)
    if ('problem' in presented) {
      return { status: 'invalid', reason: `The token is not a refresh token: ${presented.problem}` }
    }
    if (now >= this.#endOf(presented)) return { status: 'expired' }
    // As old as its family: whoever is logged out everywhere is logged out by every token that came from a log-in before,
    // also by one that another node gave out a moment later, or by a faster clock.
    const aged = { ...claims, iat: presented.begun }
    // Under its own name too, which not every verifier makes of claims.
    const subject = token instanceof VerifiedToken ? new VerifiedToken(aged, '', token.target) : aged
    const check = await this.manager.check(subject, { consistency: 'strict' })
    if (check.status === 'unknown') throw check.cause
    if (check.status === 'revoked') return { status: 'revoked', revocation: check.revocation }
    return this.#use(presented, now)
  }

  /**
   * The target that names the family of these claims, of a refresh or an access token: to revoke for a log-out. Throws
   * `ERR_TARGET_INVALID` when they lack one.
   */
  targetOf(claims: Claims): Target {
    return familyTarget(claims, this.settings.claims)
  }

  async #use(presented: FamilyToken, now: number): Promise<Rotation> {
    const next = nextClaims(presented, now, this.settings)
    const { generation, token, mark } = presented
    const advancement = await this.#advance(mark, generation, token, now, next.exp)
    const wanted = markOf(generation, token, now)
    const usage = usageOf(advancement, wanted, this.settings.graceSeconds)
    if (usage === 'forgotten') return { status: 'forgotten' }
    if (usage === 'used') return this.#revokeReused(presented, now)
    if (advancement.shortfall !== undefined) throw advancement.shortfall
    return { status: usage === 'first' ? 'rotated' : 'repeated', claims: next }
  }

  async #revokeReused(presented: FamilyToken, now: number): Promise<Rotation> {
    const { target, claims } = presented
    try {
      this.#onReuse({ target, claims })
    } catch {
      // An application's own failure to raise an alarm does not keep the family alive.
    }
    const { settings } = this.manager
    // Until its last refresh token has ended, and the last access token that was issued with one.
    const end = Math.max(endOfExp(this.#familyEndOf(presented), settings), endOfTokensUntil(now, settings))
    const revocation = await this.manager.revoke(target, {
      issuedBefore: null,
      expiresAt: end,
      reason: 'a refresh token was used again',
      ack: this.settings.ack,
    })
    return { status: 'reused', revocation }
  }

  /** The mark is kept until the last token that is given out now has ended by every clock. */
  #advance(name: string, generation: number, token: string, now: number, exp: number) {
    return this.manager.store.advance(name, markOf(generation, token, now), {
      now: Math.floor(now),
      end: Math.min(endOfExp(exp, this.manager.settings), TIME_MAX),
      ack: this.settings.ack,
    })
  }

  #endOf(presented: FamilyToken): number {
    const { clockToleranceSeconds } = this.manager.settings
    return Math.min(presented.exp + clockToleranceSeconds, this.#familyEndOf(presented))
  }

  #familyEndOf({ begun }: FamilyToken): number {
    return begun + this.settings.lifetimeSeconds
  }
}

function begunAt(now: number, issuedAt = Math.floor(now)): number {
  if (Number.isInteger(issuedAt) && issuedAt >= 0 && issuedAt <= now + 1) return issuedAt
  throw new RescindError(
    'ERR_OPTION_INVALID',
    'issuedAt must be whole seconds since 1970, a second from now at the most',
  )
}

function markOf(generation: number, token: string, now: number): Mark {
  return { generation, token, usedAt: Math.floor(now) }
}
