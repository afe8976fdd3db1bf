/**
 * Asks Redis whether revocations are safe on it, and tells what it found: `docs/doctor.md` has every finding. It
 * writes nothing, and no finding has a secret in it.
 */
import { throwProblems } from '../config.js'
import { hasCode, RescindError } from '../errors.js'
import { type RedisConnection, type ServerLink } from './connection.js'
import {
  diagnose,
  type NamespaceFacts,
  type ReplicaFacts,
  type ServerFacts,
  softwareOf,
  type Untold,
} from './diagnosis.js'
import { storeFailure } from './failure.js'
import { fieldsOf, type Fields, replicaLines } from './info.js'
import type { Finding, Severity } from './findings.js'
import { inspectNamespace, type NamespaceQuestion } from './inspect-namespace.js'
import { namespaceProblems } from './namespace.js'
import { Partition } from './partition.js'
import { probedCommands, type Rights, rightsOf, rulesAllow } from './rights.js'

/** What {@link inspect} looks at, and for whom. */
export interface InspectOptions {
  /** As of the store. Default `main`. */
  readonly namespace?: string | undefined
  /** As of the store. Default 1. */
  readonly partitions?: number | undefined
  /** The ACL user whose rights are judged. Default: the one that asks; another needs the operator's rights. */
  readonly user?: string | undefined
  /** That user belongs to a node that revokes, so it may write. Default false. */
  readonly revokes?: boolean | undefined
  /** Clocks may differ by so much, in milliseconds. Default 2,000, 1 to 60,000. */
  readonly skewMaxMs?: number | undefined
  /** The clock, in milliseconds since 1970. Default `Date.now`. */
  readonly now?: (() => number) | undefined
}

/** What a server is, beside what is wrong with it. */
export interface InspectedServer {
  /** `host:port`, or `unix socket`. */
  readonly address: string
  /** `redis` or `valkey`; absent for others. */
  readonly software?: string
  readonly version?: string
  readonly role?: string
  /** The ACL user that was judged. */
  readonly user?: string
  readonly replicas: number
}

/** What {@link inspect} found. */
export interface Inspection {
  /** The worst first. */
  readonly findings: readonly Finding[]
  /** Every primary that was asked: one, or those of a cluster. */
  readonly servers: readonly InspectedServer[]
  /** The severity of the worst finding; `none` without any. */
  readonly worst: Severity | 'none'
}

const SETTINGS = ['save', 'appendfsync', 'min-replicas-to-write', 'min-replicas-max-lag']
const REPLICAS_ASKED_MAX = 16
const DEFAULT_USER = 'default'

interface Question {
  readonly connection: RedisConnection
  readonly record: string
  readonly meta: string
  readonly log: string
  readonly user: string | undefined
  readonly now: () => number
}

/**
 * Inspects every primary and the namespace. Throws only for options that cannot be used and for a closed connection;
 * whatever else fails is a finding.
 */
export async function inspect(
  connection: RedisConnection,
  options: InspectOptions = {},
): Promise<Inspection> {
  const { namespace = 'main', partitions = 1, skewMaxMs = 2000, now = Date.now } = options
  const problems = namespaceProblems(namespace, partitions)
  if (!(skewMaxMs >= 1 && skewMaxMs <= 60_000)) problems.push('skewMaxMs must be 1 to 60000')
  throwProblems(problems)
  const home = new Partition(namespace, 0)
  const question: Question = {
    connection,
    record: home.key(`r:${'A'.repeat(22)}`),
    meta: home.key('meta'),
    log: home.key('log:1'),
    user: options.user,
    now,
  }
  const servers = await askServers(question)
  const isUp = servers.some(({ failure }) => failure === undefined)
  const held = isUp
    ? await namespaceOf(connection, { namespace, partitions, nowSeconds: now() / 1000 })
    : undefined
  const findings = diagnose(servers, held, { skewMaxMs, partitions, revokes: options.revokes === true })
  return { findings, servers: servers.map(describe), worst: findings[0]?.severity ?? 'none' }
}

async function askServers(question: Question): Promise<readonly ServerFacts[]> {
  try {
    const links = await question.connection.primaries()
    if (links.length === 0) throw new RescindError('ERR_STORE_UNAVAILABLE', 'the cluster names no primary')
    return await Promise.all(links.map((link) => askServer(link, question)))
  } catch (error) {
    if (hasCode(error, 'ERR_CLOSED')) throw error
    return [unreachable('?', error)]
  }
}

async function askServer(link: ServerLink, question: Question): Promise<ServerFacts> {
  const untold: Untold[] = []
  const ask = async (subject: string, ...command: [string, ...string[]]) =>
    askOne(link, ...command).catch((error: unknown) => {
      if (isLost(error)) throw error
      untold.push({ subject, because: refusal(error) })
      return undefined
    })
  try {
    const info = fieldsOf(await ask('INFO', 'INFO'))
    const told: [string, string][] = []
    for (const name of SETTINGS) {
      const pair = await ask(name, 'CONFIG', 'GET', name)
      if (Array.isArray(pair) && typeof pair[1] === 'string') told.push([name, pair[1]])
      else if (pair !== undefined) untold.push({ subject: name, because: 'not in the answer' })
    }
    const skewMs = await skewOf(ask, question.now)
    const cluster =
      question.connection.kind === 'cluster'
        ? fieldsOf(await ask('CLUSTER INFO', 'CLUSTER', 'INFO'))
        : undefined
    const whoami = await ask('ACL WHOAMI', 'ACL', 'WHOAMI')
    const user = question.user ?? (typeof whoami === 'string' ? whoami : undefined)
    const rights = user === undefined ? undefined : await rightsAt(link, user, question, untold)
    const isDefaultOpen = await isDefaultUserOpen(link, whoami, question, untold)
    const replicas = info === undefined ? [] : await askReplicas(info, question)
    return {
      ...link.where(),
      config: Object.fromEntries(told),
      replicas,
      untold,
      ...(info === undefined ? {} : { info }),
      ...(skewMs === undefined ? {} : { skewMs }),
      ...(user === undefined ? {} : { user }),
      ...(rights === undefined ? {} : { rights }),
      ...(isDefaultOpen === undefined ? {} : { isDefaultOpen }),
      ...(cluster === undefined ? {} : { cluster }),
    }
  } catch (error) {
    return unreachable(link.where().address, error)
  }
}

/** The server did not answer: not a refusal, and nothing more can be asked. */
function isLost(error: unknown): boolean {
  return error instanceof RescindError
}

type Ask = (subject: string, ...command: [string, ...string[]]) => Promise<unknown>

/** The server's clock minus ours; what the way there and back took may be either's, so it is taken off. */
async function skewOf(ask: Ask, now: () => number): Promise<number | undefined> {
  const before = now()
  const answer = await ask('TIME', 'TIME')
  const after = now()
  if (!Array.isArray(answer)) return undefined
  const theirs = Number(answer[0]) * 1000 + Number(answer[1]) / 1000
  if (theirs < before) return theirs - before
  return theirs > after ? theirs - after : 0
}

/** `ACL DRYRUN`, else `ACL GETUSER`, else it cannot be told. */
async function rightsAt(
  link: ServerLink,
  user: string,
  { record, meta, log }: Question,
  untold: Untold[],
): Promise<Rights | undefined> {
  const probed = probedCommands(record, meta, log)
  try {
    const allowed = new Set<string>()
    for (const { name, command } of probed) {
      const answer = await askOne(link, 'ACL', 'DRYRUN', user, ...command).catch(orNotThere)
      if (answer === 'OK') allowed.add(name)
    }
    return rightsOf(probed, ({ name }) => allowed.has(name))
  } catch (error) {
    if (isLost(error)) throw error
  }
  try {
    const rules = rulesOf(await askOne(link, 'ACL', 'GETUSER', user))
    if (rules !== undefined) return rightsOf(probed, (probe) => rules.some((each) => rulesAllow(each, probe)))
    untold.push({ subject: 'rights', because: 'not in the answer' })
  } catch (error) {
    if (isLost(error)) throw error
    untold.push({ subject: 'rights', because: refusal(error) })
  }
  return undefined
}

/** A command that this server does not have, or calls otherwise, cannot be run. */
function orNotThere(error: unknown): undefined {
  if (isLost(error) || !/^ERR Command .* not found/.test((error as Error).message)) throw error
}

async function isDefaultUserOpen(
  link: ServerLink,
  whoami: unknown,
  { connection }: Question,
  untold: Untold[],
): Promise<boolean | undefined> {
  // Whoever came in as `default` without a password has shown it.
  if (whoami === DEFAULT_USER && !connection.hasPassword) return true
  try {
    const flags = pairsOf(await askOne(link, 'ACL', 'GETUSER', DEFAULT_USER)).get('flags')
    if (Array.isArray(flags)) return flags.includes('on') && flags.includes('nopass')
    untold.push({ subject: 'default user', because: 'not in the answer' })
  } catch (error) {
    if (isLost(error)) throw error
    untold.push({ subject: 'default user', because: refusal(error) })
  }
  return undefined
}

/** The replicas that a primary tells of; their priority they tell themselves. */
async function askReplicas(info: Fields, { connection }: Question): Promise<ReplicaFacts[]> {
  return Promise.all(
    replicaLines(info).map(async ({ ip, port, state, lagSeconds }, i) => {
      const known = { address: `${ip}:${port}`, state, lagSeconds }
      if (i >= REPLICAS_ASKED_MAX || ip === '') return known
      const own = await connection
        .runAt({ host: ip, port }, (link) => link.call('INFO', 'replication'))
        .then(fieldsOf, () => undefined)
      const priority = own?.slave_priority
      return priority === undefined ? known : { ...known, priority: Number(priority) }
    }),
  )
}

async function namespaceOf(
  connection: RedisConnection,
  question: NamespaceQuestion,
): Promise<NamespaceFacts> {
  try {
    return await inspectNamespace(connection, question)
  } catch (error) {
    return {
      partitions: [],
      shapes: 'missing',
      untold: [{ subject: 'namespace', because: refusal(error) }],
    }
  }
}

/** One answer. A refusal is thrown as the client gives it, so that its first word can be told; the rest as ours. */
async function askOne(link: ServerLink, ...[name = '', ...rest]: string[]): Promise<unknown> {
  try {
    return await link.call(name, ...rest)
  } catch (error) {
    if (error instanceof Error && error.name === 'ReplyError') throw error
    throw storeFailure(error)
  }
}

/** The first word of a refusal, or the code of a failure: no argument, no address. */
function refusal(error: unknown): string {
  if (error instanceof RescindError) return error.code
  return /^[A-Z]{2,20}\b/.exec((error as Error).message)?.[0] ?? 'ERR'
}

function unreachable(address: string, error: unknown): ServerFacts {
  const failure = storeFailure(error).code
  return { address, isLocal: true, isEncrypted: false, failure, config: {}, replicas: [], untold: [] }
}

/** The rules of a user, and of each of its selectors (Redis 7): any of them may allow. Undefined for what cannot be read. */
function rulesOf(answer: unknown): string[] | undefined {
  const told = pairsOf(answer)
  const selectors = told.get('selectors') ?? []
  if (!Array.isArray(selectors)) return undefined
  const rules = [told, ...selectors.map(pairsOf)].map((each) => each.get('commands'))
  return rules.every((each) => typeof each === 'string') ? rules : undefined
}

/** A flat list of names and values. */
function pairsOf(answer: unknown): Map<unknown, unknown> {
  const pairs = new Map<unknown, unknown>()
  if (Array.isArray(answer))
    for (let i = 0; i + 1 < answer.length; i += 2) pairs.set(answer[i], answer[i + 1])
  return pairs
}

function describe({ address, info, user, replicas }: ServerFacts): InspectedServer {
  const { name, version } = info === undefined ? {} : softwareOf(info)
  const role = info?.role
  return {
    address,
    ...(name === undefined ? {} : { software: name }),
    ...(version === undefined ? {} : { version }),
    ...(role === undefined ? {} : { role: role === 'slave' ? 'replica' : 'primary' }),
    ...(user === undefined ? {} : { user }),
    replicas: replicas.length,
  }
}
