/**
 * What each part of a system may do on Redis, as arguments of `ACL SETUSER`: a `reader` is an application node that
 * checks, a `writer` one that revokes and restores, a `service` the service (`@rescind/server`), which also keeps
 * records, an `operator` a person who looks (`inspect`).
 *
 * `docs/redis-acl.md` says what each can and cannot do, and a test runs every command of a server as the reader.
 */
import { throwProblems } from '../config.js'
import { bellChannel, namespaceProblems, recordsPrefix } from './namespace.js'
import { Partition } from './partition.js'

/** For which namespace and which release the rules are made. */
export interface AclOptions {
  /** As of the store. Default `main`. */
  readonly namespace?: string | undefined
  /** As of the store. Default 1. */
  readonly partitions?: number | undefined
  /**
   * Redis 6.2 has no rights to read only: there a reader may not announce itself, because whoever may write one hash
   * may write them all. 7.2 (and Valkey) also lets the writer ask for disks (`onDisk`). Default 7, which newer ones take too.
   */
  readonly version?: 6.2 | 7 | 7.2 | undefined
}

/** Arguments for `ACL SETUSER name on >password …`, which leave the state and the passwords of the user as they are. */
export interface AclRules {
  readonly reader: readonly string[]
  readonly writer: readonly string[]
  readonly service: readonly string[]
  readonly operator: readonly string[]
}

/** What every client does: connect, be found in a cluster, and ask whether this is a primary that keeps its keys. */
const CONNECT = [
  'ping',
  'info',
  'role',
  'time',
  'select',
  'asking',
  'client|setname',
  'cluster|slots',
  'cluster|info',
  'acl|whoami',
]
const READ = ['get', 'mget', 'getrange', 'strlen', 'exists', 'hget', 'hgetall']
const ANNOUNCE = ['hset', 'hdel']
const LISTEN = ['subscribe']
/** What the scripts run, which have no more rights than their caller, and what runs the scripts. */
const WRITE = [
  ...ANNOUNCE,
  ...['set', 'append', 'hmget', 'pttl', 'pexpire', 'publish', 'wait'],
  ...['eval', 'evalsha', 'script|exists', 'script|load'],
]
/** Clients of the service, answers that it repeats, and its audit trail. */
const RECORDS = [
  ...['get', 'set', 'del', 'hget', 'hgetall', 'hset', 'hdel', 'hlen', 'eval', 'evalsha'],
  ...['xadd', 'xlen', 'xrange', 'xrevrange', 'zadd', 'zrange', 'zrem'],
]
const LOOK = ['config|get', 'acl|getuser']

/** Throws `ERR_CONFIG_INVALID` for options that no store would take. */
export function aclRules(options: AclOptions = {}): AclRules {
  const { namespace = 'main', partitions = 1, version = 7 } = options
  const problems = namespaceProblems(namespace, partitions)
  if (![6.2, 7, 7.2].includes(version)) problems.push('version must be 6.2, 7 or 7.2')
  throwProblems(problems)
  // Each partition by its own name: `{main.*}` would also match those of a namespace `main.other`.
  const all = Array.from({ length: partitions }, (_, number) => `${new Partition(namespace, number).prefix}*`)
  const nodes = new Partition(namespace, 0).key('nodes')
  const channel = `&${bellChannel(namespace)}`
  const isSeven = version >= 7
  const may = (...names: string[]) => names.map((name) => `+${name}`)
  const fresh = [...(isSeven ? ['clearselectors'] : []), 'resetkeys', 'resetchannels', '-@all']
  const readable = all.map((pattern) => (isSeven ? `%R~${pattern}` : `~${pattern}`))
  const records = `${recordsPrefix(namespace)}*`
  const writer = [
    ...fresh,
    ...all.map((pattern) => `~${pattern}`),
    channel,
    ...may(...CONNECT, ...READ, ...LISTEN, ...WRITE, ...(version >= 7.2 ? ['waitaof'] : [])),
  ]
  return {
    reader: [
      ...fresh,
      ...readable,
      ...(isSeven ? [`~${nodes}`] : []),
      channel,
      ...may(...CONNECT, ...READ, ...LISTEN, ...(isSeven ? ANNOUNCE : [])),
    ],
    writer,
    // On its records, and on those alone, it may do what nobody may on revocations (`DEL`).
    service: isSeven
      ? [...writer, `(~${records} ${may(...RECORDS).join(' ')})`]
      : [...writer, `~${records}`, ...may(...RECORDS)],
    operator: [
      ...fresh,
      ...readable,
      ...may(...CONNECT, ...READ, ...LOOK, ...(isSeven ? ['acl|dryrun'] : [])),
    ],
  }
}
