/**
 * Where a command is sent: from flags, else from the environment, else from the configuration. Whatever is secret comes
 * from the environment or from a file; in an argument everybody on the machine could read it.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import type { Environment } from 'rescind'
import { isSet, loadConfig, readNamedFile, textOf } from '../../config/load.js'
import type { Config } from '../../config/schema.js'
import { usage } from '../failure.js'
import { configOption } from '../options.js'

export interface BackendFlags {
  readonly url?: string
  readonly keyFile?: string
  readonly redis?: string
  readonly redisUrlFile?: string
  readonly dataDir?: string
  readonly namespace?: string
  readonly config?: string
}

export type Place =
  | { readonly kind: 'remote'; readonly url: URL; readonly key: string }
  | { readonly kind: 'local'; readonly env: Environment; readonly config: Config; readonly text: string }

/** What a command can be sent to, as `RESCIND_STORE` names it. */
const KINDS = ['remote', 'redis', 'lmdb'] as const
type Kind = (typeof KINDS)[number]
type LocalKind = Exclude<Kind, 'remote'>
/** Variables that say where Redis is; each may also end in `_FILE`. */
const REDIS_PLACES = ['REDIS_URL', 'REDIS_HOST', 'REDIS_SOCKET', 'REDIS_SENTINELS', 'REDIS_CLUSTER_NODES']
const KEY_LENGTH_MAX = 512

export function addBackendFlags(command: Command): Command {
  return command
    .optionsGroup('Where to (else what the environment says, else the configuration):')
    .addOption(
      new Option('--url <url>', 'a running service (RESCIND_URL)').conflicts([
        'redis',
        'redisUrlFile',
        'dataDir',
      ]),
    )
    .option('--key-file <file>', 'a file with the key for it (RESCIND_KEY, RESCIND_KEY_FILE)')
    .addOption(
      new Option('--redis <url>', 'Redis, by a URL without a password (REDIS_PASSWORD)').conflicts([
        'redisUrlFile',
        'dataDir',
      ]),
    )
    .addOption(
      new Option(
        '--redis-url-file <file>',
        'Redis, by a file with its URL (REDIS_URL_FILE, REDIS_…)',
      ).conflicts('dataDir'),
    )
    .option('--data-dir <folder>', 'the embedded store (RESCIND_DATA_DIR)')
    .option('--namespace <name>', 'the namespace in Redis (RESCIND_NAMESPACE)')
    .addOption(configOption())
    .optionsGroup('Options:')
}

/** Throws `ERR_CONFIG_INVALID` and `ERR_OPTION_INVALID`, saying what to give. */
export function placeOf(flags: BackendFlags, env: Environment): Place {
  const kind = kindOf(flags, env)
  // What means another kind of place means another place.
  if (flags.namespace !== undefined && kind !== 'redis')
    throw usage('--namespace is for Redis: a service, or an embedded store, has one of its own')
  if (flags.keyFile !== undefined && kind !== 'remote')
    throw usage('--key-file is for a service: name it with --url or RESCIND_URL')
  if (kind !== 'remote') return localPlace(kind, flags, env)
  const url = flags.url ?? textOf(env, 'RESCIND_URL')
  if (url === undefined)
    throw usage('RESCIND_STORE is remote, so name the service: give --url or RESCIND_URL')
  return { kind, url: serviceUrl(url), key: keyOf(flags, env) }
}

/** As the library would choose (`openStore`), but for a memory that would end with the command. */
function kindOf(flags: BackendFlags, env: Environment): Kind {
  if (flags.url !== undefined) return 'remote'
  if (flags.redis !== undefined || flags.redisUrlFile !== undefined) return 'redis'
  if (flags.dataDir !== undefined) return 'lmdb'
  const asked = textOf(env, 'RESCIND_STORE')
  if (asked !== undefined) {
    const kind = KINDS.find((known) => known === asked)
    if (kind === undefined)
      throw usage(
        `RESCIND_STORE must be one of ${KINDS.join(', ')} for a command: a memory of its own ends with it. ` +
          'Set another one, or say where to with --url, --redis, --redis-url-file or --data-dir',
      )
    return kind
  }
  if (!isSet(env, 'RESCIND_URL')) return hasRedis(env) ? 'redis' : 'lmdb'
  if (hasRedis(env))
    throw usage('RESCIND_URL and variables of Redis are both set: say which with --url or --redis-url-file')
  return 'remote'
}

function localPlace(kind: LocalKind, flags: BackendFlags, outer: Environment): Place {
  const env: Record<string, string | undefined> = { ...outer }
  const set = (name: string, value: string | undefined) => {
    delete env[`${name}_FILE`]
    env[name] = value
  }
  // What was decided here is what the library is told, so that it cannot open another store.
  set('RESCIND_STORE', kind)
  set('RESCIND_NAMESPACE', flags.namespace ?? textOf(outer, 'RESCIND_NAMESPACE'))
  set('RESCIND_DATA_DIR', flags.dataDir ?? textOf(outer, 'RESCIND_DATA_DIR'))
  if (flags.redis !== undefined || flags.redisUrlFile !== undefined) {
    for (const name of REDIS_PLACES) set(name, undefined)
    if (flags.redis !== undefined) env.REDIS_URL = withoutPassword(flags.redis)
    else env.REDIS_URL_FILE = flags.redisUrlFile
  }
  const { config } = loadConfig(env, { path: flags.config })
  if (kind === 'redis')
    return { kind: 'local', env, config, text: `Redis, namespace ${config.namespace ?? 'main'}` }
  const folder = resolve(config.dataDir)
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw usage(
      env.RESCIND_DATA_DIR === undefined
        ? `nothing says where to: give --url, --redis, --redis-url-file or --data-dir (or RESCIND_URL, REDIS_URL, ` +
            `RESCIND_DATA_DIR). An embedded store would be in ${folder}, and there is no such folder`
        : `there is no folder ${folder}: name the one of the service (--data-dir), or make it`,
    )
  return { kind: 'local', env, config, text: `embedded store in ${folder}` }
}

function hasRedis(env: Environment): boolean {
  return REDIS_PLACES.some((name) => isSet(env, name))
}

function withoutPassword(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) throw usage('--redis takes a URL such as redis://localhost:6379')
  if (url.password !== '' || url.search !== '')
    throw usage(
      '--redis takes no password: other users of this machine can read arguments, so change that password. ' +
        'Give it as REDIS_PASSWORD, or the whole URL as REDIS_URL or --redis-url-file',
    )
  return text
}

function serviceUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw usage('--url takes the URL of the service, such as https://rescind.example')
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw usage('--url takes no user, password, "?" or "#": give the key as RESCIND_KEY or --key-file')
  return url
}

function keyOf(flags: BackendFlags, env: Environment): string {
  const { keyFile } = flags
  const text = keyFile === undefined ? textOf(env, 'RESCIND_KEY') : readNamedFile('--key-file', keyFile)
  const key = text?.trim() ?? ''
  if (key === '')
    throw usage('the service asks for a key: give it as RESCIND_KEY, RESCIND_KEY_FILE or --key-file')
  // What an HTTP header cannot hold would be repeated by the error of `fetch`.
  if (!/^[\x21-\x7e]+$/.test(key) || key.length > KEY_LENGTH_MAX)
    throw usage('the key for the service holds characters that no key has')
  return key
}
