/**
 * From what servers told to findings: a pure function. What was not told becomes the finding `cannot_be_told`, and
 * never nothing.
 */
import type { ErrorCode } from '../errors.js'
import { ADVISORIES_DATE, holesOf, isOlder, type Software } from './advisories.js'
import { evictedBy } from './eviction.js'
import { type Finding, finding, type FindingCode, inOrder } from './findings.js'
import type { Fields } from './info.js'
import type { Rights } from './rights.js'

/** What one server told. Whatever it did not tell is absent. */
export interface ServerFacts {
  /** `host:port`, or `unix socket`. */
  readonly address: string
  readonly isLocal: boolean
  readonly isEncrypted: boolean
  /** Why it could not be asked at all. */
  readonly failure?: ErrorCode
  /** `INFO`. */
  readonly info?: Fields
  /** `CONFIG GET` of `save`, `appendfsync`, `min-replicas-to-write` and `min-replicas-max-lag`. */
  readonly config: Fields
  /** The server's clock minus ours, in milliseconds, less what the way there may have taken. */
  readonly skewMs?: number
  /** Whose rights these are. */
  readonly user?: string
  readonly rights?: Rights
  readonly isDefaultOpen?: boolean
  /** `CLUSTER INFO`, of a cluster. */
  readonly cluster?: Fields
  readonly replicas: readonly ReplicaFacts[]
  readonly untold: readonly Untold[]
}

export interface ReplicaFacts {
  readonly address: string
  readonly state: string
  readonly lagSeconds: number
  /** Undefined when the replica did not tell. */
  readonly priority?: number
}

export interface Untold {
  readonly subject: string
  /** The first word of the answer, such as NOPERM. */
  readonly because: string
}

/** What stands under a namespace. */
export interface NamespaceFacts {
  readonly partitions: readonly PartitionFacts[]
  /** The list of shapes in use, or why there is none. */
  readonly shapes: { readonly epoch: string; readonly partitions: number } | 'missing' | 'unreadable'
  readonly untold: readonly Untold[]
}

export interface PartitionFacts {
  readonly number: number
  readonly state: 'missing' | 'unreadable' | 'present'
  readonly epoch?: string
  /** Whole records were written. */
  readonly hasLog: boolean
  /** How many pieces of the log should be there and are not. */
  readonly segmentsLost: number
  /** The newest piece continues itself, up to where its head says that it ends. */
  readonly isWhole: boolean
}

export interface DiagnosisOptions {
  /** A difference of clocks up to this is no finding, in milliseconds. */
  readonly skewMaxMs: number
  /** How many partitions this node was given. */
  readonly partitions: number
  /** The user is that of a node that revokes. */
  readonly revokes: boolean
}

const MEMORY_LOW_SHARE = 0.8
const SKEW_LARGE_MS = 60_000
const REPLICA_LAG_MAX_SECONDS = 10
const MIN_REPLICAS_LAG_MAX_SECONDS = 30
const VERSION_MIN = '6.2.0'

type Make = (code: FindingCode, figures?: Readonly<Record<string, number | string>>) => Finding

/** The worst first. */
export function diagnose(
  servers: readonly ServerFacts[],
  namespace: NamespaceFacts | undefined,
  options: DiagnosisOptions,
): readonly Finding[] {
  return inOrder([
    ...servers.flatMap((server) => diagnoseServer(server, options)),
    ...(namespace === undefined ? [] : diagnoseNamespace(namespace, options)),
  ])
}

function diagnoseServer(facts: ServerFacts, options: DiagnosisOptions): Finding[] {
  const make: Make = (code, figures) => finding(code, figures, facts.address)
  if (facts.failure !== undefined) return [make('unreachable', { code: facts.failure })]
  const untold = facts.untold.map(({ subject, because }) => make('cannot_be_told', { subject, because }))
  return [
    ...(facts.info === undefined ? [] : diagnoseInfo(facts, facts.info, make)),
    ...clock(facts, options, make),
    ...access(facts, options, make),
    ...cluster(facts, make),
    ...untold,
  ]
}

function diagnoseInfo(facts: ServerFacts, info: Fields, make: Make): Finding[] {
  return [
    ...version(info, make),
    ...memory(info, make),
    ...persistence(info, facts.config, make),
    ...(info.role === 'master' ? replicas(facts, info, make) : standing(info, make)),
  ]
}

function version(info: Fields, make: Make): Finding[] {
  const { name, version } = softwareOf(info)
  if (name === undefined || version === undefined) return [missing('version', make)]
  const holes = holesOf(name, version)
  const fixes = holes.flatMap(({ fixedIn }) => (fixedIn === undefined ? [] : [fixedIn]))
  const isFixed = fixes.length === holes.length
  const newest = fixes.reduce((a, b) => (isOlder(a, b) ? b : a), '')
  return [
    ...(name === 'redis' && isOlder(version, VERSION_MIN) ? [make('version_unsupported', { version })] : []),
    ...(holes.length === 0
      ? []
      : [
          make('version_vulnerable', {
            version,
            holes: holes.map(({ id }) => id).join(', '),
            fixedIn: isFixed ? newest : 'a newer branch',
            asOf: ADVISORIES_DATE,
          }),
        ]),
  ]
}

function memory(info: Fields, make: Make): Finding[] {
  const policy = info.maxmemory_policy
  const found: Finding[] = []
  if (policy === undefined) found.push(missing('maxmemory-policy', make))
  if (evictedBy(policy) === 'any') found.push(make('evicts_any_key', { policy: policy ?? '' }))
  if (evictedBy(policy) === 'expiring') found.push(make('evicts_expiring_keys', { policy: policy ?? '' }))
  const evicted = numberOf(info.evicted_keys)
  if (evicted === undefined) found.push(missing('evicted keys', make))
  else if (evicted > 0) found.push(make('keys_evicted', { evicted }))
  const used = numberOf(info.used_memory)
  const limit = numberOf(info.maxmemory)
  if (used === undefined || limit === undefined) return [...found, missing('memory', make)]
  const figures = { usedBytes: used, limitBytes: limit }
  if (limit === 0) found.push(make('memory_unlimited', { usedBytes: used }))
  else if (used >= limit) found.push(make('memory_exhausted', figures))
  else if (used >= limit * MEMORY_LOW_SHARE) found.push(make('memory_low', figures))
  return found
}

function persistence(info: Fields, config: Fields, make: Make): Finding[] {
  const found: Finding[] = []
  if (info.loading === '1' || info.async_loading === '1') found.push(make('loading'))
  const states = [
    info.rdb_last_bgsave_status,
    info.aof_last_write_status,
    info.aof_last_bgrewrite_status,
  ].filter((state) => state !== undefined)
  if (states.some((state) => state !== 'ok')) found.push(make('save_failed'))
  if (info.aof_enabled === undefined) return [...found, missing('persistence', make)]
  if (info.aof_enabled === '1') {
    // That `appendfsync` was not told is among what was not told.
    if (config.appendfsync === 'no') found.push(make('appendfsync_no'))
    if (config.appendfsync === 'everysec') found.push(make('appendfsync_everysec'))
    return found
  }
  if (config.save === undefined) return [...found, make('aof_off')]
  if (config.save === '') return [...found, make('persistence_off')]
  const unsaved = numberOf(info.rdb_changes_since_last_save)
  return [...found, make('snapshots_only', unsaved === undefined ? {} : { unsavedChanges: unsaved })]
}

function replicas(facts: ServerFacts, info: Fields, make: Make): Finding[] {
  const found: Finding[] = []
  if (facts.replicas.length === 0) found.push(make('replicas_none'))
  for (const { address, state, lagSeconds, priority } of facts.replicas) {
    const replica = { replica: address }
    if (state !== 'online') found.push(make('replica_not_online', { ...replica, state }))
    else if (lagSeconds > REPLICA_LAG_MAX_SECONDS)
      found.push(make('replica_lagging', { ...replica, lagSeconds }))
    if (priority === 0) found.push(make('replica_never_promoted', replica))
    if (priority === undefined)
      found.push(make('cannot_be_told', { subject: 'replica-priority', because: 'no answer', ...replica }))
  }
  if (facts.replicas.length > 0 && facts.replicas.every(({ priority }) => priority === 0))
    found.push(make('replicas_none_promotable', { replicas: facts.replicas.length }))

  // Without the right to ask: this field is there exactly when the setting is on.
  const good = numberOf(info.min_slaves_good_slaves)
  const wanted = numberOf(facts.config['min-replicas-to-write']) ?? (good === undefined ? 0 : undefined)
  const lag = numberOf(facts.config['min-replicas-max-lag'])
  if (wanted === 0 || lag === 0) return [...found, make('min_replicas_off')]
  if (wanted !== undefined && good !== undefined && good < wanted)
    found.push(make('min_replicas_unmet', { good, wanted }))
  if (lag !== undefined && lag > MIN_REPLICAS_LAG_MAX_SECONDS)
    found.push(make('min_replicas_lag_long', { lagSeconds: lag }))
  return found
}

/** Of a server that is no primary. */
function standing(info: Fields, make: Make): Finding[] {
  if (info.role === undefined) return [missing('role', make)]
  const isDown = info.master_link_status !== undefined && info.master_link_status !== 'up'
  return [make('is_replica'), ...(isDown ? [make('primary_link_down')] : [])]
}

function clock(facts: ServerFacts, { skewMaxMs }: DiagnosisOptions, make: Make): Finding[] {
  if (facts.skewMs === undefined) return []
  const skewMs = Math.round(facts.skewMs)
  if (Math.abs(skewMs) >= SKEW_LARGE_MS) return [make('clock_skew_large', { skewMs })]
  return Math.abs(skewMs) > skewMaxMs ? [make('clock_skew', { skewMs })] : []
}

function access(facts: ServerFacts, { revokes }: DiagnosisOptions, make: Make): Finding[] {
  const found: Finding[] = []
  if (!facts.isLocal && !facts.isEncrypted) found.push(make('tls_off'))
  if (facts.isDefaultOpen === true)
    found.push(make(facts.isLocal ? 'default_user_open_locally' : 'default_user_open'))
  if (facts.rights === undefined) return found
  const { write, destroy } = facts.rights
  const who = { user: facts.user ?? '' }
  if (write.length > 0 && !revokes) found.push(make('may_write', { ...who, commands: write.join(', ') }))
  if (destroy.length > 0) found.push(make('may_destroy', { ...who, commands: destroy.join(', ') }))
  return found
}

function cluster(facts: ServerFacts, make: Make): Finding[] {
  if (facts.cluster === undefined) return []
  const { cluster_state: state, cluster_slots_ok: slotsOk } = facts.cluster
  if (state === undefined) return [missing('cluster', make)]
  if (state === 'ok' && slotsOk === '16384') return []
  return [make('cluster_not_ok', { state, slotsOk: slotsOk ?? '' })]
}

function diagnoseNamespace(facts: NamespaceFacts, options: DiagnosisOptions): Finding[] {
  const { partitions, shapes } = facts
  const untold = facts.untold.map(({ subject, because }) => finding('cannot_be_told', { subject, because }))
  if (untold.length > 0) return untold
  const home = partitions[0]
  const isBegun = partitions.some(({ state }) => state !== 'missing')
  if (!isBegun && shapes === 'missing') return [finding('namespace_missing')]
  const found: Finding[] = []
  for (const { number, state, segmentsLost, isWhole } of partitions) {
    if (state === 'unreadable') found.push(finding('namespace_unreadable', { partition: number }))
    if (segmentsLost > 0) found.push(finding('log_lost', { partition: number, segmentsLost }))
    if (!isWhole) found.push(finding('log_broken', { partition: number }))
  }
  if (shapes === 'unreadable') return [...found, finding('namespace_unreadable', { partition: 0 })]
  if (shapes !== 'missing' && shapes.partitions !== options.partitions)
    return [finding('partitions_differ', { stored: shapes.partitions, given: options.partitions })]
  if (home?.state === 'unreadable') return found
  if (home?.state === 'missing') return [...found, finding('log_lost', { partition: 0, segmentsLost: 1 })]
  const isLost = shapes === 'missing' ? partitions.some(({ hasLog }) => hasLog) : shapes.epoch !== home?.epoch
  return isLost ? [...found, finding('shapes_lost')] : found
}

/** Which software this is, as far as its holes are known, and its version. */
export function softwareOf(info: Fields): { name: Software | undefined; version: string | undefined } {
  if (info.valkey_version !== undefined) return { name: 'valkey', version: info.valkey_version }
  // Others that speak the protocol tell a version of Redis that they are not.
  const isOther = Object.keys(info).some((name) => /^(dragonfly|keydb|garnet)_/.test(name))
  return { name: isOther ? undefined : 'redis', version: info.redis_version }
}

function missing(subject: string, make: Make): Finding {
  return make('cannot_be_told', { subject, because: 'not in the answer' })
}

function numberOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined
}
