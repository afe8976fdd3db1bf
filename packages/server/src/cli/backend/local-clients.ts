/** The clients in the records of a store that the command opens by itself, those of the configuration beside them. */
import { appendEntry, type ClientAuditEntry } from '../../audit.js'
import {
  ClientDesk,
  type ClientPatch,
  type DeskRefusal,
  type MadeKey,
  type NewClient,
  type Rotation,
  type ShownClient,
} from '../../clients/client-desk.js'
import { Clients } from '../../clients/clients.js'
import { CLIENT_ID, type ClientConfig } from '../../config/schema.js'
import type { Records } from '../../records/records.js'
import { usage } from '../failure.js'
import type { ClientBook } from './backend.js'

export interface LocalClientsOptions {
  readonly configured: readonly ClientConfig[]
  readonly records: Records
  /** In milliseconds. */
  readonly now: () => number
  readonly user: () => string
  readonly warn: (message: string) => void
}

const REFUSALS: Readonly<Record<DeskRefusal['refused'], string>> = {
  exists: 'there is a client of this id already: take another id, or `rescind clients rotate` it',
  missing: 'there is no client of this id: `rescind clients list` names them all',
  configured: 'this client stands in the configuration file: change it there',
  'last-admin': 'nobody would be left who may change clients: make another admin first',
  'keys-full':
    'the client has as many keys as it may have: let some end sooner with --keep, such as --keep 0',
}

export class LocalClients implements ClientBook {
  readonly #options: LocalClientsOptions
  readonly #desk: ClientDesk

  constructor(options: LocalClientsOptions) {
    const { configured, records, now } = options
    this.#options = options
    this.#desk = new ClientDesk({ clients: new Clients({ clients: configured, records }), records, now })
  }

  list(): Promise<readonly ShownClient[]> {
    return this.#desk.list()
  }

  async make(wanted: NewClient): Promise<MadeKey> {
    const { id, roles, audiences = [] } = wanted
    if (!CLIENT_ID.test(id))
      throw usage('an id is 1 to 128 printable characters without spaces, quotes, ":" or "%"')
    if (roles.includes('introspect') && audiences.length === 0)
      throw usage('the role introspect needs --audience, or --audience "*" for all')
    const made = done(await this.#desk.make(wanted))
    await this.#keep('make-client', id)
    return made
  }

  async rotate(id: string, rotation: Rotation): Promise<MadeKey> {
    const made = done(await this.#desk.rotate(id, rotation))
    await this.#keep('make-key', id)
    return made
  }

  async change(id: string, patch: ClientPatch): Promise<ShownClient> {
    const changed = done(await this.#desk.change(id, patch))
    await this.#keep('change-client', id)
    return changed
  }

  async remove(id: string): Promise<void> {
    const refusal = await this.#desk.remove(id)
    if (refusal !== undefined) throw usage(REFUSALS[refusal.refused])
    await this.#keep('remove-client', id)
  }

  async #keep(operation: ClientAuditEntry['operation'], subject: string): Promise<void> {
    const { records, now, user, warn } = this.#options
    const at = Math.floor(now() / 1000)
    try {
      await appendEntry(records, { at, client: user(), operation, subject, via: 'command' })
    } catch {
      warn('The change was made, and the audit trail could not be written.')
    }
  }
}

function done<T extends object>(result: T | DeskRefusal): T {
  if ('refused' in result) throw usage(REFUSALS[result.refused])
  return result
}
