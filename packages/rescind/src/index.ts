/**
 * Rescind: token revocation. A signed token is revoked, and from then on refused.
 */
export { RescindError, ERROR_CODES, hasCode, type ErrorCode } from './errors.js'
export type { Environment } from './config.js'
export type { RedisRole } from './redis/client.js'
export { RedisConnection, type RedisEvent } from './redis/connection.js'
export type { RedisAddress, RedisConnectionOptions, RedisTlsOptions } from './redis/plan.js'
export { RedisStore, type RedisStoreEvent, type RedisStoreOptions } from './redis/store.js'
export { inspect, type InspectedServer, type InspectOptions, type Inspection } from './redis/inspect.js'
export { FINDINGS, type Finding, type FindingCode, type Severity } from './redis/findings.js'
/**
 * For who keeps more beside the store, as the service does.
 *
 * @internal
 */
export { recordsPrefix } from './redis/namespace.js'
export { aclRules, type AclOptions, type AclRules } from './redis/acl.js'
export { MemoryStore } from './stores/memory.js'
export { RemoteStore, type RemoteStoreOptions } from './stores/remote.js'
export { EventReader, type ServerSentEvent } from './stores/remote-events.js'
/**
 * For who answers a `RemoteStore`.
 *
 * @internal
 */
export * as remoteWire from './stores/remote-wire.js'
/** @internal */
export * as remoteFrame from './stores/remote-frame.js'
export { hasReached } from './stores/position.js'
export type {
  Ack,
  Advancement,
  AdvanceOptions,
  Bell,
  BellListener,
  Change,
  Changes,
  Held,
  ListOptions,
  LiveNode,
  LogPage,
  NodeStatus,
  Page,
  Probe,
  PutOptions,
  ReadLogOptions,
  ReseedOptions,
  Restored,
  RestoreOptions,
  Store,
  Stored,
} from './stores/store.js'
export { openStore } from './open-store.js'
export type { RevocationSettings } from './settings.js'
export {
  TokenManager,
  type CheckResult,
  type AckLevel,
  type CheckOptions,
  type Preview,
  type ReadyOptions,
  type Receipt,
  type RevokeOptions,
  type Standing,
  type TokenManagerOptions,
  type WatchOptions,
} from './token-manager.js'
export { LIST_ORDERS, type ListOrder, type ListQuery } from './list-query.js'
export type { Confirmation } from './receipts.js'
export { scopeOf, type RevocationWarning, type Scope, type StatementOptions } from './statement.js'
export type { LiveEnd } from './live-tokens.js'
export type { Replica } from './replica/replica.js'
export type { ReplicaEvent } from './replica/event.js'
export type { Freshness, FreshnessPolicy } from './freshness.js'
export { ANY_TIME, type Entry, type Revocation, type State } from './core/revocation.js'
export { revocationId } from './core/target.js'
export type { Claims, ClaimValue, ParsedTarget, Shape, Subject, Target } from './core/target.js'
export type { Digest } from './core/digest.js'
export type { Advanced, Mark } from './core/mark.js'
export { VerifiedToken, type Verification, type Verifier } from './token/verifier.js'
export { ALGORITHMS, JwtVerifier, type JwtVerifierOptions } from './token/jwt-verifier.js'
export { OpaqueVerifier, type OpaqueVerifierOptions } from './token/opaque-verifier.js'
export type { RequestHead, TokenSource } from './token/credentials.js'
export { Auth, Gate, type GateCacheOptions, type GateOptions, type Policy, type Verdict } from './gate.js'
export { DENIAL_CODES, type Denial, type DenialCode, type ProblemBody } from './denial.js'
