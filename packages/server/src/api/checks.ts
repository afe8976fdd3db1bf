/** `/checks`: is this token, or are these claims, revoked, and why? */
import { RescindError, type VerifiedToken } from 'rescind'
import type { Parts } from '../parts.js'
import { type Endpoint, endpoint } from './endpoint.js'
import { problemCode } from '../problem.js'
import { checked, claims, revocation, token, z } from './schema.js'

const body = checked(
  z.strictObject({
    token: token.optional(),
    claims: claims.optional(),
    consistency: z.enum(['strict', 'replica']).default('strict').openapi({
      description: 'Ask the store, or the memory of this process, which knows neither reason nor actor',
    }),
  }),
  (wanted) =>
    (wanted.token === undefined) === (wanted.claims === undefined) ? ['give one of token and claims'] : [],
)
const answer = z
  .discriminatedUnion('status', [
    z.strictObject({ status: z.literal('revoked'), revocation }),
    z.strictObject({ status: z.literal('clear') }),
    z.strictObject({ status: z.literal('invalid'), code: z.string(), detail: z.string() }).openapi({
      description: 'The token is dead whatever is revoked: not genuine, not meant for here, expired',
    }),
  ])
  .openapi('Check')

/** A token is these, whatever is revoked. */
const INVALID = ['ERR_TOKEN_MALFORMED', 'ERR_TOKEN_INVALID', 'ERR_TOKEN_EXPIRED']

export function checkEndpoints(parts: Parts): readonly Endpoint[] {
  const { issuers, manager, metrics } = parts
  return [
    endpoint({
      method: 'post',
      path: '/checks',
      tag: 'Revocations',
      summary: 'Is it revoked, and why?',
      description: 'What cannot be told is a failure (503), and never clear.',
      roles: ['read', 'revoke:any'],
      body,
      answer,
      failures: {
        422: 'The claims have no jti, and tokens without one are revoked by their digest: check the token',
      },
      handle: async ({ body: wanted }) => {
        const { consistency } = wanted
        let subject: VerifiedToken | NonNullable<typeof wanted.claims>
        try {
          subject =
            wanted.token === undefined
              ? (wanted.claims ?? {})
              : await issuers.verified(wanted.token, manager.now())
        } catch (error) {
          if (!(error instanceof RescindError) || !INVALID.includes(error.code)) throw error
          const code = problemCode(error)
          metrics.checks.inc({ answer: code })
          return { status: 'invalid', code, detail: error.message } as const
        }
        const result = await manager.check(subject, { consistency })
        metrics.checks.inc({ answer: ANSWERS[result.status] })
        if (result.status === 'unknown') throw result.cause
        return result
      },
    }),
  ]
}

/** As the gate names them. */
const ANSWERS = { revoked: 'token_revoked', clear: 'allowed', unknown: 'check_unavailable' } as const
