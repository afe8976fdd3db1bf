/**
 * What a failed Redis command means, as an error of ours. Keeps no argument of the command (the client's own
 * errors carry them, AUTH's password among them) and no address.
 */
import { RescindError } from '../errors.js'
import { FORMAT_UNKNOWN_REPLY, PARTITIONS_DIFFER_REPLY, SHAPES_EXCEEDED_REPLY } from './lua.js'
import { shapesExceeded } from '../stores/store.js'

/** Error replies that mean "not now" or "not you", with what to do. */
const REFUSALS: Readonly<Record<string, string>> = {
  NOAUTH: 'it wants a login: set REDIS_PASSWORD (and REDIS_USERNAME)',
  WRONGPASS: 'it does not accept the user name or password',
  NOPERM: 'the user lacks the right to do this: see the ACL rules in the documentation',
  OOM: 'it is out of memory: raise maxmemory',
  READONLY: 'it is a replica, or was demoted: name the primary',
  LOADING: 'it is still loading its data',
  MASTERDOWN: 'its link to the primary is down',
  NOREPLICAS: 'it has too few replicas in good standing',
  CLUSTERDOWN: 'the cluster is down',
  MISCONF: 'it cannot write its data to disk',
  BUSY: 'it is busy with a script',
  TRYAGAIN: 'the cluster is moving slots',
  EXECABORT: 'it refused the transaction',
}

/** Turns whatever a command threw into a `RescindError`. */
export function storeFailure(error: unknown): RescindError {
  if (error instanceof RescindError) return error
  const message = error instanceof Error ? error.message : ''
  const cause = cleanCause(error)
  if (message.includes(SHAPES_EXCEEDED_REPLY)) return shapesExceeded()
  if (message.includes(PARTITIONS_DIFFER_REPLY)) return partitionsDiffer()
  if (message.includes(FORMAT_UNKNOWN_REPLY)) {
    return new RescindError(
      'ERR_STORE_CORRUPT',
      'Redis holds a record of a newer format; upgrade this node',
      { cause },
    )
  }
  const word = refusalOf(message)
  if (word !== undefined) {
    return new RescindError('ERR_STORE_REFUSED', `Redis refuses (${word}): ${REFUSALS[word]}`, { cause })
  }
  if (/timed out|timeout/i.test(message)) {
    return new RescindError('ERR_STORE_TIMEOUT', 'Redis did not answer in time', { cause })
  }
  return new RescindError('ERR_STORE_UNAVAILABLE', 'Redis cannot be reached', { cause })
}

/** The error word of a reply (`NOAUTH`), also of one that a script passed on, or undefined. */
export function refusalOf(message: string): string | undefined {
  const first = /^-?([A-Z]+)\b/.exec(message)?.[1]
  if (first !== undefined && Object.hasOwn(REFUSALS, first)) return first
  // Redis 6.2 wraps what a script's command answered: "ERR Error running script …: -OOM command not allowed".
  const wrapped = /-([A-Z]{3,})\b/.exec(message)?.[1]
  return wrapped !== undefined && Object.hasOwn(REFUSALS, wrapped) ? wrapped : undefined
}

/** Name, code and the first word of the message: nothing that could carry an argument, a host or a login. */
function cleanCause(error: unknown): Error {
  const source = error as { name?: unknown; code?: unknown; message?: unknown } | null | undefined
  const name = typeof source?.name === 'string' ? source.name : 'Error'
  const code =
    typeof source?.code === 'string' && /^[A-Z0-9_]{1,40}$/.test(source.code) ? source.code : undefined
  const word = typeof source?.message === 'string' ? refusalOf(source.message) : undefined
  const cause = new Error(code ?? word ?? name)
  cause.name = name
  cause.stack = `${name}: ${cause.message}`
  return cause
}

/** The members of a reply. Throws `ERR_STORE_CORRUPT` when there are not as many as were asked for. */
export function membersOf<T extends readonly unknown[]>(reply: T, count: number): T {
  if (Array.isArray(reply) && reply.length === count) return reply
  throw new RescindError(
    'ERR_STORE_CORRUPT',
    'Redis answered something else than was asked for: look at what stands between it and this node',
  )
}

/** The namespace was begun with another number of partitions: whoever went on would look in the wrong place. */
export function partitionsDiffer(): RescindError {
  return new RescindError(
    'ERR_PARTITIONS_DIFFER',
    'the namespace has another number of partitions than this store was given: set RESCIND_PARTITIONS alike on every node',
  )
}
