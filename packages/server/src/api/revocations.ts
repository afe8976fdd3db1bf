/** `/revocations`: revoke, preview, list, look up. */
import { LIST_ORDERS, type RevokeOptions, type Target } from 'rescind'
import type { Parts } from '../parts.js'
import { type Endpoint, endpoint, Refusal } from './endpoint.js'
import { namedBy, revokeNamed } from './named.js'
import {
  ackFields,
  answeredTarget,
  checked,
  cursor,
  instant,
  namedFields,
  namedProblems,
  pageFields,
  reason,
  revocation,
  revocationFields,
  revocationId,
  scope,
  seconds,
  text,
  timesFields,
  timesProblems,
  z,
} from './schema.js'

const TAG = 'Revocations'
const TOKEN_DEAD = 'The token is not genuine or has expired, or too many sets of claim names are in use'

const statementFields = { ...namedFields, ...timesFields, reason: reason.optional() }
const revokeBody = checked(z.strictObject({ ...statementFields, ...ackFields }), namedProblems, timesProblems)
const previewBody = checked(z.strictObject(statementFields), namedProblems, timesProblems)

const receipt = z
  .strictObject({
    ...revocationFields,
    ack: z.enum(['accepted', 'replicated', 'everywhere']).openapi({ description: 'The level reached' }),
    nodes: z.array(z.string()).optional().openapi({ description: 'For "everywhere": who has applied it' }),
    confirmations: z
      .array(
        z.strictObject({
          name: z.string(),
          afterMs: z.number().min(0).openapi({
            description: 'How long after the store had it this node had told that it has it, in milliseconds',
          }),
        }),
      )
      .optional()
      .openapi({ description: 'For "everywhere": the same nodes, each with when it had it' }),
  })
  .openapi('Receipt')

const preview = z
  .strictObject({
    target: answeredTarget,
    scope,
    issuedBefore: seconds.nullable(),
    expiresAt: seconds,
    effect: z.enum(['new', 'extends', 'none']).openapi({
      description: 'It is new, says more than what stands, or says nothing that does not stand already',
    }),
    standing: z.array(revocation),
  })
  .openapi('Preview')

const standing = z
  .strictObject({
    id: z.string(),
    target: answeredTarget,
    scope,
    restoredAt: seconds.nullable().openapi({ description: 'When it was last restored; null: never' }),
    revocations: z.array(revocation).openapi({ description: 'All that stands, the longest first' }),
  })
  .openapi('Standing')

const page = z.strictObject({ revocations: z.array(revocation), cursor }).openapi('RevocationPage')

const claim = z
  .string()
  .regex(/^[^=]{1,128}=./s, 'must be NAME=VALUE')
  .max(2048)
const listQuery = z.strictObject({
  ...pageFields,
  order: z.enum(LIST_ORDERS).default('newest').openapi({
    description: 'Over the whole list: by when it was revoked, or by when it ends',
  }),
  claim: z
    .union([claim.transform((one) => [one]), z.array(claim).min(1).max(8)])
    .optional()
    .openapi({ description: 'NAME=VALUE, several times: only targets that contain these claims' }),
  actor: text(256).optional().openapi({ description: 'Only those that this client has revoked' }),
  since: z
    .union([
      z
        .string()
        .regex(/^\d{1,10}$/)
        .transform(Number),
      instant,
    ])
    .optional()
    .openapi({
      type: 'string',
      description: 'Only those revoked then or later: seconds since 1970, or RFC 3339',
    }),
  search: text(256).optional().openapi({
    description: 'Only those with this text in the value of a claim, the reason, the actor or the id',
  }),
})

export function revocationEndpoints(parts: Parts): readonly Endpoint[] {
  const { manager } = parts
  const optionsOf = (body: z.output<typeof previewBody>): RevokeOptions => ({
    issuedBefore: body.issuedBefore,
    expiresAt: body.lifetimeSeconds === undefined ? body.expiresAt : manager.now() + body.lifetimeSeconds,
    reason: body.reason,
  })
  return [
    endpoint({
      method: 'post',
      path: '/revocations',
      tag: TAG,
      summary: 'Revoke',
      description: 'By claims, by a token, or everything. What is revoked for longer already stays as it is.',
      roles: ['revoke:any'],
      body: revokeBody,
      answer: receipt,
      isRepeatable: true,
      failures: { 422: TOKEN_DEAD },
      handle: async ({ body, client }) => {
        const { ack, timeoutMs } = body
        const named = await namedBy(parts, body)
        return revokeNamed(parts, client, named, { ...optionsOf(body), ack, timeoutMs })
      },
    }),
    endpoint({
      method: 'post',
      path: '/revocations/preview',
      tag: TAG,
      summary: 'What revoking would do',
      description: 'Writes nothing.',
      roles: ['read', 'revoke:any'],
      body: previewBody,
      answer: preview,
      failures: { 422: TOKEN_DEAD },
      handle: async ({ body }) => {
        const { subject } = await namedBy(parts, body)
        return manager.preview(subject, optionsOf(body))
      },
    }),
    endpoint({
      method: 'get',
      path: '/revocations',
      tag: TAG,
      summary: 'List what is revoked, newest first or in another order',
      description: 'A page may be short, or empty, before the last one: go on while there is a cursor.',
      roles: ['read'],
      query: listQuery,
      answer: page,
      failures: { 410: 'The list has changed too much since that page: begin anew' },
      handle: async ({ query }) => {
        const { claim: claims, since, ...rest } = query
        return manager.list({ ...rest, target: claims && targetOf(claims), revokedSince: since })
      },
    }),
    endpoint({
      method: 'get',
      path: '/revocations/{id}',
      tag: TAG,
      summary: 'All that stands for one target',
      roles: ['read'],
      params: z.strictObject({ id: revocationId }),
      answer: standing,
      failures: { 404: 'Nothing is revoked under this id' },
      handle: async ({ params }) =>
        (await manager.find(params.id)) ?? new Refusal(404, 'not_found', 'Nothing is revoked under this id'),
    }),
  ]
}

function targetOf(claims: readonly string[]): Target {
  return Object.fromEntries(
    claims.map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)]),
  )
}
