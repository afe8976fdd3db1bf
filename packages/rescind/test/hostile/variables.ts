/** The environment variables of the library, and what each of them takes and does not. */
import { TEXTS } from './texts.js'

export const CANARY = 'c4n4ryvalue'

/** Values that a variable takes, and those that it does not, whatever the others say. */
export interface Values {
  readonly good: readonly string[]
  readonly bad: readonly string[]
}
const NOT_NUMBERS = [
  ...[
    '0x10',
    '1e3',
    '1.5',
    '+1',
    '-1',
    ' 7',
    '7 ',
    '1_000',
    '\u0661',
    'NaN',
    'Infinity',
    'null',
    '[1]',
    '__proto__',
  ],
  ...['9'.repeat(15), '9'.repeat(16), '9'.repeat(400), '7\n', '7\u0000', CANARY, ...longOnes()],
]
export const within = (min: number, max: number): Values => ({
  good: [`${min}`, `${max}`, `${min}`.padStart(5, '0')],
  bad: [...NOT_NUMBERS, `${max + 1}`, ...(min > 0 ? [`${min - 1}`] : [])],
})
const TRUTH: Values = { good: ['true', 'OFF'], bad: ['2', 'maybe', ' true', 'true\n', 'tru\u0435', CANARY] }
const ANY: Values = {
  good: ['x', CANARY, ...Object.values(TEXTS).filter(({ length }) => length > 0 && length < 100)],
  bad: [],
}
const PEM: Values = { good: ['-----BEGIN X-----'], bad: [CANARY, '-----begin x-----', ...longOnes()] }

export const REDIS: Readonly<Record<string, Values>> = {
  REDIS_PORT: within(1, 65_535),
  REDIS_DB: within(0, 1_000_000),
  REDIS_USERNAME: ANY,
  REDIS_PASSWORD: ANY,
  REDIS_TLS: TRUTH,
  REDIS_TLS_CA: PEM,
  REDIS_SENTINELS: {
    good: [],
    bad: [
      ',',
      'a,',
      'a:b',
      'a:1:2',
      'a b',
      'redis://a',
      'a:0',
      'a:65536',
      'a:999999',
      '[::1',
      '::1',
      `${CANARY}:x`,
      'a,'.repeat(200) + 'a',
      ...longOnes(),
    ],
  },
  REDIS_CLUSTER_NODES: {
    good: [],
    bad: [',', ':1', 'a:0', 'a:-1', 'a@b', `u:${CANARY}@h:1`, ' ', 'a,'.repeat(50_000)],
  },
  REDIS_CONNECT_TIMEOUT_MS: within(50, 60_000),
  RESCIND_CHECK_TIMEOUT_MS: within(10, 60_000),
  RESCIND_WRITE_TIMEOUT_MS: within(10, 60_000),
}
export const URLS: Values = {
  good: ['redis://127.0.0.1', 'rediss://u:p@[::1]:6380/3', 'redis+unix:///tmp/redis.sock'],
  bad: [
    ...[
      'http://h',
      'h:6379',
      '//h',
      'redis:',
      'redis://',
      'redis:///0',
      'redis://h:0',
      'redis://h:65536',
      'redis://h:x',
    ],
    ...[
      'redis://h/x',
      'redis://h/0/1',
      'redis://h/-1',
      'redis://h/99999999',
      'redis://h?db=1',
      'redis://h#1',
      'redis+unix://',
    ],
    ...[
      `redis://u:${CANARY}%ZZ@h`,
      `redis://${CANARY}:%E0%A4@h`,
      `ftp://u:${CANARY}@h`,
      `redis://u:${CANARY}@h:x`,
      ' ',
      ...longOnes(),
    ],
  ],
}
export const STORE: Readonly<Record<string, Values>> = {
  RESCIND_NAMESPACE: {
    good: ['main', 'a.b-c_d'],
    bad: ['a b', 'a{b}', 'a:b', '*', '\u00e9', 'x'.repeat(65), 'a\n', `${CANARY}/`, ...longOnes()],
  },
  RESCIND_REPLICAS: within(1, 100),
  RESCIND_PARTITIONS: { good: ['1', '64'], bad: [...NOT_NUMBERS, '0', '3', '65', '128'] },
  RESCIND_ALLOW_EVICTION: TRUTH,
}
export const SETTINGS: Readonly<Record<string, Values>> = {
  RESCIND_LIFETIME_MAX_SECONDS: within(1, 315_360_000),
  RESCIND_CLOCK_TOLERANCE_SECONDS: within(0, 300),
  RESCIND_SKEW_MARGIN_SECONDS: within(0, 86_400),
  RESCIND_STALENESS_MAX_MS: within(50, 60_000),
  RESCIND_TTL: {
    good: ['token', 'fixed'],
    bad: ['Token', 'token ', 'forever', 'constructor', CANARY, ...longOnes()],
  },
}

function longOnes(): string[] {
  return ['a megabyte', 'as many blanks, for patterns that go back', 'as many nested lists'].map(
    (name) => TEXTS[name] as string,
  )
}
