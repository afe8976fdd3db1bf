/**
 * Where Redis is and how to log in: from environment variables or from options, checked whole. One plan comes
 * out: a single server, a Sentinel set or a Cluster.
 */
import { type Environment, EnvironmentReader, throwProblems, unknownOptions } from '../config.js'

/** Where a server listens. */
export interface RedisAddress {
  readonly host: string
  readonly port: number
}

/** TLS beyond the authorities that Node.js knows; all in PEM. */
export interface RedisTlsOptions {
  /** Certificate authorities in PEM; default: those of Node.js. */
  readonly ca?: string | undefined
  /** The client's certificate in PEM, with `key`, where the server wants one. */
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** The name that the server's certificate must bear; default: the host. */
  readonly servername?: string | undefined
}

/** How to reach Redis. Give `url`, or parts; `sentinels` or `cluster` for sets of servers. */
export interface RedisConnectionOptions {
  /** `redis://`, `rediss://` (TLS) or `redis+unix:///path`, with user, password and `/db`. */
  readonly url?: string | undefined
  /** Default `localhost`. */
  readonly host?: string | undefined
  /** Default 6379. */
  readonly port?: number | undefined
  /** Path of a unix socket, in place of host and port. */
  readonly path?: string | undefined
  /** ACL user (Redis 6 and newer). */
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** Database number, default 0; a cluster has only 0. */
  readonly db?: number | undefined
  /** `true`, or certificates. Default: off, on for `rediss://`. */
  readonly tls?: boolean | RedisTlsOptions | undefined
  readonly sentinels?: readonly RedisAddress[] | undefined
  /** The name of the primary's group; needed with `sentinels`. */
  readonly sentinelName?: string | undefined
  readonly sentinelUsername?: string | undefined
  readonly sentinelPassword?: string | undefined
  /** Some nodes of a cluster; it tells of the others. */
  readonly cluster?: readonly RedisAddress[] | undefined
  /** A connection must stand within this many milliseconds. Default 500, 50 to 60,000. */
  readonly connectTimeoutMs?: number | undefined
  /** A check must be answered within this many milliseconds. Default 200, 10 to 60,000. */
  readonly checkTimeoutMs?: number | undefined
  /** A write, or a read of the log, must be answered within this many milliseconds. Default 1,000, 10 to 60,000. */
  readonly writeTimeoutMs?: number | undefined
}

interface RedisPlanCommon {
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly tls?: RedisTlsOptions | undefined
  readonly connectTimeoutMs: number
  readonly checkTimeoutMs: number
  readonly writeTimeoutMs: number
}

export type RedisPlan = RedisPlanCommon &
  (
    | {
        readonly kind: 'single'
        readonly address: RedisAddress | { readonly path: string }
        readonly db: number
      }
    | {
        readonly kind: 'sentinel'
        readonly sentinels: readonly RedisAddress[]
        readonly name: string
        readonly sentinelUsername?: string | undefined
        readonly sentinelPassword?: string | undefined
        readonly db: number
      }
    | { readonly kind: 'cluster'; readonly nodes: readonly RedisAddress[] }
  )

const VARIABLES = {
  url: 'REDIS_URL',
  host: 'REDIS_HOST',
  port: 'REDIS_PORT',
  path: 'REDIS_SOCKET',
  username: 'REDIS_USERNAME',
  password: 'REDIS_PASSWORD',
  db: 'REDIS_DB',
  tls: 'REDIS_TLS',
  sentinels: 'REDIS_SENTINELS',
  sentinelName: 'REDIS_SENTINEL_NAME',
  sentinelUsername: 'REDIS_SENTINEL_USERNAME',
  sentinelPassword: 'REDIS_SENTINEL_PASSWORD',
  cluster: 'REDIS_CLUSTER_NODES',
  connectTimeoutMs: 'REDIS_CONNECT_TIMEOUT_MS',
  checkTimeoutMs: 'RESCIND_CHECK_TIMEOUT_MS',
  writeTimeoutMs: 'RESCIND_WRITE_TIMEOUT_MS',
} as const satisfies Record<keyof RedisConnectionOptions, string>

/** Any of them says where Redis is. */
const PLACES = [VARIABLES.url, VARIABLES.host, VARIABLES.path, VARIABLES.sentinels, VARIABLES.cluster]
/** They say how to speak to it, and not where. */
const WAYS = [
  ...[VARIABLES.port, VARIABLES.username, VARIABLES.password, VARIABLES.db],
  ...[VARIABLES.sentinelName, VARIABLES.sentinelUsername, VARIABLES.sentinelPassword],
  ...[VARIABLES.tls, 'REDIS_TLS_CA', 'REDIS_TLS_CERT', 'REDIS_TLS_KEY', 'REDIS_TLS_SERVERNAME'],
]

type Field = keyof typeof VARIABLES
/** What the user calls a field, or a part of one. */
type NameOf = (field: Field, part?: keyof RedisTlsOptions) => string

const PORT_RANGE = { min: 1, max: 65_535 }
const DB_RANGE = { min: 0, max: 1_000_000 }
const TIMEOUT_RANGES = {
  connectTimeoutMs: { min: 50, max: 60_000, normal: 500 },
  checkTimeoutMs: { min: 10, max: 60_000, normal: 200 },
  writeTimeoutMs: { min: 10, max: 60_000, normal: 1000 },
} as const
const ADDRESSES_MAX = 100

/** True when the environment says anything about where Redis is. */
export function hasRedisVariables(env: Environment): boolean {
  return setAmong(PLACES, env).length > 0
}

/** The variables that say how to speak to Redis, where none says where it is: that is a mistake. */
export function placelessVariables(env: Environment): readonly string[] {
  return hasRedisVariables(env) ? [] : setAmong(WAYS, env)
}

function setAmong(names: readonly string[], env: Environment): string[] {
  const reader = new EnvironmentReader(withoutServiceLink(env))
  return names.filter((name) => reader.has(name))
}

/**
 * In every pod beside a Service named `redis`, Kubernetes sets `REDIS_PORT=tcp://10.0.0.1:6379`: nobody has said that, and
 * it is no port.
 */
function withoutServiceLink(env: Environment): Environment {
  return env[VARIABLES.port]?.startsWith('tcp://') === true ? { ...env, [VARIABLES.port]: undefined } : env
}

/** Reads the variables above, each also as `NAME_FILE`. Throws one `ERR_CONFIG_INVALID` for all problems. */
export function redisPlanFromEnv(env: Environment): RedisPlan {
  const reader = new EnvironmentReader(withoutServiceLink(env))
  const tls = readTls(reader)
  const options: RedisConnectionOptions = {
    url: reader.text(VARIABLES.url),
    host: reader.text(VARIABLES.host),
    port: reader.integer(VARIABLES.port, PORT_RANGE),
    path: reader.text(VARIABLES.path),
    username: reader.text(VARIABLES.username),
    password: reader.text(VARIABLES.password),
    db: reader.integer(VARIABLES.db, DB_RANGE),
    tls,
    sentinels: readAddresses(reader, VARIABLES.sentinels, 26_379),
    sentinelName: reader.text(VARIABLES.sentinelName),
    sentinelUsername: reader.text(VARIABLES.sentinelUsername),
    sentinelPassword: reader.text(VARIABLES.sentinelPassword),
    cluster: readAddresses(reader, VARIABLES.cluster, 6379),
    connectTimeoutMs: reader.integer(VARIABLES.connectTimeoutMs, TIMEOUT_RANGES.connectTimeoutMs),
    checkTimeoutMs: reader.integer(VARIABLES.checkTimeoutMs, TIMEOUT_RANGES.checkTimeoutMs),
    writeTimeoutMs: reader.integer(VARIABLES.writeTimeoutMs, TIMEOUT_RANGES.writeTimeoutMs),
  }
  const nameOf: NameOf = (field, part) =>
    part === undefined ? VARIABLES[field] : `${VARIABLES[field]}_${part.toUpperCase()}`
  return makePlan(options, nameOf, reader.problems)
}

/** Checks options given in code. Throws one `ERR_CONFIG_INVALID` for all problems. */
export function redisPlanFromOptions(options: RedisConnectionOptions): RedisPlan {
  const problems = unknownOptions(options, VARIABLES)
  return makePlan(options, (field, part) => (part === undefined ? field : `${field}.${part}`), problems)
}

function makePlan(given: RedisConnectionOptions, nameOf: NameOf, problems: string[]): RedisPlan {
  const names = (...fields: Field[]) =>
    fields.filter((field) => given[field] !== undefined).map((field) => nameOf(field))
  if (given.url !== undefined) {
    const rivals = names('host', 'port', 'path', 'sentinels', 'cluster')
    if (rivals.length > 0) problems.push(`${nameOf('url')} and ${rivals.join(', ')} are both set; keep one`)
  }
  const options = given.url === undefined ? given : { ...given, ...parseUrl(given, nameOf, problems) }
  if (options.path !== undefined && given.url === undefined && names('host', 'port').length > 0) {
    problems.push(`${nameOf('path')} and ${names('host', 'port').join(', ')} are both set; keep one`)
  }
  if (options.sentinels !== undefined && options.cluster !== undefined) {
    problems.push(`${nameOf('sentinels')} and ${nameOf('cluster')} are both set; keep one`)
  }
  const setOfServers = names('sentinels', 'cluster')
  if (setOfServers.length > 0 && names('host', 'port', 'path').length > 0) {
    problems.push(
      `${setOfServers.join(', ')} and ${names('host', 'port', 'path').join(', ')} are both set; keep one`,
    )
  }
  if (options.sentinels !== undefined && options.sentinelName === undefined) {
    problems.push(
      `${nameOf('sentinelName')} is missing: ${nameOf('sentinels')} needs the name of the primary's group`,
    )
  }
  if (options.sentinels === undefined) {
    for (const name of names('sentinelName', 'sentinelUsername', 'sentinelPassword')) {
      problems.push(`${name} is set without ${nameOf('sentinels')}`)
    }
  }
  if (options.cluster !== undefined && (options.db ?? 0) !== 0) {
    problems.push(`${nameOf('db')} must be 0: a cluster has one database`)
  }
  checkNumber(given.port, PORT_RANGE, 'port', nameOf, problems)
  checkNumber(options.db, DB_RANGE, 'db', nameOf, problems)
  for (const field of Object.keys(TIMEOUT_RANGES) as (keyof typeof TIMEOUT_RANGES)[]) {
    checkNumber(options[field], TIMEOUT_RANGES[field], field, nameOf, problems)
  }
  for (const field of ['sentinels', 'cluster'] as const)
    checkAddresses(options[field], field, nameOf, problems)
  const tls = tlsOf(options, nameOf, problems)
  throwProblems(problems)

  const common: RedisPlanCommon = {
    username: options.username,
    password: options.password,
    tls,
    connectTimeoutMs: options.connectTimeoutMs ?? TIMEOUT_RANGES.connectTimeoutMs.normal,
    checkTimeoutMs: options.checkTimeoutMs ?? TIMEOUT_RANGES.checkTimeoutMs.normal,
    writeTimeoutMs: options.writeTimeoutMs ?? TIMEOUT_RANGES.writeTimeoutMs.normal,
  }
  const db = options.db ?? 0
  if (options.cluster !== undefined) return { ...common, kind: 'cluster', nodes: options.cluster }
  if (options.sentinels !== undefined) {
    const { sentinels, sentinelName, sentinelUsername, sentinelPassword } = options
    return {
      ...common,
      kind: 'sentinel',
      sentinels,
      name: sentinelName ?? '',
      sentinelUsername,
      sentinelPassword,
      db,
    }
  }
  const address =
    options.path === undefined
      ? { host: options.host ?? 'localhost', port: options.port ?? 6379 }
      : { path: options.path }
  return { ...common, kind: 'single', address, db }
}

/** The parts of a URL. What stands in it and also in a part of its own is a conflict. */
function parseUrl(given: RedisConnectionOptions, nameOf: NameOf, problems: string[]): RedisConnectionOptions {
  const name = nameOf('url')
  let url: URL
  try {
    url = new URL(given.url ?? '')
  } catch {
    problems.push(`${name} is not a URL such as redis://host:6379/0`)
    return {}
  }
  const isUnix = url.protocol === 'redis+unix:' || url.protocol === 'unix:'
  if (!isUnix && url.protocol !== 'redis:' && url.protocol !== 'rediss:') {
    problems.push(`${name} must begin with redis://, rediss:// or redis+unix://`)
    return {}
  }
  if (url.search !== '' || url.hash !== '') problems.push(`${name} must not have a query or a fragment`)
  const parts: Record<string, unknown> = {}
  for (const field of ['username', 'password'] as const) {
    if (url[field] === '') continue
    if (given[field] !== undefined)
      problems.push(`${name} and ${nameOf(field)} both give the ${field}; keep one`)
    try {
      parts[field] = decodeURIComponent(url[field])
    } catch {
      problems.push(`${name} has a ${field} that is not percent-encoded correctly`)
    }
  }
  if (isUnix) {
    if (url.pathname.length < 2) problems.push(`${name} lacks the path of the socket`)
    return { ...parts, path: decodePath(url.pathname) }
  }
  if (url.hostname === '') problems.push(`${name} lacks a host`)
  if (url.port === '0') problems.push(`${name} has a port that cannot be used`)
  const db = url.pathname.replace(/^\//, '')
  if (db !== '') {
    if (!/^\d{1,7}$/.test(db)) problems.push(`${name} must end in a database number, or in nothing`)
    else if (given.db !== undefined)
      problems.push(`${name} and ${nameOf('db')} both give the database; keep one`)
    else parts.db = Number(db)
  }
  if (url.protocol === 'rediss:') {
    if (given.tls === false)
      problems.push(`${name} asks for TLS and ${nameOf('tls')} switches it off; keep one`)
    else parts.tls = given.tls ?? true
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { ...parts, host, port: url.port === '' ? 6379 : Number(url.port) }
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

function readTls(reader: EnvironmentReader): RedisConnectionOptions['tls'] {
  const on = reader.boolean('REDIS_TLS')
  const files = {
    ca: reader.text('REDIS_TLS_CA'),
    cert: reader.text('REDIS_TLS_CERT'),
    key: reader.text('REDIS_TLS_KEY'),
    servername: reader.text('REDIS_TLS_SERVERNAME'),
  }
  const hasFiles = Object.values(files).some((value) => value !== undefined)
  if (on === false && hasFiles)
    reader.problem('REDIS_TLS is off, but REDIS_TLS_CA, _CERT, _KEY or _SERVERNAME is set')
  return hasFiles ? files : on
}

function tlsOf(
  options: RedisConnectionOptions,
  nameOf: NameOf,
  problems: string[],
): RedisTlsOptions | undefined {
  const { tls } = options
  if (tls === undefined || tls === false) return undefined
  const parts = tls === true ? {} : tls
  if ((parts.cert === undefined) !== (parts.key === undefined)) {
    problems.push(`${nameOf('tls', 'cert')} and ${nameOf('tls', 'key')} go together: one of them is missing`)
  }
  for (const part of ['ca', 'cert', 'key'] as const) {
    if (parts[part] !== undefined && !parts[part].includes('-----BEGIN ')) {
      problems.push(`${nameOf('tls', part)} is not in PEM format`)
    }
  }
  if (options.path !== undefined) problems.push(`${nameOf('tls')} cannot be used on a unix socket`)
  return parts
}

function readAddresses(
  reader: EnvironmentReader,
  name: string,
  portNormal: number,
): RedisAddress[] | undefined {
  const text = reader.text(name)
  if (text === undefined) return undefined
  const addresses: RedisAddress[] = []
  for (const part of text.split(',', ADDRESSES_MAX + 1)) {
    const match = /^\s*(\[[0-9a-fA-F:.]+\]|[^\s:@/]+)(?::(\d{1,5}))?\s*$/.exec(part)
    if (match === null) {
      reader.problem(`${name} must be a list such as host1:${portNormal},host2:${portNormal}`)
      return undefined
    }
    const host = (match[1] as string).replace(/^\[(.*)\]$/, '$1')
    addresses.push({ host, port: match[2] === undefined ? portNormal : Number(match[2]) })
  }
  return addresses
}

function checkAddresses(
  addresses: readonly RedisAddress[] | undefined,
  field: Field,
  nameOf: NameOf,
  problems: string[],
): void {
  if (addresses === undefined) return
  if (addresses.length === 0 || addresses.length > ADDRESSES_MAX) {
    problems.push(`${nameOf(field)} must list 1 to ${ADDRESSES_MAX} addresses`)
  }
  if (addresses.some(({ host, port }) => !host || !isWithin(port, PORT_RANGE))) {
    problems.push(
      `${nameOf(field)} has an address without a host, or with a port that is not ${PORT_RANGE.min} to ${PORT_RANGE.max}`,
    )
  }
}

function checkNumber(
  value: number | undefined,
  range: { min: number; max: number },
  field: Field,
  nameOf: NameOf,
  problems: string[],
): void {
  if (value === undefined || isWithin(value, range)) return
  problems.push(`${nameOf(field)} must be a whole number from ${range.min} to ${range.max}`)
}

function isWithin(value: number, range: { min: number; max: number }): boolean {
  return Number.isInteger(value) && value >= range.min && value <= range.max
}
