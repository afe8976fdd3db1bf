/** What every endpoint is given: the parts of a running service. Endpoints keep no state of their own. */
import type { Gate, Store, TokenManager } from 'rescind'
import type { Doctor } from './doctor.js'
import type { Authenticator } from './clients/authenticate.js'
import type { Clients } from './clients/clients.js'
import type { Config } from './config/schema.js'
import type { Issuers } from './issuers.js'
import type { Logger } from './log.js'
import type { Metrics } from './observe/metrics.js'
import type { Records } from './records/records.js'
import type { Signer } from './signer.js'

export interface Parts {
  readonly config: Config
  /** How clients reach the service, without a slash at the end. */
  readonly publicUrl: string
  readonly log: Logger
  readonly store: Store
  /** The same place, for those who read its log through this service; on Redis with sockets of its own. */
  readonly feed: Store
  readonly manager: TokenManager
  readonly gate: Gate
  readonly issuers: Issuers
  readonly records: Records
  readonly clients: Clients
  readonly authenticator: Authenticator
  readonly signer: Signer
  readonly metrics: Metrics
  /** Where the store is on Redis. */
  readonly doctor: Doctor | undefined
  /** The clock, in milliseconds since 1970. */
  readonly now: () => number
  /** Aborted when the service begins to stop: long answers end then. */
  readonly stopping: AbortSignal
}
