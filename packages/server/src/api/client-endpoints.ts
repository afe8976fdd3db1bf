/** `/clients`: who may ask the service. A key is answered once, and kept as a hash. */
import { ClientDesk, type DeskRefusal } from '../clients/client-desk.js'
import { CLIENT_ID, CLIENT_ID_RULE, ROLES } from '../config/schema.js'
import type { Parts } from '../parts.js'
import { recordClientChange } from '../audit.js'
import { type Endpoint, endpoint, Refusal } from './endpoint.js'
import { checked, seconds, text, time, z } from './schema.js'

const TAG = 'Clients'
const KEEP_MAX_SECONDS = 31_536_000

const role = z.enum(ROLES).openapi('Role', {
  description: '"revoke:own": tokens that were issued to it; "revoke:any": whatever a target names',
})
const audiences = z
  .union([z.literal('*'), z.array(text(1024)).max(64)])
  .openapi({ description: 'Whose tokens it may introspect: those for these audiences, or "*" for all' })
const rate = z.int().min(1).max(10_000_000).openapi({ description: 'Requests a minute' })

const key = z
  .strictObject({
    id: z.string().optional().openapi({ description: 'Absent for a secret that was not made here' }),
    name: z.string().optional(),
    createdAt: seconds.optional(),
    expiresAt: seconds.optional().openapi({ description: 'From then on it is refused; absent: never' }),
  })
  .openapi('Key')
const client = z
  .strictObject({
    id: z.string(),
    name: z.string().optional(),
    roles: z.array(role),
    audiences,
    ratePerMinute: z.int().optional(),
    isDisabled: z.boolean(),
    source: z.enum(['config', 'records']).openapi({
      description: '"config": it stands in the configuration and is changed there',
    }),
    keys: z.array(key),
  })
  .openapi('Client')
const madeKey = z
  .strictObject({
    client,
    key: z.string().optional().openapi({
      description: 'The key, told this once; absent in an answer that is repeated for an Idempotency-Key',
    }),
  })
  .openapi('MadeKey')

const introspects = (wanted: { roles?: unknown; audiences?: unknown }): string[] =>
  Array.isArray(wanted.roles) && wanted.roles.includes('introspect') && !hasAudiences(wanted.audiences)
    ? ['the role introspect needs audiences, or "*" for all']
    : []
const newClient = checked(
  z.strictObject({
    id: z.string().regex(CLIENT_ID, CLIENT_ID_RULE),
    name: text(256).optional(),
    roles: z.array(role).min(1).max(ROLES.length),
    audiences: audiences.optional(),
    ratePerMinute: rate.optional(),
    expiresAt: time.optional().openapi({ description: 'When its key ends. Default: never' }),
  }),
  introspects,
)
const patch = checked(
  z.strictObject({
    name: text(256).optional(),
    roles: z.array(role).min(1).max(ROLES.length).optional(),
    audiences: audiences.optional(),
    ratePerMinute: rate.optional(),
    isDisabled: z.boolean().optional(),
  }),
  (wanted) => (Object.keys(wanted).length === 0 ? ['says nothing to change'] : []),
)
const rotation = z.strictObject({
  keepSeconds: z.int().min(0).max(KEEP_MAX_SECONDS).optional().openapi({
    description: 'The other keys end after so many seconds; 0: at once. Default: they stay',
  }),
  expiresAt: time.optional().openapi({ description: 'When the new key ends. Default: never' }),
  name: text(128).optional(),
})
const params = z.strictObject({ id: z.string().regex(CLIENT_ID, 'is no id of a client') })

const MISSING = { 404: 'There is no client of this id' } as const
const UNCHANGED =
  'The client stands in the configuration file, is the last admin, or has as many keys as it may have'

export function clientEndpoints(parts: Parts): readonly Endpoint[] {
  const desk = new ClientDesk(parts)
  return [...looks(desk), ...keyMakers(parts, desk), ...changes(parts, desk)]
}

function looks(desk: ClientDesk): readonly Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/clients',
      tag: TAG,
      summary: 'All clients',
      roles: ['read'],
      answer: z.strictObject({ clients: z.array(client) }).openapi('ClientList'),
      handle: async () => ({ clients: await desk.list() }),
    }),
    endpoint({
      method: 'get',
      path: '/clients/{id}',
      tag: TAG,
      summary: 'One client',
      roles: ['read'],
      params,
      answer: client,
      failures: MISSING,
      handle: async ({ params: { id } }) => (await desk.find(id)) ?? refusalOf({ refused: 'missing' }),
    }),
  ]
}

function keyMakers(parts: Parts, desk: ClientDesk): readonly Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/clients',
      tag: TAG,
      summary: 'Make a client, with a key',
      roles: ['admin'],
      body: newClient,
      answer: madeKey,
      status: 201,
      isRepeatable: true,
      secret: 'key',
      failures: { 409: 'There is a client of this id' },
      handle: async ({ body, client: admin }) => {
        const made = await desk.make(body)
        if ('refused' in made) return refusalOf(made)
        await recordClientChange(parts, { client: admin, operation: 'make-client', subject: body.id })
        return made
      },
    }),
    endpoint({
      method: 'post',
      path: '/clients/{id}/keys',
      tag: TAG,
      summary: 'Make a new key beside the others',
      roles: ['admin'],
      params,
      body: rotation,
      answer: madeKey,
      status: 201,
      isRepeatable: true,
      secret: 'key',
      failures: { ...MISSING, 409: UNCHANGED },
      handle: async ({ params: { id }, body, client: admin }) => {
        const made = await desk.rotate(id, body)
        if ('refused' in made) return refusalOf(made)
        await recordClientChange(parts, { client: admin, operation: 'make-key', subject: id })
        return made
      },
    }),
  ]
}

function changes(parts: Parts, desk: ClientDesk): readonly Endpoint[] {
  return [
    endpoint({
      method: 'patch',
      path: '/clients/{id}',
      tag: TAG,
      summary: 'Change a client',
      description: 'Other processes of the service know of it within two seconds.',
      roles: ['admin'],
      params,
      body: patch,
      answer: client,
      failures: { ...MISSING, 409: UNCHANGED },
      handle: async ({ params: { id }, body, client: admin }) => {
        const changed = await desk.change(id, body)
        if ('refused' in changed) return refusalOf(changed)
        await recordClientChange(parts, { client: admin, operation: 'change-client', subject: id })
        return changed
      },
    }),
    endpoint({
      method: 'delete',
      path: '/clients/{id}',
      tag: TAG,
      summary: 'Remove a client',
      description: 'Other processes of the service know of it within two seconds.',
      roles: ['admin'],
      params,
      answer: z.strictObject({ removed: z.literal(true) }),
      failures: { ...MISSING, 409: UNCHANGED },
      handle: async ({ params: { id }, client: admin }) => {
        const refused = await desk.remove(id)
        if (refused !== undefined) return refusalOf(refused)
        await recordClientChange(parts, { client: admin, operation: 'remove-client', subject: id })
        return { removed: true } as const
      },
    }),
  ]
}

const REFUSALS: Readonly<Record<DeskRefusal['refused'], Refusal>> = {
  exists: new Refusal(409, 'client_exists', 'There is a client of this id'),
  missing: new Refusal(404, 'not_found', 'There is no client of this id'),
  configured: new Refusal(
    409,
    'client_configured',
    'This client stands in the configuration file: change it there',
  ),
  'last-admin': new Refusal(409, 'last_admin', 'Nobody would be left who may change clients'),
  'keys-full': new Refusal(409, 'keys_full', 'The client has four keys: let some end with keepSeconds'),
}

function refusalOf({ refused }: DeskRefusal): Refusal {
  return REFUSALS[refused]
}

function hasAudiences(value: unknown): boolean {
  return value === '*' || (Array.isArray(value) && value.length > 0)
}
