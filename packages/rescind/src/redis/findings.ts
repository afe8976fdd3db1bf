/**
 * Everything that `inspect` can find: one table, of which `docs/doctor.md` is the copy for people (a test compares
 * them).
 */

export type Severity = 'critical' | 'warning' | 'info'

export interface FindingText {
  readonly severity: Severity
  /** What it means, in one sentence. */
  readonly meaning: string
  /** What to do, in one sentence. */
  readonly action: string
}

const found = (severity: Severity, meaning: string, action: string): FindingText => ({
  severity,
  meaning,
  action,
})

/** Every finding by its code, which is stable. */
export const FINDINGS = {
  unreachable: found(
    'critical',
    'The server did not answer, so nothing is known about it.',
    'Look at the server, the network and the log-in; `code` says what failed.',
  ),
  loading: found(
    'critical',
    'The server is loading its data and may not know every revocation yet.',
    'Wait until it has loaded, and inspect it again.',
  ),
  is_replica: found(
    'critical',
    'This server is a replica: it takes no revocations, and what it says may be old.',
    'Name the primary, or the Sentinels that know it.',
  ),
  primary_link_down: found(
    'critical',
    'This replica has lost its primary.',
    'Look at the network between them, and name the primary for Rescind.',
  ),
  evicts_any_key: found(
    'critical',
    'When memory is full, the server drops any key: records, the log and its head, in silence.',
    'Set maxmemory-policy to noeviction, and give Rescind a server of its own if others need eviction.',
  ),
  evicts_expiring_keys: found(
    'critical',
    'When memory is full, the server drops keys that have an expiry, and every revocation and every piece of the log has one.',
    'Set maxmemory-policy to noeviction, and give Rescind a server of its own if others need eviction.',
  ),
  keys_evicted: found(
    'critical',
    'The server has dropped keys since it started: revocations may be among them.',
    'Set maxmemory-policy to noeviction, add memory, and revoke again what must not come back.',
  ),
  memory_exhausted: found(
    'critical',
    'Memory is used up: the server refuses revocations, or drops keys.',
    'Raise maxmemory, or move what else the server holds elsewhere.',
  ),
  memory_low: found(
    'warning',
    'More than four fifths of the memory that the server may use are used.',
    'Raise maxmemory before it is full: then revocations are refused.',
  ),
  memory_unlimited: found(
    'warning',
    'The server has no memory limit, so the system may kill it when memory runs out.',
    'Set maxmemory below what the machine has, with maxmemory-policy noeviction.',
  ),
  persistence_off: found(
    'critical',
    'Nothing is written to disk: a restart forgets every revocation.',
    'Set appendonly to yes.',
  ),
  snapshots_only: found(
    'warning',
    'Only snapshots are written: a restart forgets what was revoked since the last one.',
    'Set appendonly to yes.',
  ),
  aof_off: found(
    'warning',
    'The append-only file is off: a restart forgets what was revoked since the last snapshot, if there are any.',
    'Set appendonly to yes, or ask the provider how the data is kept.',
  ),
  appendfsync_no: found(
    'warning',
    'The system decides when the append-only file reaches the disk, often half a minute later.',
    'Set appendfsync to everysec or always.',
  ),
  appendfsync_everysec: found(
    'info',
    'A crash of the machine loses up to a second of revocations.',
    "Keep it with replicas and `ack: 'replicated'`, or set appendfsync to always.",
  ),
  save_failed: found(
    'critical',
    'The last attempt to write to disk failed.',
    "Look at the disk's space and rights, and at the log of the server.",
  ),
  replicas_none: found(
    'warning',
    'No replica is connected: when this server is lost, so are its revocations.',
    'Add a replica, and Sentinel or Cluster to promote it.',
  ),
  replica_not_online: found(
    'warning',
    'A replica is connected and not in step yet, or any more.',
    'Look at that replica and at the network to it.',
  ),
  replica_lagging: found(
    'warning',
    'A replica has not confirmed anything for too long: what it lacks would be lost if it were promoted.',
    'Look at that replica and at the network to it.',
  ),
  replica_never_promoted: found(
    'info',
    'A replica has priority 0 and is never promoted.',
    'Keep it so if it is a backup, and have another that can be promoted.',
  ),
  replicas_none_promotable: found(
    'warning',
    'Every replica has priority 0, so none takes over when the primary is lost.',
    'Set replica-priority above 0 on at least one.',
  ),
  min_replicas_off: found(
    'warning',
    'A primary that is cut off from its replicas goes on taking revocations, which are lost at the failover.',
    'Set min-replicas-to-write to 1 or more, with min-replicas-max-lag 10.',
  ),
  min_replicas_unmet: found(
    'critical',
    'Fewer replicas are in good standing than min-replicas-to-write asks for: the server refuses revocations.',
    'Bring the replicas back.',
  ),
  min_replicas_lag_long: found(
    'warning',
    'A primary that is cut off from its replicas goes on for longer than half a minute.',
    'Set min-replicas-max-lag to 10.',
  ),
  clock_skew: found(
    'warning',
    'The clock of this process and that of the server differ: revocations end earlier or later than they should.',
    'Have both take their time from NTP.',
  ),
  clock_skew_large: found(
    'critical',
    'The clock of this process and that of the server differ by a minute or more: a log-in may fall before a revocation that was made before it, or after one that should cover it.',
    'Have both take their time from NTP, and stop the node until it has the right time.',
  ),
  default_user_open: found(
    'critical',
    'The user `default` needs no password: whoever reaches the port can undo revocations.',
    'Switch it off (ACL SETUSER default off) or set a password, and give each node a user of its own.',
  ),
  default_user_open_locally: found(
    'info',
    'The user `default` needs no password; it was reached from the same machine.',
    'Set a password before the port is open to others.',
  ),
  may_write: found(
    'warning',
    'The user may write revocations, so whoever takes the node over can undo them.',
    'Give nodes that only check the reader rules of docs/redis-acl.md.',
  ),
  may_destroy: found(
    'warning',
    'The user may run commands that destroy revocations or change the server, which no node needs.',
    'Give it the reader or the writer rules of docs/redis-acl.md.',
  ),
  tls_off: found(
    'warning',
    'The connection to another machine is not encrypted: passwords and revocations can be read and changed on the way.',
    'Use rediss:// or REDIS_TLS.',
  ),
  version_unsupported: found(
    'critical',
    'The server is older than Redis 6.2, and the scripts may not work on it.',
    'Upgrade it.',
  ),
  version_vulnerable: found(
    'warning',
    'By its version the server has published holes, unless the distribution has mended them under the same number.',
    'Upgrade it to `fixedIn` or newer, or ask the distribution about each number.',
  ),
  cluster_not_ok: found(
    'critical',
    'The cluster does not serve all slots: checks and revocations of some targets fail.',
    'Look at CLUSTER INFO and CLUSTER NODES.',
  ),
  namespace_missing: found(
    'info',
    'Nothing was ever revoked under this namespace, or Redis was emptied.',
    'Make sure that namespace and database are the right ones, and that Redis was not emptied.',
  ),
  namespace_unreadable: found(
    'critical',
    'The namespace holds something that this version cannot read.',
    'Upgrade this node, or give Rescind a namespace of its own.',
  ),
  partitions_differ: found(
    'critical',
    'The namespace was begun with another number of partitions.',
    'Give every node the same RESCIND_PARTITIONS.',
  ),
  shapes_lost: found(
    'critical',
    'The list of shapes in use is missing or of another history: checks of new nodes do not look where they should.',
    'Find out what removed it (eviction, a person, a restored backup), and revoke again what must not come back.',
  ),
  log_lost: found(
    'critical',
    'A part of the log is missing that should still be there: new nodes do not know what it held.',
    'Find out what removed it (eviction, a person, a restored backup), and revoke again what must not come back.',
  ),
  log_broken: found(
    'critical',
    'The log does not continue itself: it was changed, cut or mixed with another.',
    'Find out what changed it (a person, a restored backup), and revoke again what must not come back.',
  ),
  cannot_be_told: found(
    'info',
    'This could not be asked, so nothing is said about it.',
    'Inspect with the operator rules of docs/redis-acl.md, or ask the provider.',
  ),
} as const satisfies Record<string, FindingText>

/** The codes of `docs/doctor.md`. */
export type FindingCode = keyof typeof FINDINGS

/** One thing that the doctor has to say, in words for people. No secret is in it. */
export interface Finding extends FindingText {
  readonly code: FindingCode
  /** The server it is about, as `host:port`; absent for what concerns them all. */
  readonly server?: string
  /** Numbers and names to go with it; never a secret. */
  readonly figures: Readonly<Record<string, number | string>>
}

const RANKS: Readonly<Record<Severity, number>> = { critical: 0, warning: 1, info: 2 }

export function finding(
  code: FindingCode,
  figures: Readonly<Record<string, number | string>> = {},
  server?: string,
): Finding {
  return { code, ...FINDINGS[code], figures, ...(server === undefined ? {} : { server }) }
}

/** The worst first, otherwise in the order in which they were found. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  return [...findings].sort((a, b) => RANKS[a.severity] - RANKS[b.severity])
}
