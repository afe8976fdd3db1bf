/** The command on a service, over its admin API (`/api/v1`) and `/events`. The service is who did it, by the key. */
import {
  type Change,
  type CheckResult,
  type Claims,
  type ErrorCode,
  type ListQuery,
  type LiveNode,
  type Page,
  type Preview,
  type Receipt,
  RescindError,
} from 'rescind'
import type { MadeKey, ShownClient } from '../../clients/client-desk.js'
import { usage } from '../failure.js'
import type {
  Backend,
  BulkLine,
  BulkOutcome,
  Checkers,
  ClientBook,
  Diagnosis,
  RevokeWish,
  Subject,
  Traffic,
  WatchOptions,
} from './backend.js'
import type { Place } from './flags.js'
import { remoteBulk, wholeSeconds } from './remote-bulk.js'
import { errorCodeOf, RemoteCall } from './remote-call.js'
import { remoteChanges } from './remote-changes.js'
import { diagnoseService, type ServiceStatus } from './remote-doctor.js'

type RemotePlace = Extract<Place, { kind: 'remote' }>

const API = '/api/v1'
const ACK_TIMEOUT_NORMAL_MS = 5000
const TRAFFIC_MINUTES = 60
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/

export class RemoteBackend implements Backend {
  readonly place: string
  readonly caution: string | undefined
  readonly clients: ClientBook
  readonly #call: RemoteCall

  constructor({ url, key }: RemotePlace) {
    this.place = `service at ${url.origin}`
    if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname))
      this.caution = 'The key goes to the service unencrypted, for everybody on the way to read: use https.'
    this.#call = new RemoteCall(url, key)
    this.clients = clientsOf(this.#call)
  }

  revoke(subject: Subject, wish: RevokeWish): Promise<Receipt> {
    const { ack, timeoutMs } = wish
    return this.#call.json(`${API}/revocations`, 'id', {
      json: { ...named(subject), ...statement(wish), ack, timeoutMs },
      moreMs: ack === 'everywhere' ? (timeoutMs ?? ACK_TIMEOUT_NORMAL_MS) : 0,
    })
  }

  preview(subject: Subject, wish: RevokeWish): Promise<Preview> {
    return this.#call.json(`${API}/revocations/preview`, 'effect', {
      json: { ...named(subject), ...statement(wish) },
    })
  }

  async restore(subject: Subject, { reason }: { reason?: string | undefined }): Promise<boolean> {
    const { restored } = await this.#call.json<{ restored: boolean }>(`${API}/restorations`, 'restored', {
      json: { ...named(subject), reason },
    })
    return restored
  }

  async check(subject: { readonly token: string } | { readonly claims: Claims }): Promise<CheckResult> {
    let result: CheckResult | { readonly status: 'invalid'; readonly code: string; readonly detail: string }
    try {
      result = await this.#call.json(`${API}/checks`, 'status', { json: subject })
    } catch (error) {
      if (error instanceof RescindError && UNKNOWN.has(error.code)) return { status: 'unknown', cause: error }
      throw error
    }
    if (result.status !== 'invalid') return result
    throw new RescindError(errorCodeOf(result.code) ?? 'ERR_TOKEN_INVALID', result.detail)
  }

  list({ limit, target, revokedSince, ...rest }: ListQuery): Promise<Page> {
    const since = revokedSince instanceof Date ? revokedSince.getTime() / 1000 : revokedSince
    return this.#call.json(`${API}/revocations`, 'revocations', {
      query: {
        ...rest,
        limit: limit === undefined ? undefined : String(limit),
        since: since === undefined ? undefined : String(Math.floor(since)),
        claim: Object.entries(target ?? {}).map(([name, value]) => `${name}=${String(value)}`),
      },
    })
  }

  watch(options: WatchOptions): AsyncIterable<Change> {
    return remoteChanges(this.#call, options)
  }

  revokeMany(lines: readonly BulkLine[]): Promise<readonly BulkOutcome[]> {
    return remoteBulk(this.#call, lines)
  }

  async nodes(): Promise<readonly LiveNode[]> {
    const { nodes } = await this.#call.json<{ nodes: readonly LiveNode[] }>(`${API}/nodes`, 'nodes')
    return nodes
  }

  async traffic(): Promise<Traffic> {
    const { totals } = await this.#call.json<{ totals: Omit<Traffic, 'minutes'> }>(
      `${API}/statistics`,
      'totals',
      { query: { minutes: String(TRAFFIC_MINUTES) } },
    )
    return { minutes: TRAFFIC_MINUTES, ...totals }
  }

  async doctor(options: { user?: string | undefined; revokes?: boolean | undefined }): Promise<Diagnosis> {
    if (options.user !== undefined || options.revokes !== undefined)
      throw usage('--user and --revokes are for Redis: the service judges its own user')
    return diagnoseService(await this.#call.json<ServiceStatus>(`${API}/status`, 'freshness'))
  }

  async checkers(): Promise<Checkers> {
    return {
      entries: 0,
      strict: async (claims) => {
        const result = await this.check({ claims })
        if (result.status === 'unknown') throw result.cause
      },
    }
  }

  async close(): Promise<void> {
    // Nothing is kept open.
  }
}

/** What keeps the service from telling: then the answer is unknown, and never clear. */
const UNKNOWN: ReadonlySet<string> = new Set<ErrorCode>([
  'ERR_STORE_UNAVAILABLE',
  'ERR_STORE_TIMEOUT',
  'ERR_STORE_OVERLOADED',
  'ERR_STORE_EVICTS',
  'ERR_STORE_CORRUPT',
  'ERR_KEYS_UNAVAILABLE',
  'ERR_VERIFY_UNAVAILABLE',
  'ERR_TOKEN_UNNAMED',
])

function named(subject: Subject): object {
  return 'everything' in subject ? { everything: true, confirm: 'everything' } : subject
}

function statement({ reason, expiresAt, issuedBefore }: RevokeWish): object {
  return wholeSeconds({ reason, expiresAt, issuedBefore })
}

function clientsOf(call: RemoteCall): ClientBook {
  const at = (id: string) => `${API}/clients/${encodeURIComponent(id)}`
  return {
    list: async () =>
      (await call.json<{ clients: readonly ShownClient[] }>(`${API}/clients`, 'clients')).clients,
    make: (client) => call.json<MadeKey>(`${API}/clients`, 'key', { json: client }),
    rotate: (id, rotation) => call.json<MadeKey>(`${at(id)}/keys`, 'key', { json: rotation }),
    change: (id, patch) => call.json<ShownClient>(at(id), 'id', { method: 'PATCH', json: patch }),
    remove: async (id) => {
      await call.json(at(id), 'removed', { method: 'DELETE' })
    },
  }
}
