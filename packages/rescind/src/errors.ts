/**
 * The one error class of the library. A failure is an exception with a code from a closed union and its
 * cause; a denial (a token that must not pass) is data and never thrown by the gate.
 *
 * No message ever contains a token, a key, a password or the value of a setting.
 */

/** Every code, with what it means. `docs/errors.md` says what to do about each; a test keeps the two equal. */
export const ERROR_CODES = {
  ERR_CONFIG_INVALID: 'a setting, or several, cannot be used; `problems` lists them all',
  ERR_OPTION_INVALID: 'an argument of a call cannot be used',
  ERR_TARGET_INVALID: 'a target is empty, too large, or of a shape that could match by accident',
  ERR_CLAIM_INVALID: 'a token carries a claim that cannot be compared safely with the targets in use',
  ERR_SHAPES_EXCEEDED: 'too many different sets of claim names are revoked at once',
  ERR_VERIFIER_MISSING: 'a token was given as a string, but the TokenManager has no verifier',
  ERR_TOKEN_MALFORMED: 'the token is not of the expected format',
  ERR_TOKEN_INVALID: 'the token is not genuine, or not for this audience',
  ERR_TOKEN_EXPIRED: 'the token has expired',
  ERR_KEYS_UNAVAILABLE: 'the key set that verifies tokens cannot be reached',
  ERR_VERIFY_UNAVAILABLE: "the application's own `verify` function failed",
  ERR_TOKEN_UNNAMED: 'claims without a `jti` cannot be compared with tokens revoked by their digest',
  ERR_STORE_UNAVAILABLE: 'the store cannot be reached',
  ERR_STORE_TIMEOUT: 'the store did not answer within the deadline',
  ERR_STORE_OVERLOADED: 'too many checks wait for the store already',
  ERR_STORE_REFUSED:
    'the store answered that it will not do this (login, rights, memory, read-only, loading)',
  ERR_STORE_EVICTS: 'Redis may drop revocations in silence when its memory is full',
  ERR_STORE_FULL: 'the embedded store holds as many revocations as it may',
  ERR_STORE_CORRUPT: 'the store holds something that this version cannot read',
  ERR_PARTITIONS_DIFFER: 'the namespace was begun with another number of partitions',
  ERR_LOG_CHANGED: 'the change log no longer contains the position asked for',
  ERR_ACK_NOT_REACHED: 'the revocation is stored, but the acknowledgement asked for was not reached',
  ERR_ACK_UNSUPPORTED: 'this store cannot give the acknowledgement asked for',
  ERR_REPLICA_STALE: 'the replica of this node has not heard from the store for too long',
  ERR_CLOSED: 'it was closed before',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_STORE_UNAVAILABLE',
  'ERR_STORE_TIMEOUT',
  'ERR_STORE_OVERLOADED',
  'ERR_STORE_REFUSED',
])

/** Nothing is wrong with the request: whoever sends it again later may succeed. */
const WORTH_REPEATING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...PASSING,
  'ERR_STORE_FULL',
  'ERR_STORE_EVICTS',
  'ERR_KEYS_UNAVAILABLE',
  'ERR_VERIFY_UNAVAILABLE',
  'ERR_REPLICA_STALE',
  'ERR_ACK_NOT_REACHED',
  'ERR_CLOSED',
])

/** Koa writes to them; loggers and comparisons need not see them. */
const AS_HTTP_ERROR: PropertyDescriptorMap = {
  statusCode: { value: 503, writable: true, configurable: true },
  status: { value: 503, writable: true, configurable: true },
  expose: { value: false, writable: true, configurable: true },
}

/** A failure. `code` is stable and documented in `docs/errors.md`; `cause` is kept where there is one. */
export class RescindError extends Error {
  override readonly name = 'RescindError'
  readonly code: ErrorCode
  /** Every problem found, where one error reports several (`ERR_CONFIG_INVALID`). */
  readonly problems: readonly string[]
  /**
   * 503 where the same request may succeed later (RFC 9110, section 15.6.4), else missing. With the two fields below it is
   * what the package `http-errors` has taught frameworks: Express, Fastify, Koa and NestJS answer a route that throws
   * with it, so that a log-out that was not stored is never taken for done.
   */
  declare readonly statusCode?: 503
  declare readonly status?: 503
  /** The message is for the log, and not for the client. */
  declare readonly expose?: false

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; problems?: readonly string[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.problems = options.problems ?? []
    if (WORTH_REPEATING.has(code)) Object.defineProperties(this, AS_HTTP_ERROR)
  }

  /** The error as data for logs: code and message, never the cause's own fields. */
  toJSON(): { name: string; code: ErrorCode; message: string; problems?: readonly string[] } {
    const { name, code, message, problems } = this
    return problems.length > 0 ? { name, code, message, problems } : { name, code, message }
  }
}

/** True for an error of this library with that code. */
export function hasCode(error: unknown, code: ErrorCode): error is RescindError {
  return error instanceof RescindError && error.code === code
}

/** True for failures of a store that pass by themselves: whoever can wait tries again. */
export function isPassing(error: unknown): error is RescindError {
  return error instanceof RescindError && PASSING.has(error.code)
}
