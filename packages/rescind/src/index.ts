/**
 * Rescind: token revocation. A signed token is revoked, and from then on refused.
 */
export { RescindError, ERROR_CODES, hasCode, type ErrorCode } from './errors.js'
export type { Environment } from './config.js'
export { RedisConnection, type RedisEvent, type RedisRole } from './redis/connection.js'
export type { RedisAddress, RedisConnectionOptions, RedisTlsOptions } from './redis/settings.js'
export { RedisStore, type RedisStoreEvent, type RedisStoreOptions } from './redis/store.js'
export { inspect, type InspectedServer, type InspectOptions, type Inspection } from './redis/inspect.js'
export { FINDINGS, type Finding, type FindingCode, type Severity } from './redis/findings.js'
export { aclRules, type AclOptions, type AclRules } from './redis/acl.js'
export { MemoryStore } from './stores/memory.js'
export type {
  Ack,
  Bell,
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
  Store,
  Stored,
} from './stores/store.js'
export { openStore } from './open-store.js'
export type { RevocationSettings } from './settings.js'
export {
  TokenManager,
  type CheckResult,
  type ListQuery,
  type AckLevel,
  type CheckOptions,
  type Preview,
  type Receipt,
  type RevokeOptions,
  type TokenManagerOptions,
  type WatchOptions,
} from './token-manager.js'
export type { RevocationWarning, StatementOptions } from './statement.js'
export type { LiveEnd } from './live-tokens.js'
export type { Replica } from './replica/replica.js'
export type { ReplicaEvent } from './replica/follower.js'
export type { Freshness, FreshnessPolicy } from './freshness.js'
export { ANY_TIME, type Entry, type Revocation, type State } from './core/revocation.js'
export type { Claims, ClaimValue, ParsedTarget, Shape, Subject, Target } from './core/target.js'
export type { Digest } from './core/digest.js'
export { VerifiedToken, type Verification, type Verifier } from './token/verifier.js'
export { ALGORITHMS, JwtVerifier, type JwtVerifierOptions } from './token/jwt-verifier.js'
export { OpaqueVerifier, type OpaqueVerifierOptions } from './token/opaque-verifier.js'
export type { RequestHead, TokenSource } from './token/credentials.js'
export { Auth, Gate, type GateCacheOptions, type GateOptions, type Policy, type Verdict } from './gate.js'
export { DENIAL_CODES, type Denial, type DenialCode, type ProblemBody } from './denial.js'
