/** The options of `RedisStore`, and the environment variables that stand for them. */
import { type Environment, EnvironmentReader, numberProblems, unknownOptions } from '../config.js'
import type { Surroundings } from '../surroundings.js'
import { namespaceProblems } from './namespace.js'

/** How a `RedisStore` uses its connection. */
export interface RedisStoreOptions {
  /** Keeps several systems apart on one Redis. Letters, digits, `-`, `_`, `.`; at most 64. Default `main`. */
  readonly namespace?: string | undefined
  /** `ack: 'replicated'` waits for this many replicas. Default 1, 1 to 100. */
  readonly replicas?: number | undefined
  /** `ack: 'replicated'` waits until primary and replicas have it on their disks (`WAITAOF`, Redis 7.2). Default false. */
  readonly onDisk?: boolean | undefined
  /**
   * A primary with fewer replicas in good standing is not believed, for reading too: it may have been cut off, and
   * another may have taken its place. Default 0: nobody counts them. 0 to 100.
   */
  readonly minReplicas?: number | undefined
  /** A replica that has said nothing for longer does not count, in seconds. They speak every second. Default 2, 1 to 60. */
  readonly replicaLagMaxSeconds?: number | undefined
  /** At most this many checks wait for Redis; further ones are `unknown` at once. Default 2,048, 1 to 1,000,000. */
  readonly checksInFlightMax?: number | undefined
  /**
   * Spreads the revocations over so many hash slots of a cluster: 1, 2, 4 … 64. Default 1. It is fixed when the
   * namespace is first written to; a node that was given another number fails with `ERR_PARTITIONS_DIFFER`.
   */
  readonly partitions?: number | undefined
  /** Listen to the doorbell, so that a replica reads a change at once. Default true; without it, it polls. */
  readonly doorbell?: boolean | undefined
  /**
   * Work with a Redis whose `maxmemory-policy` lets it drop revocations in silence. Default false: then everything
   * fails with `ERR_STORE_EVICTS`, and checks are `unknown`.
   */
  readonly allowEviction?: boolean | undefined
  /** Time and chance, for simulations. Default: the machine's. */
  readonly surroundings?: Surroundings | undefined
}

/** Ranges of whole numbers, for options and variables alike. */
const RANGES = {
  replicas: { min: 1, max: 100 },
  minReplicas: { min: 0, max: 100 },
  replicaLagMaxSeconds: { min: 1, max: 60 },
  checksInFlightMax: { min: 1, max: 1_000_000 },
} as const

const NAMES: Readonly<Record<keyof RedisStoreOptions, true>> = {
  namespace: true,
  replicas: true,
  onDisk: true,
  minReplicas: true,
  replicaLagMaxSeconds: true,
  checksInFlightMax: true,
  partitions: true,
  doorbell: true,
  allowEviction: true,
  surroundings: true,
}

/** What is wrong with the options. */
export function storeProblems(options: RedisStoreOptions): string[] {
  const { namespace = 'main', partitions = 1 } = options
  return [
    ...unknownOptions(options, NAMES),
    ...namespaceProblems(namespace, partitions),
    ...numberProblems(options, RANGES),
  ]
}

/** Throws `ERR_CONFIG_INVALID`, with all that is wrong. */
export function storeOptionsFromEnv(env: Environment): RedisStoreOptions {
  const reader = new EnvironmentReader(env)
  const namespace = reader.text('RESCIND_NAMESPACE')
  const partitions = reader.integer('RESCIND_PARTITIONS', { min: 1, max: 64 })
  for (const problem of namespaceProblems(namespace ?? 'main', partitions ?? 1, nameOfVariable))
    reader.problem(problem)
  const options = {
    namespace,
    partitions,
    replicas: reader.integer('RESCIND_REPLICAS', RANGES.replicas),
    onDisk: reader.boolean('RESCIND_ON_DISK'),
    minReplicas: reader.integer('RESCIND_MIN_REPLICAS', RANGES.minReplicas),
    replicaLagMaxSeconds: reader.integer('RESCIND_REPLICA_LAG_MAX_SECONDS', RANGES.replicaLagMaxSeconds),
    allowEviction: reader.boolean('RESCIND_ALLOW_EVICTION'),
  }
  reader.finish()
  return options
}

function nameOfVariable(option: 'namespace' | 'partitions'): string {
  return `RESCIND_${option.toUpperCase()}`
}
