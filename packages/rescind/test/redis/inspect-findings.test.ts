/** Every finding, from facts alone; and the page that lists them for people. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ADVISORIES, ADVISORIES_DATE, holesOf } from '../../src/redis/advisories.js'
import { diagnose, type NamespaceFacts, type ServerFacts } from '../../src/redis/diagnosis.js'
import { type FindingCode, FINDINGS } from '../../src/redis/findings.js'
import { type Probed, probedCommands, rulesAllow } from '../../src/redis/rights.js'

const DOCS = join(import.meta.dirname, '../../../../docs')

const options = { skewMaxMs: 2000, partitions: 1, revokes: false }
const info = {
  redis_version: '8.8.1',
  role: 'master',
  loading: '0',
  maxmemory: '1000',
  used_memory: '500',
  maxmemory_policy: 'noeviction',
  evicted_keys: '0',
  aof_enabled: '1',
  aof_last_write_status: 'ok',
  aof_last_bgrewrite_status: 'ok',
  rdb_last_bgsave_status: 'ok',
  rdb_changes_since_last_save: '7',
  min_slaves_good_slaves: '2',
}
const replica = { address: '10.0.0.2:6379', state: 'online', lagSeconds: 1, priority: 100 }
const healthy: ServerFacts = {
  address: '10.0.0.1:6379',
  isLocal: false,
  isEncrypted: true,
  info,
  config: {
    save: '',
    appendfsync: 'always',
    'min-replicas-to-write': '1',
    'min-replicas-max-lag': '10',
  },
  skewMs: 15,
  user: 'reader',
  rights: { write: [], destroy: [] },
  isDefaultOpen: false,
  cluster: { cluster_state: 'ok', cluster_slots_ok: '16384' },
  replicas: [replica, { ...replica, address: '10.0.0.3:6379' }],
  untold: [],
}
const partition = {
  number: 0,
  state: 'present',
  epoch: 'a',
  hasLog: true,
  segmentsLost: 0,
  isWhole: true,
} as const
const whole: NamespaceFacts = {
  partitions: [partition],
  shapes: { epoch: 'a', partitions: 1 },
  untold: [],
}

const withInfo = (changes: Record<string, string | undefined>): Partial<ServerFacts> => ({
  info: Object.fromEntries(
    Object.entries({ ...info, ...changes }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  ),
})
const withConfig = (changes: Record<string, string | undefined>): Partial<ServerFacts> => ({
  config: Object.fromEntries(
    Object.entries({ ...healthy.config, ...changes }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  ),
})
const lonely = { ...withInfo({ min_slaves_good_slaves: undefined }), replicas: [] }

/** What differs from a healthy server, and the codes that it must give: those and no other. */
const SERVERS: [string, Partial<ServerFacts>, FindingCode[]][] = [
  ['nothing', {}, []],
  ['no answer', { failure: 'ERR_STORE_TIMEOUT' }, ['unreachable']],
  ['loading', withInfo({ loading: '1' }), ['loading']],
  ['loading while it serves', withInfo({ async_loading: '1' }), ['loading']],
  ['a replica', withInfo({ role: 'slave', master_link_status: 'up' }), ['is_replica']],
  [
    'a replica without its primary',
    withInfo({ role: 'slave', master_link_status: 'down' }),
    ['is_replica', 'primary_link_down'],
  ],
  ['allkeys-lfu', withInfo({ maxmemory_policy: 'allkeys-lfu' }), ['evicts_any_key']],
  ['volatile-ttl', withInfo({ maxmemory_policy: 'volatile-ttl' }), ['evicts_expiring_keys']],
  ['evicted keys', withInfo({ evicted_keys: '3' }), ['keys_evicted']],
  ['memory at its limit', withInfo({ used_memory: '1000' }), ['memory_exhausted']],
  ['little memory', withInfo({ used_memory: '800' }), ['memory_low']],
  ['enough memory', withInfo({ used_memory: '799' }), []],
  ['no limit', withInfo({ maxmemory: '0' }), ['memory_unlimited']],
  ['no persistence', withInfo({ aof_enabled: '0' }), ['persistence_off']],
  ['snapshots', { ...withInfo({ aof_enabled: '0' }), ...withConfig({ save: '3600 1' }) }, ['snapshots_only']],
  [
    'no file, and no right to ask for snapshots',
    { ...withInfo({ aof_enabled: '0' }), ...withConfig({ save: undefined }) },
    ['aof_off'],
  ],
  ['appendfsync no', withConfig({ appendfsync: 'no' }), ['appendfsync_no']],
  ['appendfsync everysec', withConfig({ appendfsync: 'everysec' }), ['appendfsync_everysec']],
  ['a failed snapshot', withInfo({ rdb_last_bgsave_status: 'err' }), ['save_failed']],
  ['a failed write of the file', withInfo({ aof_last_write_status: 'err' }), ['save_failed']],
  ['no replica', { replicas: [] }, ['replicas_none']],
  [
    'a replica in the making',
    { replicas: [replica, { ...replica, state: 'send_bulk', lagSeconds: 99 }] },
    ['replica_not_online'],
  ],
  ['a lagging replica', { replicas: [{ ...replica, lagSeconds: 11 }] }, ['replica_lagging']],
  ['a backup', { replicas: [replica, { ...replica, priority: 0 }] }, ['replica_never_promoted']],
  [
    'backups only',
    { replicas: [{ ...replica, priority: 0 }] },
    ['replicas_none_promotable', 'replica_never_promoted'],
  ],
  [
    'a replica that does not tell',
    { replicas: [{ address: replica.address, state: 'online', lagSeconds: 0 }] },
    ['cannot_be_told'],
  ],
  ['min-replicas off', withConfig({ 'min-replicas-to-write': '0' }), ['min_replicas_off']],
  ['min-replicas without a lag', withConfig({ 'min-replicas-max-lag': '0' }), ['min_replicas_off']],
  [
    'min-replicas off, seen without the right to ask',
    { ...withInfo({ min_slaves_good_slaves: undefined }), config: { appendfsync: 'always' } },
    ['min_replicas_off'],
  ],
  ['min-replicas on, seen without the right to ask', { config: { appendfsync: 'always' } }, []],
  [
    'alone',
    { ...lonely, ...withConfig({ 'min-replicas-to-write': '0' }) },
    ['replicas_none', 'min_replicas_off'],
  ],
  ['too few replicas', withConfig({ 'min-replicas-to-write': '3' }), ['min_replicas_unmet']],
  ['a long lag', withConfig({ 'min-replicas-max-lag': '60' }), ['min_replicas_lag_long']],
  ['a clock that is ahead', { skewMs: 2500 }, ['clock_skew']],
  ['a clock that is behind', { skewMs: -2500 }, ['clock_skew']],
  ['a clock within the threshold', { skewMs: -2000 }, []],
  ['a wrong clock', { skewMs: -60_000 }, ['clock_skew_large']],
  ['default open', { isDefaultOpen: true }, ['default_user_open']],
  [
    'default open on the same machine',
    { isDefaultOpen: true, isLocal: true, isEncrypted: false },
    ['default_user_open_locally'],
  ],
  ['a writer', { rights: { write: ['SET'], destroy: [] } }, ['may_write']],
  ['a user of too much', { rights: { write: ['SET'], destroy: ['FLUSHALL'] } }, ['may_write', 'may_destroy']],
  ['no TLS', { isEncrypted: false }, ['tls_off']],
  ['an old server', withInfo({ redis_version: '6.0.16' }), ['version_unsupported', 'version_vulnerable']],
  ['a version with holes', withInfo({ redis_version: '7.4.1' }), ['version_vulnerable']],
  ['a mended Valkey', withInfo({ redis_version: '7.2.4', valkey_version: '9.1.1' }), []],
  ['another software', withInfo({ redis_version: '7.2.0', dragonfly_version: 'df-1.2' }), ['cannot_be_told']],
  [
    'a cluster that is down',
    { cluster: { cluster_state: 'fail', cluster_slots_ok: '16384' } },
    ['cluster_not_ok'],
  ],
  [
    'a cluster with a gap',
    { cluster: { cluster_state: 'ok', cluster_slots_ok: '16000' } },
    ['cluster_not_ok'],
  ],
  ['something not told', { untold: [{ subject: 'save', because: 'NOPERM' }] }, ['cannot_be_told']],
]

const NAMESPACES: [string, Partial<NamespaceFacts>, FindingCode[]][] = [
  ['nothing', {}, []],
  [
    'nothing there',
    { partitions: [{ ...partition, state: 'missing', hasLog: false }], shapes: 'missing' },
    ['namespace_missing'],
  ],
  ['another format', { partitions: [{ ...partition, state: 'unreadable' }] }, ['namespace_unreadable']],
  ['shapes of another format', { shapes: 'unreadable' }, ['namespace_unreadable']],
  ['other partitions', { shapes: { epoch: 'a', partitions: 4 } }, ['partitions_differ']],
  ['no shapes', { shapes: 'missing' }, ['shapes_lost']],
  ['shapes of another history', { shapes: { epoch: 'b', partitions: 1 } }, ['shapes_lost']],
  ['a lost head', { partitions: [{ ...partition, state: 'missing', hasLog: false }] }, ['log_lost']],
  ['a lost piece', { partitions: [{ ...partition, segmentsLost: 1 }] }, ['log_lost']],
  ['a changed log', { partitions: [{ ...partition, isWhole: false }] }, ['log_broken']],
  ['no right to read', { untold: [{ subject: 'namespace', because: 'NOPERM' }] }, ['cannot_be_told']],
]

const codes = (found: readonly { code: string }[]) => found.map(({ code }) => code).sort()

describe('a server gives these findings and no other:', () => {
  it.each(SERVERS)('%s', (_, changes, wanted) => {
    expect(codes(diagnose([{ ...healthy, ...changes }], whole, options))).toEqual([...wanted].sort())
  })
})

describe('a namespace gives these findings and no other:', () => {
  it.each(NAMESPACES)('%s', (_, changes, wanted) => {
    expect(codes(diagnose([healthy], { ...whole, ...changes }, options))).toEqual([...wanted].sort())
  })
})

it('these tables make every finding', () => {
  const made = new Set([...SERVERS, ...NAMESPACES].flatMap(([, , wanted]) => wanted))
  expect([...made].sort()).toEqual(Object.keys(FINDINGS).sort())
})

describe('what is not told is a finding, and never silently well:', () => {
  it.each([
    'maxmemory_policy',
    'evicted_keys',
    'used_memory',
    'maxmemory',
    'aof_enabled',
    'role',
    'redis_version',
  ])('%s', (name) => {
    const found = diagnose([{ ...healthy, ...withInfo({ [name]: undefined }) }], whole, options)
    expect(codes(found)).toEqual(['cannot_be_told'])
  })
})

it('the worst comes first, and every server is named', () => {
  const servers = [
    { ...healthy, isEncrypted: false },
    { ...healthy, address: '10.0.0.9:6379', info: { ...info, evicted_keys: '1' } },
  ]
  const found = diagnose(servers, whole, options)
  expect(found.map(({ code, server }) => [code, server])).toEqual([
    ['keys_evicted', '10.0.0.9:6379'],
    ['tls_off', '10.0.0.1:6379'],
  ])
  expect(found[0]?.figures).toEqual({ evicted: 1 })
})

it('a node that revokes may write', () => {
  const facts = { ...healthy, rights: { write: ['SET'], destroy: [] } }
  expect(diagnose([facts], whole, { ...options, revokes: true })).toEqual([])
})

describe('holes of a version', () => {
  it.each([
    ['redis', '6.2.12', 'CVE-2022-24834'],
    ['redis', '7.0.15', 'CVE-2024-31449'],
    ['redis', '7.2.6', 'CVE-2024-46981'],
    ['redis', '8.2.1', 'CVE-2025-49844'],
    ['redis', '8.1.0', 'CVE-2025-49844'],
    ['redis', '8.6.2', 'CVE-2026-23631'],
    ['valkey', '8.1.3', 'CVE-2025-49844'],
    ['valkey', '9.0.3', 'CVE-2026-23631'],
  ] as const)('%s %s has %s', (software, version, id) => {
    expect(holesOf(software, version).map((hole) => hole.id)).toContain(id)
  })

  it.each([
    ['redis', '6.2.13', 'CVE-2022-24834'],
    ['redis', '6.2.16', 'CVE-2024-31449'],
    ['redis', '8.0.0', 'CVE-2024-46981'],
    ['redis', '8.2.2', 'CVE-2025-49844'],
    ['redis', '8.4.0', 'CVE-2025-49844'],
    ['redis', '6.2.22', 'CVE-2026-23631'],
    ['valkey', '8.1.4', 'CVE-2025-49844'],
    ['valkey', '9.0.0', 'CVE-2025-49844'],
  ] as const)('%s %s has not %s', (software, version, id) => {
    expect(holesOf(software, version).map((hole) => hole.id)).not.toContain(id)
  })

  it('are none for a version that cannot be read, or that is newer than all of them', () => {
    expect(holesOf('redis', 'unstable')).toEqual([])
    expect(holesOf('redis', '8.10.0')).toEqual([])
    expect(holesOf('redis', '255.255.255')).toEqual([])
  })

  it('say where each is fixed, in order', () => {
    for (const { fixed } of ADVISORIES)
      for (const versions of Object.values(fixed))
        expect([...versions].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))).toEqual(versions)
  })
})

describe('rules as ACL GETUSER tells them', () => {
  const probed = probedCommands('r', 'm', 'l')
  const allowed = (rules: string) =>
    probed.filter((probe: Probed) => rulesAllow(rules, probe)).map(({ name }) => name)

  it.each([
    ['-@all', []],
    ['-@all +get +mget', []],
    ['-@all +set +config|set', ['SET', 'CONFIG SET']],
    ['-@all +config|get', []],
    ['-@all +@write -@dangerous', ['SET', 'HSET', 'APPEND', 'DEL', 'UNLINK', 'EXPIRE', 'RENAME']],
    ['+@all -@admin -@dangerous -@write', ['EVAL', 'SCRIPT FLUSH']],
  ])('%s', (rules, names) => {
    expect(allowed(rules)).toEqual(names)
  })

  it('+@all allows all of them', () => {
    expect(allowed('+@all').length).toBe(probed.length)
  })
})

it('docs/doctor.md has every finding as it stands in the table, and no other', () => {
  const page = readFileSync(join(DOCS, 'doctor.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (\w+) \| (.*) \| (.*) \|$/gm)].map(
    ([, code, severity, meaning, action]) => [code, { severity, meaning, action }],
  )
  expect(Object.fromEntries(rows)).toEqual(FINDINGS)
  expect(rows.length).toBe(Object.keys(FINDINGS).length)
})

it('docs/doctor.md has every published hole as it stands in the table, and its date', () => {
  const page = readFileSync(join(DOCS, 'doctor.md'), 'utf8')
  const cell = (versions: readonly string[] = []) => (versions.length === 0 ? '–' : versions.join(', '))
  for (const { id, published, what, fixed } of ADVISORIES)
    expect(page).toContain(
      `| ${id} | ${published} | ${what} | ${cell(fixed.redis)} | ${cell(fixed.valkey)} |`,
    )
  const date = new Date(ADVISORIES_DATE).toLocaleDateString('en-GB', {
    ...{ day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' },
  })
  expect(page).toContain(date)
})
