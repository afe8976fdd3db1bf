/** What the requests and answers of the API have in common, as schemas. Times are answered in seconds since 1970. */
import { z } from '@hono/zod-openapi'
import { TOKEN_LENGTH_MAX } from '../unverified-claims.js'

const TARGET_CLAIMS_MAX = 8
/** 10 years. */
const LIFETIME_MAX_SECONDS = 315_360_000
const ACK_TIMEOUT_MAX_MS = 60_000

const text = (max: number) => z.string().min(1).max(max)
/** Any time that the store can hold. */
const seconds = z.int().min(0).max(4_294_967_295)

export const instant = z.iso
  .datetime({ offset: true })
  .transform((date) => Math.floor(Date.parse(date) / 1000))

/** A time that is taken: seconds since 1970, or RFC 3339. */
export const time = z
  .union([seconds, instant])
  .openapi({ description: 'Seconds since 1970, or a date and time of RFC 3339' })

export const target = z
  .record(text(128), z.union([text(1024), z.number(), z.boolean()]))
  .refine((claims) => Object.keys(claims).length >= 1, 'has no claim')
  .refine(
    (claims) => Object.keys(claims).length <= TARGET_CLAIMS_MAX,
    `has more than ${TARGET_CLAIMS_MAX} claims`,
  )
  .openapi('Target', {
    description: 'Claims with their values: a token is meant when it carries all of them',
    minProperties: 1,
    maxProperties: TARGET_CLAIMS_MAX,
    example: { sub: 'alice' },
  })

/** Of an answer: empty for everything. */
const answeredTarget = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
export const scope = z
  .enum(['token', 'claims', 'everything'])
  .openapi('Scope', { description: 'One token, every token that carries the claims, or every token' })

export const token = text(TOKEN_LENGTH_MAX).openapi({ description: 'A token; it is verified first' })
export const reason = text(512).openapi({ description: 'Why, for people. Never put a token into it' })
export const claims = z
  .record(z.string().max(128), z.unknown())
  .openapi({ description: 'The claims of a verified token', example: { sub: 'alice', iat: 1_700_000_000 } })

export const ackFields = {
  ack: z.enum(['accepted', 'replicated', 'everywhere']).default('accepted').openapi({
    description:
      'How sure it is when the answer comes: the store has it, so have its replicas, or every live node has applied it',
  }),
  timeoutMs: z.int().min(1).max(ACK_TIMEOUT_MAX_MS).default(5000).openapi({
    description: 'For "everywhere": how long to wait for the nodes',
  }),
}

/** How something is named in a request: exactly one of the three. */
export const namedFields = {
  target: target.optional(),
  token: token.optional(),
  everything: z.literal(true).optional().openapi({ description: 'Every token; comes with confirm' }),
  confirm: z.literal('everything').optional().openapi({ description: 'The word that everything needs' }),
}

interface NamedBody {
  readonly target?: unknown
  readonly token?: unknown
  readonly everything?: unknown
  readonly confirm?: unknown
}

/** What is wrong with the way something is named. */
export function namedProblems({ target, token, everything, confirm }: NamedBody): string[] {
  const named = [target, token, everything].filter((each) => each !== undefined)
  if (named.length !== 1) return ['give one of target, token and everything']
  if (everything === undefined) return confirm === undefined ? [] : ['confirm comes with everything']
  return confirm === undefined ? ['everything comes with confirm: "everything"'] : []
}

export const timesFields = {
  issuedBefore: time.nullable().optional().openapi({
    description:
      'Tokens issued up to and in this second die; null: whenever they were issued. Default: now, and null for one token',
  }),
  expiresAt: time.optional().openapi({ description: 'Its end. Default: when the last such token has ended' }),
  lifetimeSeconds: z.int().min(1).max(LIFETIME_MAX_SECONDS).optional().openapi({
    description: 'The same as a duration from now',
  }),
}

export function timesProblems(
  body: NamedBody & { expiresAt?: unknown; lifetimeSeconds?: unknown; issuedBefore?: unknown },
): string[] {
  const problems: string[] = []
  if (body.expiresAt !== undefined && body.lifetimeSeconds !== undefined)
    problems.push('give one of expiresAt and lifetimeSeconds')
  if (body.token !== undefined && body.issuedBefore !== undefined)
    problems.push('issuedBefore is nothing for one token')
  return problems
}

/** Adds what a function finds wrong to the problems of a schema. */
export function checked<T extends z.ZodType>(
  schema: T,
  ...checks: readonly ((value: z.output<T>) => string[])[]
): T {
  return schema.superRefine((value, context) => {
    for (const check of checks)
      for (const message of check(value)) context.addIssue({ code: 'custom', message })
  })
}

export const revocationFields = {
  id: z.string().openapi({ description: 'The digest under which the store holds it' }),
  target: answeredTarget,
  issuedBefore: seconds.nullable().openapi({ description: 'null: whenever the token was issued' }),
  expiresAt: seconds,
  revokedAt: seconds,
  reason: z.string().optional(),
  actor: z.string().optional().openapi({ description: 'The client that revoked it' }),
}
export const revocation = z.strictObject(revocationFields).openapi('Revocation')

export const revocationId = z.string().regex(/^[A-Za-z0-9_-]{22}$/, 'is no id of a revocation')

export const pageFields = {
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  cursor: text(512).optional().openapi({ description: 'Of the page before' }),
}
export const cursor = z.string().optional().openapi({ description: 'For the next page; absent on the last' })

export const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string().openapi({ description: 'Stable' }),
    problems: z
      .array(z.string())
      .optional()
      .openapi({ description: 'Everything that is wrong with the request' }),
  })
  .openapi('Problem', { description: 'RFC 9457' })

export { answeredTarget, seconds, text, z }
