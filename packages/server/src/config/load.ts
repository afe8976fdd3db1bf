/**
 * Reads the configuration: one YAML file, and environment variables that win over it. Everything is checked at once, the
 * files that it names too; every problem is named with its place, and none shows a value.
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { JSONWebKeySet } from 'jose'
import { type Environment, RescindError } from 'rescind'
import { parseDocument } from 'yaml'
import type { z } from 'zod'
import { type Config, configSchema } from './schema.js'

/** A configuration or key file that is larger is a mistake. */
const FILE_BYTES_MAX = 1024 * 1024
const FILE_NORMAL = 'rescind.yaml'

/** Variables that stand for one setting each. The library reads its own (`REDIS_…`, `RESCIND_…`) by itself. */
const VARIABLES: Readonly<Record<string, { readonly path: readonly string[]; readonly isNumber?: true }>> = {
  RESCIND_HOST: { path: ['listen', 'host'] },
  RESCIND_PORT: { path: ['listen', 'port'], isNumber: true },
  RESCIND_TRUSTED_HOPS: { path: ['listen', 'trustedHops'], isNumber: true },
  RESCIND_TLS_CERT_FILE: { path: ['listen', 'tls', 'certFile'] },
  RESCIND_TLS_KEY_FILE: { path: ['listen', 'tls', 'keyFile'] },
  RESCIND_PUBLIC_URL: { path: ['publicUrl'] },
  RESCIND_DATA_DIR: { path: ['dataDir'] },
  RESCIND_NAMESPACE: { path: ['namespace'] },
  RESCIND_LIFETIME_MAX_SECONDS: { path: ['lifetimeMaxSeconds'], isNumber: true },
  RESCIND_CLOCK_TOLERANCE_SECONDS: { path: ['clockToleranceSeconds'], isNumber: true },
  RESCIND_SKEW_MARGIN_SECONDS: { path: ['skewMarginSeconds'], isNumber: true },
  RESCIND_STALENESS_MAX_MS: { path: ['stalenessMaxMs'], isNumber: true },
  RESCIND_SIGNING_KEY_FILE: { path: ['signing', 'keyFile'] },
  RESCIND_LOG_LEVEL: { path: ['log', 'level'] },
}
export const CONFIG_VARIABLES: readonly string[] = [
  'RESCIND_CONFIG',
  'RESCIND_ADMIN_KEY',
  ...Object.keys(VARIABLES),
]

export interface LoadedConfig {
  readonly config: Config
  /** The file that was read; undefined where there was none. */
  readonly path: string | undefined
}

export interface LoadOptions {
  /** The file to read. Default: `RESCIND_CONFIG`, else `rescind.yaml` in the working folder where there is one. */
  readonly path?: string | undefined
  /** The working folder. Default `process.cwd()`. */
  readonly folder?: string | undefined
}

/** Throws one `ERR_CONFIG_INVALID` with all problems. Paths in the file are relative to its folder. */
export function loadConfig(env: Environment, options: LoadOptions = {}): LoadedConfig {
  const folder = options.folder ?? process.cwd()
  const asked = options.path ?? textOf(env, 'RESCIND_CONFIG')
  const path = asked === undefined ? existing(resolve(folder, FILE_NORMAL)) : resolve(folder, asked)
  const input = path === undefined ? {} : readYaml(path)
  return {
    config: parseConfig(input, { env, base: path === undefined ? folder : dirname(path), folder }),
    path,
  }
}

/**
 * The same for what a program says, of the form of the file. `env`: variables that win over it, default none; `base`: the
 * folder that its paths begin in, default the working folder.
 */
export function parseConfig(
  input: z.input<typeof configSchema>,
  options: { env?: Environment; base?: string; folder?: string } = {},
): Config {
  const { env = {}, folder = process.cwd() } = options
  const parsed = configSchema.safeParse(withVariables(input, env))
  if (!parsed.success) throw invalid(parsed.error.issues.flatMap(problemsOf))
  const config = withAbsolutePaths(parsed.data, options.base ?? folder, folder, env)
  const problems = contradictionsIn(config)
  if (problems.length > 0) throw invalid(problems)
  return config
}

/** Reads a file that the configuration names. Throws `ERR_CONFIG_INVALID`, naming the setting. */
export function readNamedFile(setting: string, path: string): string {
  try {
    const about = statSync(path)
    if (!about.isFile() || about.size > FILE_BYTES_MAX) throw new Error('not a small file')
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw invalid([`${setting} names a file that cannot be read (or is over ${FILE_BYTES_MAX} bytes)`], cause)
  }
}

/** Reads a key set from a file that the configuration names. */
export function keySetIn(setting: string, path: string): JSONWebKeySet {
  try {
    return JSON.parse(readNamedFile(setting, path)) as JSONWebKeySet
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid([`${setting} does not hold JSON`])
    throw error
  }
}

/** One error for everything that is wrong with a configuration. */
export function invalid(problems: readonly string[], cause?: unknown): RescindError {
  const message = `The configuration cannot be used:\n- ${problems.join('\n- ')}`
  return new RescindError('ERR_CONFIG_INVALID', message, { problems, cause })
}

function readYaml(path: string): Record<string, unknown> {
  const document = parseDocument(readNamedFile('the configuration', path), { uniqueKeys: true })
  if (document.errors.length > 0) {
    // Its messages quote the line, which may hold anything.
    const places = document.errors.map(({ code, linePos }) => `line ${linePos?.[0].line ?? '?'}: ${code}`)
    throw invalid(places.map((place) => `the configuration is not YAML, ${place}`))
  }
  const value: unknown = document.toJS({ maxAliasCount: 100 })
  if (value === null) return {}
  if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>
  throw invalid(['the configuration must be a mapping of settings'])
}

/** A copy in which variables have replaced what the file says. */
function withVariables(fromFile: object, env: Environment): unknown {
  const merged = structuredClone(fromFile) as Record<string, unknown>
  for (const [name, { path, isNumber }] of Object.entries(VARIABLES)) {
    const text = textOf(env, name)
    // Beside a Service named `rescind`, Kubernetes sets RESCIND_PORT=tcp://10.0.0.1:8484: nobody has said that.
    if (text === undefined || (name === 'RESCIND_PORT' && text.startsWith('tcp://'))) continue
    let at = merged
    for (const step of path.slice(0, -1)) {
      const next = at[step]
      at = (typeof next === 'object' && next !== null ? next : (at[step] = {})) as Record<string, unknown>
    }
    at[path.at(-1) as string] = isNumber === true && /^\d{1,15}$/.test(text) ? Number(text) : text
  }
  return merged
}

/** By itself or by a file. */
export function isSet(env: Environment, name: string): boolean {
  return Boolean(env[name]) || Boolean(env[`${name}_FILE`])
}

/** The text of a variable, or of its file, as the library reads both. Throws `ERR_CONFIG_INVALID`. */
export function textOf(env: Environment, name: string): string | undefined {
  const [text, file] = [env[name], `${name}_FILE`]
  const path = env[file]
  if (!path) return text || undefined
  if (text) throw invalid([`${name} and ${file} are both set: keep one`])
  const read = readNamedFile(file, path).trim()
  if (read === '') throw invalid([`${file} names an empty file`])
  return read
}

/** Zod's sentences name what was expected and not what was given, but for keys that it does not know. */
function problemsOf(issue: z.core.$ZodIssue): string[] {
  const place = issue.path.length === 0 ? '' : `${placeOf(issue.path)}: `
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `${place}"${key}" is not a setting`)
  if (issue.code === 'invalid_union') {
    const nested = issue.errors.flat()
    const [first] = nested
    if (first !== undefined) return [`${place}${first.message}`]
  }
  return [`${place}${issue.message}${variableFor(issue.path)}`]
}

function placeOf(path: readonly PropertyKey[]): string {
  return path
    .map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i > 0 ? '.' : ''}${String(step)}`))
    .join('')
}

function variableFor(path: readonly PropertyKey[]): string {
  const place = placeOf(path)
  const found = Object.entries(VARIABLES).find(([, { path: other }]) => other.join('.') === place)
  return found === undefined ? '' : ` (${found[0]})`
}

/** What is written in the file is meant from where the file is; what the environment says, from the working folder. */
function withAbsolutePaths(config: Config, base: string, folder: string, env: Environment): Config {
  const from = (variable: string | undefined, path: string) =>
    resolve(variable !== undefined && textOf(env, variable) !== undefined ? folder : base, path)
  const file = <T extends object, K extends keyof T & string>(item: T, name: K, variable?: string): T => {
    const path = item[name]
    return typeof path === 'string' ? { ...item, [name]: from(variable, path) } : item
  }
  const { listen, signing } = config
  const tls =
    listen.tls === undefined
      ? undefined
      : file(file(listen.tls, 'certFile', 'RESCIND_TLS_CERT_FILE'), 'keyFile', 'RESCIND_TLS_KEY_FILE')
  return {
    ...config,
    listen: { ...listen, ...(tls === undefined ? {} : { tls }) },
    dataDir: from('RESCIND_DATA_DIR', config.dataDir),
    signing: file(signing, 'keyFile', 'RESCIND_SIGNING_KEY_FILE'),
    issuers: config.issuers.map((issuer) =>
      file(file(file(issuer, 'jwksFile'), 'publicKeyFile'), 'secretFile'),
    ),
    clients: config.clients.map((client) => file(client, 'jwksFile')),
  }
}

/** What the schema cannot say of one setting by itself. */
function contradictionsIn({ issuers, clients }: Config): string[] {
  const problems: string[] = []
  const twice = (names: readonly string[]) => names.filter((name, i) => names.indexOf(name) !== i)
  for (const name of new Set(twice(issuers.map(({ issuer }) => issuer)))) {
    problems.push(
      `issuers[${issuers.findIndex(({ issuer }) => issuer === name)}]: the same issuer stands there twice`,
    )
  }
  for (const id of new Set(twice(clients.map((client) => client.id)))) {
    problems.push(
      `clients[${clients.findIndex((client) => client.id === id)}]: the same id stands there twice`,
    )
  }
  for (const [i, issuer] of issuers.entries()) {
    const sources = [issuer.jwks, issuer.jwksFile, issuer.jwksUrl, issuer.publicKeyFile, issuer.secretFile]
    if (sources.filter((source) => source !== undefined).length !== 1)
      problems.push(
        `issuers[${i}]: exactly one of jwksUrl, jwks, jwksFile, publicKeyFile, secretFile must be given`,
      )
  }
  for (const [i, client] of clients.entries()) {
    const sources = [client.jwks, client.jwksFile, client.jwksUrl].filter((source) => source !== undefined)
    if (sources.length > 1)
      problems.push(`clients[${i}]: at most one of jwksUrl, jwks, jwksFile may be given`)
    if (sources.length === 0 && client.keys.length === 0)
      problems.push(`clients[${i}]: it has neither keys nor a key set, so it could never prove who it is`)
    if (client.roles.includes('introspect') && client.audiences === undefined)
      problems.push(
        `clients[${i}].audiences: "introspect" needs the audiences whose tokens it may see, or "*"`,
      )
  }
  return problems
}

function existing(path: string): string | undefined {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : path
}
