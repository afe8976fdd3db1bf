/** A client: who may ask the service, and for what. */
import type { Role } from '../config/schema.js'

export interface ClientKey {
  /** Made by `hashSecret`. */
  readonly hash: string
  readonly name?: string | undefined
  /** In seconds since 1970; from then on it is refused. Default: never. */
  readonly expiresAt?: number | undefined
  readonly createdAt?: number | undefined
}

export interface Client {
  readonly id: string
  readonly name?: string | undefined
  readonly roles: readonly Role[]
  readonly keys: readonly ClientKey[]
  /** Whose tokens it may introspect: those for these audiences, or all. */
  readonly audiences: readonly string[] | '*'
  readonly ratePerMinute?: number | undefined
  readonly isDisabled: boolean
  /** `config`: it stands in the configuration and cannot be changed here. `records`: it was made while running. */
  readonly source: 'config' | 'records'
}

/** An admin may do everything. */
export function hasRole(client: Client, role: Role): boolean {
  return client.roles.includes(role) || client.roles.includes('admin')
}
