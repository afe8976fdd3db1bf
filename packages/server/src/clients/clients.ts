/**
 * Every client that is known: those of the configuration, and those that were made while the service ran, which stand in
 * the records for all of its processes and are read again every few seconds.
 */
import { type JwtVerifier, RescindError } from 'rescind'
import { invalid } from '../config/load.js'
import type { ClientConfig } from '../config/schema.js'
import type { Records } from '../records/records.js'
import { assertionVerifier } from './assertion.js'
import type { Client, ClientKey } from './client.js'
import { isHash, keyIdOfHash } from './secret.js'

/** How old the list of clients that were made elsewhere may be, in milliseconds: so long a disabled one is served. */
const REFRESH_MS = 2000
/** The same while the records cannot be read. */
const STALE_MAX_MS = 60_000

export interface ClientsOptions {
  readonly clients: readonly ClientConfig[]
  readonly records: Records
  /** How far clocks may be apart, for assertions. Default 5. */
  readonly clockToleranceSeconds?: number | undefined
  /** In milliseconds, monotonic: a clock that is set back keeps nobody in. Default `performance.now`. */
  readonly now?: (() => number) | undefined
}

export class Clients {
  readonly #records: Records
  readonly #now: () => number
  readonly #configured: ReadonlyMap<string, Client>
  readonly #verifiers: ReadonlyMap<string, JwtVerifier>
  #made: ReadonlyMap<string, Client> = new Map()
  #byKeyId: ReadonlyMap<string, Client> = new Map()
  #readAt = -Infinity
  #reading: Promise<void> | undefined

  /** Throws one `ERR_CONFIG_INVALID` for all hashes and key sets that cannot be used. */
  constructor({ clients, records, clockToleranceSeconds, now = () => performance.now() }: ClientsOptions) {
    this.#records = records
    this.#now = now
    const problems: string[] = []
    const verifiers = new Map<string, JwtVerifier>()
    for (const [i, client] of clients.entries()) {
      const place = `clients[${i}]`
      for (const [n, { hash }] of client.keys.entries())
        if (!isHash(hash))
          problems.push(`${place}.keys[${n}].hash is none that \`rescind keys hash\` has made`)
      try {
        const verifier = assertionVerifier(client, place, clockToleranceSeconds)
        if (verifier !== undefined) verifiers.set(client.id, verifier)
      } catch (error) {
        problems.push(...((error as RescindError).problems ?? [`${place}: its key set cannot be read`]))
      }
    }
    if (problems.length > 0) throw invalid(problems)
    this.#configured = new Map(clients.map((client) => [client.id, fromConfig(client)]))
    this.#verifiers = verifiers
    this.#index()
  }

  /** Throws the failure of the records when it has not read them for a minute, but for those of the configuration. */
  async find(id: string): Promise<Client | undefined> {
    const configured = this.#configured.get(id)
    if (configured !== undefined) return configured
    await this.#refreshIfPossible()
    return this.#made.get(id)
  }

  /** By the id in a key that was made here. */
  async findByKeyId(keyId: string): Promise<Client | undefined> {
    const known = this.#byKeyId.get(keyId)
    if (known?.source === 'config') return known
    await this.#refreshIfPossible()
    return this.#byKeyId.get(keyId)
  }

  /** By id, those of the configuration first. */
  async list(): Promise<readonly Client[]> {
    await this.#refresh(true)
    return [...this.#configured.values(), ...this.#made.values()]
  }

  /** What proves its assertions, where it has a key set. */
  assertionVerifierOf(id: string): JwtVerifier | undefined {
    return this.#verifiers.get(id)
  }

  /**
   * Keeps a client, made or changed. False with `isNew` when there is one already. Throws `ERR_OPTION_INVALID` for one
   * that the configuration has.
   */
  async save(client: Omit<Client, 'source'>, options: { isNew?: boolean } = {}): Promise<boolean> {
    this.#assertFree(client.id)
    const written = await this.#records.write('client', client.id, JSON.stringify(client), {
      isNew: options.isNew,
    })
    await this.#refresh(true)
    return written
  }

  async remove(id: string): Promise<boolean> {
    this.#assertFree(id)
    const had = await this.#records.remove('client', id)
    await this.#refresh(true)
    return had
  }

  #assertFree(id: string): void {
    if (!this.#configured.has(id)) return
    throw new RescindError(
      'ERR_OPTION_INVALID',
      'this client stands in the configuration file: change it there',
    )
  }

  async #refreshIfPossible(): Promise<void> {
    try {
      await this.#refresh()
    } catch (error) {
      if (this.#now() - this.#readAt > STALE_MAX_MS) throw error
    }
  }

  async #refresh(isForced = false): Promise<void> {
    if (!isForced && this.#now() - this.#readAt < REFRESH_MS) return
    // A list that is read already may have been read before what was just written.
    if (isForced && this.#reading !== undefined) await this.#reading.catch(() => undefined)
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined))
    await this.#reading
  }

  async #read(): Promise<void> {
    const startedAt = this.#now()
    const made = new Map<string, Client>()
    for (const [id, text] of await this.#records.all('client')) {
      if (!this.#configured.has(id)) made.set(id, { ...(JSON.parse(text) as Client), source: 'records' })
    }
    this.#made = made
    this.#readAt = startedAt
    this.#index()
  }

  #index(): void {
    const byKeyId = new Map<string, Client>()
    for (const client of [...this.#made.values(), ...this.#configured.values()]) {
      for (const { hash } of client.keys) {
        const keyId = keyIdOfHash(hash)
        if (keyId !== undefined) byKeyId.set(keyId, client)
      }
    }
    this.#byKeyId = byKeyId
  }
}

function fromConfig(config: ClientConfig): Client {
  const { id, name, roles, audiences = [], ratePerMinute, isDisabled } = config
  const keys = config.keys.map((key): ClientKey => ({
    hash: key.hash,
    name: key.name,
    expiresAt: key.expiresAt === undefined ? undefined : Date.parse(key.expiresAt) / 1000,
  }))
  return { id, name, roles, keys, audiences, ratePerMinute, isDisabled, source: 'config' }
}
