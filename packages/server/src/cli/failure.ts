/** A failure for whoever called the command: what happened and what to do, as text or as JSON. Never a secret. */
import { type ErrorCode, RescindError } from 'rescind'
import { printable } from './output.js'

/** What to do, where the message of the library does not know what its caller can do at a command line. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  ERR_STORE_UNAVAILABLE:
    'Look at where the command was sent (--url, --redis, --data-dir); `rescind doctor` tells more.',
  ERR_STORE_TIMEOUT: 'Doing it again is safe; `rescind doctor` tells more.',
  ERR_STORE_OVERLOADED: 'Try again in a moment.',
  ERR_STORE_EVICTS: 'Set maxmemory-policy to noeviction; `rescind doctor` tells more.',
  ERR_STORE_FULL: 'Make room on the disk, or use Redis.',
  ERR_ACK_NOT_REACHED: 'It is stored. Look at the nodes (`rescind nodes`) and do it again: that is safe.',
  ERR_TOKEN_EXPIRED: 'It is dead already: there is nothing to revoke.',
  ERR_TOKEN_INVALID:
    'Look at the issuers of the configuration; a token that is not genuine is refused everywhere.',
  ERR_TOKEN_MALFORMED: 'Give the whole token, as it stands after "Bearer ".',
  ERR_KEYS_UNAVAILABLE: 'Look at the jwksUrl of the issuer; its keys prove the token.',
  ERR_LOG_CHANGED: 'Begin again without --after or --cursor.',
}

/** The longest piece of an argument that an error repeats: a token given by mistake is longer. */
export const QUOTED_LENGTH_MAX = 40

/** A person has given up at a question. */
export class Interrupted extends Error {
  constructor() {
    super('given up: nothing was done')
  }
}

export interface FailureBody {
  readonly error: {
    readonly code: string
    readonly message: string
    readonly advice?: string
    readonly problems?: readonly string[]
  }
}

export function failureBody(error: unknown): FailureBody {
  if (error instanceof Interrupted) return { error: { code: 'INTERRUPTED', message: error.message } }
  if (!(error instanceof RescindError)) {
    const message = error instanceof Error ? error.message : 'unknown failure'
    return {
      error: { code: 'INTERNAL', message, advice: 'This is a defect of the command: please report it.' },
    }
  }
  const { code, message, problems } = error
  const advice = ADVICE[code]
  return {
    error: {
      code,
      message,
      ...(advice === undefined ? {} : { advice }),
      ...(problems.length > 0 ? { problems } : {}),
    },
  }
}

/** For people: the message, and what to do. */
export function failureText(error: unknown): string {
  const { message, advice } = failureBody(error).error
  const lines = message.split('\n').map(printable)
  return [...lines, ...(advice === undefined ? [] : [advice])].join('\n')
}

/** What the parser of arguments says, without what was typed where that may be a secret. */
export function withoutValues(text: string): string {
  return text
    .replace(/(--?[A-Za-z][A-Za-z0-9-]*)=[^'\s]*/g, '$1=…')
    .replace(/'([^']*)'/g, (whole, quoted: string) => (quoted.length > QUOTED_LENGTH_MAX ? "'…'" : whole))
}

/** What was asked for cannot be done; the message says what to give instead. */
export function usage(message: string, cause?: unknown): RescindError {
  return new RescindError('ERR_OPTION_INVALID', message, { cause })
}
