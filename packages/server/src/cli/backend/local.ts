/** The command on a store that it opens by itself: Redis, or the embedded file. */
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Change,
  type CheckResult,
  type Claims,
  type Environment,
  hasCode,
  type ListQuery,
  type LiveNode,
  openStore,
  type Page,
  type Preview,
  type Receipt,
  RescindError,
  type RevokeOptions,
  scopeOf,
  type Target,
  TokenManager,
  type VerifiedToken,
} from 'rescind'
import { appendEntry, type AuditEntry } from '../../audit.js'
import { clockToleranceOf, librarySettings } from '../../config/library-settings.js'
import { Issuers } from '../../issuers.js'
import { openRecords } from '../../records/open.js'
import type { Records } from '../../records/records.js'
import type {
  Backend,
  BulkLine,
  BulkOutcome,
  Checkers,
  ClientBook,
  Diagnosis,
  RevokeWish,
  Subject,
  WatchOptions,
} from './backend.js'
import { localBulk } from './local-bulk.js'
import { LocalClients } from './local-clients.js'
import { diagnoseStore } from './local-doctor.js'
import type { Place } from './flags.js'

type LocalPlace = Extract<Place, { kind: 'local' }>

export interface LocalOptions {
  readonly place: LocalPlace
  /** In milliseconds. */
  readonly now: () => number
  /** Keeps the revocations in memory: `bench` and most orders of a list need that. */
  readonly replica?: boolean
  /** Who works here, for the audit trail. */
  readonly user: () => string
  /** Told what should be known and is no failure. */
  readonly warn: (message: string) => void
}

/** How long the store may take, in milliseconds, where the environment says nothing: nobody's request waits for it here. */
const PATIENCE = {
  REDIS_CONNECT_TIMEOUT_MS: '2000',
  RESCIND_CHECK_TIMEOUT_MS: '2000',
  RESCIND_WRITE_TIMEOUT_MS: '5000',
}
/** For all that a store holds, in milliseconds. */
const READ_TIMEOUT_MS = 60_000
/** A watch looks so often whether the store is there, in milliseconds. */
const LISTEN_PERIOD_MS = 2000

export class LocalBackend implements Backend {
  readonly place: string
  readonly #options: LocalOptions
  readonly #manager: TokenManager
  readonly #issuers: Issuers
  readonly #settings: ReturnType<typeof librarySettings>
  #records: Records | undefined
  #clients: ClientBook | undefined

  /** Throws `ERR_CONFIG_INVALID` and `ERR_STORE_CORRUPT`. Redis is reached at first use. */
  constructor(options: LocalOptions) {
    const { place, now, warn } = options
    const { config, env, text } = place
    this.place = text
    this.#options = options
    this.#settings = librarySettings(config, patient(env))
    this.#issuers = new Issuers({ issuers: config.issuers, clockToleranceSeconds: clockToleranceOf(config) })
    this.#manager = TokenManager.fromEnv(this.#settings, {
      store: openStore(this.#settings),
      verifier: this.#issuers,
      replica: options.replica ?? false,
      now,
      onWarning: ({ message }) => warn(message),
    })
  }

  async revoke(subject: Subject, wish: RevokeWish): Promise<Receipt> {
    const found = await this.#subject(subject)
    try {
      const receipt = await this.#revoke(found, wish)
      await this.#keep('revoke', found, wish)
      return receipt
    } catch (error) {
      // It is revoked all the same.
      if (hasCode(error, 'ERR_ACK_NOT_REACHED')) await this.#keep('revoke', found, wish)
      throw error
    }
  }

  async preview(subject: Subject, wish: RevokeWish): Promise<Preview> {
    return this.#manager.preview(await this.#subject(subject), wish)
  }

  async restore(
    subject: Subject,
    note: { reason?: string | undefined; actor?: string | undefined },
  ): Promise<boolean> {
    const found = await this.#subject(subject)
    const changed = await this.#manager.restore(found)
    if (changed) await this.#keep('restore', found, note)
    return changed
  }

  async check(subject: { readonly token: string } | { readonly claims: Claims }): Promise<CheckResult> {
    if ('claims' in subject) return this.#manager.check(subject.claims, { consistency: 'strict' })
    this.#assertIssuers()
    return this.#manager.check(subject.token, { consistency: 'strict' })
  }

  async list(query: ListQuery): Promise<Page> {
    if ((query.order ?? 'newest') !== 'newest') await this.#readAll()
    return this.#manager.list(query)
  }

  async *watch({ onHeard, ...options }: WatchOptions): AsyncGenerator<Change, void> {
    const ended = new AbortController()
    void this.#listen(AbortSignal.any([options.signal, ended.signal]), onHeard)
    try {
      yield* this.#manager.watch(options)
    } finally {
      ended.abort()
    }
  }

  revokeMany(lines: readonly BulkLine[]): Promise<readonly BulkOutcome[]> {
    return localBulk(lines, {
      manager: this.#manager,
      actor: this.#options.user(),
      // The trail tells who imports; for whom a line was revoked elsewhere stands in the list.
      keep: (target, reason) => this.#keep('revoke', target, { reason }),
    })
  }

  nodes(): Promise<readonly LiveNode[]> {
    return this.#manager.nodes()
  }

  /** A store counts nothing. */
  async traffic(): Promise<undefined> {
    return undefined
  }

  doctor(options: { user?: string | undefined; revokes?: boolean | undefined }): Promise<Diagnosis> {
    const { dataDir: folder } = this.#options.place.config
    return diagnoseStore(this.#manager.store, { settings: this.#settings, folder, ...options })
  }

  get clients(): ClientBook {
    const { place, now, user, warn } = this.#options
    return (this.#clients ??= new LocalClients({
      ...{ configured: place.config.clients, records: this.#recordsOf(), now, user, warn },
    }))
  }

  async checkers(): Promise<Checkers> {
    const manager = this.#manager
    const strict = async (claims: Claims) => {
      const result = await manager.checkStore(claims)
      if (result.status === 'unknown') throw result.cause
    }
    if (manager.replica === undefined) return { entries: 0, strict }
    await this.#readAll()
    // Always fresh enough: what is measured is the table, and not when it was read.
    return {
      entries: manager.replica.size,
      strict,
      memory: (claims) => void manager.checkNow(claims, Infinity),
    }
  }

  async close(): Promise<void> {
    await this.#records?.close()
    await this.#manager.close()
  }

  /** All that is revoked, into memory. A process that has just begun may need longer for that than a node that runs. */
  async #readAll(): Promise<void> {
    // It would be waited for as long where it does not answer at all.
    await this.#manager.store.ping()
    await this.#manager.ready({ timeoutMs: READ_TIMEOUT_MS })
  }

  /** The library waits for a store that is away without a word. */
  async #listen(signal: AbortSignal, onHeard: WatchOptions['onHeard']): Promise<void> {
    while (!signal.aborted) {
      const failure = await this.#manager.store.ping().then(
        () => undefined,
        (error: RescindError) => error,
      )
      if (!signal.aborted) onHeard(failure)
      await sleep(LISTEN_PERIOD_MS, undefined, { signal }).catch(() => undefined)
    }
  }

  #revoke(subject: Target | VerifiedToken | 'everything', wish: RevokeOptions): Promise<Receipt> {
    if (subject === 'everything') return this.#manager.revokeAll(wish)
    if (!isToken(subject)) return this.#manager.revoke(subject, wish)
    const { issuedBefore, ...rest } = wish
    if (issuedBefore !== undefined && issuedBefore !== null)
      throw new RescindError(
        'ERR_OPTION_INVALID',
        '--issued-before is for claims and for everything: a token is revoked whenever it was issued',
      )
    return this.#manager.revokeToken(subject, rest)
  }

  async #subject(subject: Subject): Promise<Target | VerifiedToken | 'everything'> {
    if ('everything' in subject) return 'everything'
    if ('target' in subject) return subject.target
    this.#assertIssuers()
    return this.#issuers.verified(subject.token, this.#manager.now())
  }

  #assertIssuers(): void {
    if (this.#issuers.names.length > 0) return
    throw new RescindError(
      'ERR_VERIFIER_MISSING',
      'a token is verified before anything of it is believed, and no issuer is known here: name the configuration ' +
        'with its issuers (--config, RESCIND_CONFIG), ask a service (--url), or name the claims (--claim jti=… --claim iss=…)',
    )
  }

  /** The trail never undoes or hides the change that it tells of. */
  async #keep(
    operation: AuditEntry['operation'],
    subject: Target | VerifiedToken | 'everything',
    { reason, actor = this.#options.user() }: { reason?: string | undefined; actor?: string | undefined },
  ): Promise<void> {
    const target = subject === 'everything' ? undefined : isToken(subject) ? subject.target : subject
    const entry: AuditEntry = {
      at: Math.floor(this.#manager.now()),
      client: actor,
      operation,
      scope: scopeOf(Object.keys(target ?? {})),
      target,
      reason,
      via: 'command',
    }
    try {
      await appendEntry(this.#recordsOf(), entry)
    } catch {
      this.#options.warn('The change was made, and the audit trail could not be written.')
    }
  }

  #recordsOf(): Records {
    const { store } = this.#manager
    return (this.#records ??= openRecords(this.#settings, store, this.#options.place.config))
  }
}

function isToken(subject: Target | VerifiedToken): subject is VerifiedToken {
  return typeof subject.claims === 'object'
}

function patient(env: Environment): Environment {
  const unset = Object.entries(PATIENCE).filter(([name]) => !env[name] && !env[`${name}_FILE`])
  return { ...env, ...Object.fromEntries(unset) }
}
