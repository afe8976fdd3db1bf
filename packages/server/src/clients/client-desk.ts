/**
 * Clients that are made and changed while the service runs. Of two who change one at the same time, neither undoes what
 * the other did; a key is told once, and only its hash is kept.
 */
import { RescindError } from 'rescind'
import type { Role } from '../config/schema.js'
import type { Records } from '../records/records.js'
import type { Client, ClientKey } from './client.js'
import type { Clients } from './clients.js'
import { hashSecret, keyIdOfHash, makeKey } from './secret.js'

/** A client as it may be shown: without the hashes of its keys. */
export type ShownClient = Omit<Client, 'keys'> & { readonly keys: readonly ShownKey[] }

export interface ShownKey extends Omit<ClientKey, 'hash'> {
  /** Absent for a secret that was not made here. */
  readonly id?: string | undefined
}

export interface NewClient {
  readonly id: string
  readonly name?: string | undefined
  readonly roles: readonly Role[]
  readonly audiences?: readonly string[] | '*' | undefined
  readonly ratePerMinute?: number | undefined
  /** When its key ends. Default: never. */
  readonly expiresAt?: number | undefined
}

/** What shall be another way; what is not said stays. */
export type ClientPatch = {
  readonly [K in 'name' | 'roles' | 'audiences' | 'ratePerMinute' | 'isDisabled']?: Client[K] | undefined
}

export interface Rotation {
  /** The other keys end after so many seconds, unless they end before; 0: at once. Default: they stay. */
  readonly keepSeconds?: number | undefined
  /** When the new key ends. Default: never. */
  readonly expiresAt?: number | undefined
  readonly name?: string | undefined
}

/** A key that is told this once. */
export interface MadeKey {
  readonly client: ShownClient
  readonly key: string
}

/** Why nothing was changed. */
export type DeskRefusal =
  | { readonly refused: 'exists' }
  | { readonly refused: 'missing' }
  /** It stands in the configuration file: there it is changed. */
  | { readonly refused: 'configured' }
  /** Nobody would be left who may change clients. */
  | { readonly refused: 'last-admin' }
  /** As many keys as a client may have would still be good. */
  | { readonly refused: 'keys-full' }

/** As in the configuration. */
const KEYS_MAX = 4
/** So often a change is tried anew when others were faster. */
const TRIES_MAX = 8

export class ClientDesk {
  readonly #clients: Clients
  readonly #records: Records
  readonly #now: () => number

  /** `now`: the clock in milliseconds. */
  constructor({ clients, records, now }: { clients: Clients; records: Records; now: () => number }) {
    this.#clients = clients
    this.#records = records
    this.#now = now
  }

  /** By id, those of the configuration first. */
  async list(): Promise<readonly ShownClient[]> {
    return (await this.#clients.list()).map(shownClient)
  }

  async find(id: string): Promise<ShownClient | undefined> {
    return (await this.list()).find((client) => client.id === id)
  }

  async make(wanted: NewClient): Promise<MadeKey | DeskRefusal> {
    const { id, name, roles, audiences = [], ratePerMinute, expiresAt } = wanted
    if ((await this.#clients.find(id))?.source === 'config') return { refused: 'exists' }
    const { key, made } = await this.#makeKey({ expiresAt })
    const client = { id, name, roles, keys: [made], audiences, ratePerMinute, isDisabled: false }
    if (!(await this.#clients.save(client, { isNew: true }))) return { refused: 'exists' }
    return { client: shownClient({ ...client, source: 'records' }), key }
  }

  /** A new key beside the others. */
  async rotate(id: string, rotation: Rotation = {}): Promise<MadeKey | DeskRefusal> {
    const { key, made } = await this.#makeKey(rotation)
    const now = this.#nowSeconds()
    const end = rotation.keepSeconds === undefined ? Infinity : now + rotation.keepSeconds
    const changed = await this.#change(id, (client) => {
      const kept = client.keys
        .map((old) => withEnd(old, Math.min(old.expiresAt ?? Infinity, end)))
        .filter(({ expiresAt = Infinity }) => expiresAt > now)
      if (kept.length >= KEYS_MAX) return { refused: 'keys-full' }
      return { ...client, keys: [...kept, made] }
    })
    return 'refused' in changed ? changed : { client: changed, key }
  }

  change(id: string, patch: ClientPatch): Promise<ShownClient | DeskRefusal> {
    const said = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined))
    return this.#change(id, async (client) => {
      const changed: Client = { ...client, ...said }
      return this.#isAdmin(client) && !this.#isAdmin(changed) && (await this.#isLastAdmin(id))
        ? { refused: 'last-admin' }
        : changed
    })
  }

  async remove(id: string): Promise<undefined | DeskRefusal> {
    const found = await this.#clients.find(id)
    if (found?.source === 'config') return { refused: 'configured' }
    if (found !== undefined && this.#isAdmin(found) && (await this.#isLastAdmin(id)))
      return { refused: 'last-admin' }
    return (await this.#clients.remove(id)) ? undefined : { refused: 'missing' }
  }

  async #change(
    id: string,
    work: (client: Client) => Client | DeskRefusal | Promise<Client | DeskRefusal>,
  ): Promise<ShownClient | DeskRefusal> {
    if ((await this.#clients.find(id))?.source === 'config') return { refused: 'configured' }
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const text = await this.#records.read('client', id)
      if (text === undefined) return { refused: 'missing' }
      const changed = await work({ ...(JSON.parse(text) as Client), source: 'records' })
      if ('refused' in changed) return changed
      const { source: _, ...kept } = changed
      if (!(await this.#records.write('client', id, JSON.stringify(kept), { replaces: text }))) continue
      // From now on this process knows it, too.
      await this.#clients.list()
      return shownClient(changed)
    }
    throw new RescindError('ERR_STORE_OVERLOADED', 'others change this client all the time: try again')
  }

  async #isLastAdmin(id: string): Promise<boolean> {
    return !(await this.#clients.list()).some((client) => client.id !== id && this.#isAdmin(client))
  }

  /** Who may change clients, and can prove who it is. */
  #isAdmin({ id, roles, isDisabled, keys }: Client): boolean {
    const now = this.#nowSeconds()
    const isProvable =
      keys.some(({ expiresAt = Infinity }) => expiresAt > now) ||
      this.#clients.assertionVerifierOf(id) !== undefined
    return roles.includes('admin') && !isDisabled && isProvable
  }

  /** Throws `ERR_OPTION_INVALID` for one that would have ended: it could take the place of the last that is good. */
  async #makeKey({ expiresAt, name }: Rotation): Promise<{ key: string; made: ClientKey }> {
    if (expiresAt !== undefined && expiresAt <= this.#nowSeconds())
      throw new RescindError('ERR_OPTION_INVALID', 'expiresAt must lie in the future')
    const key = makeKey()
    return { key, made: { hash: await hashSecret(key), name, createdAt: this.#nowSeconds(), expiresAt } }
  }

  #nowSeconds(): number {
    return Math.floor(this.#now() / 1000)
  }
}

/** Without the hashes. */
export function shownClient(client: Client): ShownClient {
  const keys = client.keys.map(({ hash, ...key }) => ({ id: keyIdOfHash(hash), ...key }))
  return { ...client, keys }
}

function withEnd(key: ClientKey, end: number): ClientKey {
  return { ...key, expiresAt: end === Infinity ? undefined : end }
}
