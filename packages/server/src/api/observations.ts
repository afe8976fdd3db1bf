/** What goes on: `/nodes`, `/statistics`, `/audit`, `/status`. */
import type { Parts } from '../parts.js'
import { VERSION } from '../version.js'
import { type AuditEntry, CLIENT_OPERATIONS, type ClientAuditEntry, type GiftAuditEntry } from '../audit.js'
import { type Endpoint, endpoint } from './endpoint.js'
import { answeredTarget, cursor, pageFields, revocationId, scope, seconds, z } from './schema.js'
import { MINUTES_MAX, type Statistics } from './statistics.js'

const node = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    position: z.string().openapi({ description: 'How far it has read the change log' }),
    stalenessMs: z
      .number()
      .openapi({ description: 'Since the store last answered it; -1: it does not follow' }),
    entries: z.int(),
    ageMs: z.number().openapi({ description: 'Since it told this' }),
  })
  .openapi('Node')

const counts = z.record(z.string(), z.int())
const statistics = z
  .strictObject({
    since: seconds.openapi({ description: 'When the first of these minutes began' }),
    countedSince: seconds.openapi({ description: 'Since when this process counts' }),
    propagation: z.strictObject({ count: z.int(), p50Ms: z.number(), p99Ms: z.number() }).optional().openapi({
      description:
        'How long it took until every node had a revocation: of the last thousand of this process that waited for that',
    }),
    totals: z.strictObject({ revoked: z.int(), restored: z.int(), checks: counts, decisions: counts }),
    minutes: z.array(
      z.strictObject({
        at: seconds,
        revoked: z.int(),
        restored: z.int(),
        checks: counts.openapi({ description: 'By answer: "allowed", or the code of a denial' }),
        decisions: counts.openapi({
          description: 'fresh, strict, store; and when nobody could tell: stale, open, closed',
        }),
      }),
    ),
  })
  .openapi('Statistics')
const statisticsQuery = z.strictObject({
  minutes: z.coerce.number().int().min(1).max(MINUTES_MAX).default(60),
})

const auditEntry = z
  .strictObject({
    id: z.string(),
    at: seconds,
    client: z.string().openapi({ description: 'Who did it' }),
    operation: z.enum(['revoke', 'restore', 'give-back', ...CLIENT_OPERATIONS]),
    scope: scope.optional(),
    target: answeredTarget.optional(),
    reason: z.string().optional(),
    subject: z.string().optional().openapi({ description: 'The client that was made or changed' }),
    revoked: z.int().optional().openapi({ description: 'How many statements a node gave back to the store' }),
    restored: z.int().optional().openapi({ description: 'How many restores; each has its own entry' }),
    via: z.enum(['oauth', 'api', 'command']),
  })
  .openapi('AuditEntry')
const auditQuery = z.strictObject({
  ...pageFields,
  revocation: revocationId.optional().openapi({
    description: 'The id of a revocation: only what was revoked and restored under it, however far back',
  }),
})
const auditPage = z.strictObject({ entries: z.array(auditEntry), cursor }).openapi('AuditPage')

const finding = z.strictObject({
  code: z.string(),
  severity: z.enum(['critical', 'warning', 'info']),
  meaning: z.string(),
  action: z.string(),
  server: z.string().optional(),
  figures: z.record(z.string(), z.unknown()),
})
const server = z.strictObject({
  address: z.string(),
  software: z.string().optional(),
  version: z.string().optional(),
  role: z.string().optional(),
  user: z.string().optional().openapi({ description: 'The user of the ACL that was judged' }),
  replicas: z.int(),
})
const status = z
  .strictObject({
    version: z.string(),
    store: z.strictObject({
      kind: z.string().openapi({ description: '"redis", "lmdb" or "memory"' }),
      isUp: z.boolean(),
      failure: z.string().optional().openapi({ description: 'The code of what keeps it from answering' }),
    }),
    freshness: z.strictObject({
      isFresh: z.boolean().openapi({ description: 'Answers from memory count as fresh' }),
      stalenessMs: z
        .number()
        .nullable()
        .openapi({ description: 'Since the store last answered; null: never' }),
      stalenessMaxMs: z.number(),
      entries: z.int().openapi({ description: 'Statements in memory' }),
    }),
    issuers: z.array(z.string()),
    doctor: z
      .strictObject({
        worst: z.enum(['critical', 'warning', 'info', 'none']),
        findings: z.array(finding),
        servers: z.array(server),
      })
      .optional()
      .openapi({ description: 'What was found on Redis, within the last ten seconds; absent without Redis' }),
  })
  .openapi('Status')

const TAG = 'Observation'

export function observationEndpoints(parts: Parts, statisticsOf: Statistics): readonly Endpoint[] {
  const { manager, records } = parts
  return [
    endpoint({
      method: 'get',
      path: '/nodes',
      tag: TAG,
      summary: 'The nodes that live',
      roles: ['read'],
      answer: z.strictObject({ nodes: z.array(node) }).openapi('NodeList'),
      handle: async () => ({ nodes: await manager.nodes() }),
    }),
    endpoint({
      method: 'get',
      path: '/statistics',
      tag: TAG,
      summary: 'Revocations, restores and checks by the minute',
      description:
        'For up to 24 hours, while this process ran. Changes are those of all nodes, checks those of this process.',
      roles: ['read'],
      query: statisticsQuery,
      answer: statistics,
      handle: async ({ query }) => ({
        ...(await statisticsOf.read(query.minutes)),
        propagation: parts.metrics.recentPropagation.summary,
      }),
    }),
    endpoint({
      method: 'get',
      path: '/audit',
      tag: TAG,
      summary: 'Who revoked, restored or changed what, newest first',
      roles: ['read'],
      query: auditQuery,
      answer: auditPage,
      handle: async ({ query: { limit, cursor: before, revocation: about } }) => {
        const { entries, cursor: next } = await records.trail({ limit, before, about })
        return {
          entries: entries.map(({ id, text }) => ({
            id,
            ...(JSON.parse(text) as AuditEntry | ClientAuditEntry | GiftAuditEntry),
          })),
          cursor: next,
        }
      },
    }),
    endpoint({
      method: 'get',
      path: '/status',
      tag: TAG,
      summary: 'How the service is',
      roles: ['read'],
      answer: status,
      handle: async () => ({
        version: VERSION,
        store: await storeStatus(parts),
        freshness: freshnessOf(parts),
        issuers: parts.issuers.names,
        doctor: await parts.doctor?.look(),
      }),
    }),
  ]
}

async function storeStatus({ store }: Parts): Promise<z.input<typeof status>['store']> {
  const { kind } = store
  return store.ping().then(
    () => ({ kind, isUp: true }),
    (error: unknown) => ({ kind, isUp: false, failure: String((error as { code?: unknown }).code) }),
  )
}

function freshnessOf({ manager: { replica, settings } }: Parts): z.input<typeof status>['freshness'] {
  const stalenessMs = replica?.stalenessMs ?? Infinity
  const { stalenessMaxMs } = settings
  return {
    isFresh: replica?.isFreshWithin(stalenessMaxMs) === true,
    stalenessMs: Number.isFinite(stalenessMs) ? Math.round(stalenessMs) : null,
    stalenessMaxMs,
    entries: replica?.size ?? 0,
  }
}
