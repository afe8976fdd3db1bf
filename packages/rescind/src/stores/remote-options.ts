/** Where a `RemoteStore` finds its service, and with which key: from options or from the environment. */
import {
  type Environment,
  EnvironmentReader,
  numberProblems,
  throwProblems,
  unknownOptions,
} from '../config.js'
import type { Surroundings } from '../surroundings.js'

/** Where the service is, and who asks. */
export interface RemoteStoreOptions {
  /** The service, `https://revocation.example.com`; a path before `/store/v1` may follow. `http` on loopback only. */
  readonly url: string
  /**
   * The key of a client of the service, 1 to 512 visible characters. With the role `read` it may follow, check and
   * announce itself; to revoke and restore it needs `revoke:any`.
   */
  readonly key: string
  /** A check, or a read of the log, is given up after so many milliseconds. Default 500, 10 to 60,000. */
  readonly timeoutMs?: number | undefined
  /** The same for all other calls. Default 5,000, 10 to 600,000. */
  readonly writeTimeoutMs?: number | undefined
  /** Allows `http` beyond loopback: for networks that nobody else can read, or write to. Default false. */
  readonly allowHttp?: boolean | undefined
  /** The `fetch` to use. Default the global one. */
  readonly fetch?: typeof fetch | undefined
  /** Time and chance. Default: the machine's. */
  readonly surroundings?: Surroundings | undefined
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']
const KEY = /^[\x21-\x7e]{1,512}$/
const TIMEOUTS = {
  timeoutMs: { normal: 500, min: 10, max: 60_000 },
  writeTimeoutMs: { normal: 5000, min: 10, max: 600_000 },
} as const

const NAMES: Readonly<Record<keyof RemoteStoreOptions, true>> = {
  url: true,
  key: true,
  timeoutMs: true,
  writeTimeoutMs: true,
  allowHttp: true,
  fetch: true,
  surroundings: true,
}

/**
 * Reads `RESCIND_URL`, `RESCIND_KEY`, `RESCIND_ALLOW_HTTP`, `RESCIND_CHECK_TIMEOUT_MS` and `RESCIND_WRITE_TIMEOUT_MS`.
 * Throws `ERR_CONFIG_INVALID` with every problem.
 */
export function remoteOptionsFromEnv(env: Environment): RemoteStoreOptions {
  const reader = new EnvironmentReader(env)
  const [url, key] = [reader.text('RESCIND_URL'), reader.text('RESCIND_KEY')]
  const allowHttp = reader.boolean('RESCIND_ALLOW_HTTP')
  const timeoutMs = reader.integer('RESCIND_CHECK_TIMEOUT_MS', TIMEOUTS.timeoutMs)
  const writeTimeoutMs = reader.integer('RESCIND_WRITE_TIMEOUT_MS', TIMEOUTS.writeTimeoutMs)
  if (url === undefined) reader.problem('RESCIND_URL is missing: the address of the service')
  if (key === undefined) reader.problem('RESCIND_KEY is missing: the key of a client of the service')
  const options = { url: url ?? '', key: key ?? '', allowHttp, timeoutMs, writeTimeoutMs }
  if (url !== undefined && key !== undefined) {
    for (const problem of remoteProblems(options))
      reader.problem(problem.replace(/^url/, 'RESCIND_URL').replace(/^key/, 'RESCIND_KEY'))
  }
  reader.finish()
  return options
}

/** With defaults. Throws `ERR_CONFIG_INVALID` with every problem. */
export function checkedRemoteOptions(options: RemoteStoreOptions) {
  throwProblems(remoteProblems(options))
  const { timeoutMs = TIMEOUTS.timeoutMs.normal, writeTimeoutMs = TIMEOUTS.writeTimeoutMs.normal } = options
  return { url: new URL(options.url), key: options.key, timeoutMs, writeTimeoutMs }
}

/** None shows a value. */
function remoteProblems(options: RemoteStoreOptions): string[] {
  const { url, key, allowHttp = false } = options
  const problems: string[] = []
  if (!URL.canParse(url)) problems.push('url must be an address, such as https://revocation.example.com')
  else {
    const { protocol, hostname, username, password, search, hash } = new URL(url)
    if (protocol !== 'https:' && !(protocol === 'http:' && (allowHttp || LOOPBACK.includes(hostname))))
      problems.push('url must be https (http on loopback, or with allowHttp or RESCIND_ALLOW_HTTP)')
    if (`${username}${password}${search}${hash}` !== '')
      problems.push('url takes no user, password, "?" or "#": the key is given by itself')
  }
  if (!KEY.test(key)) problems.push('key must be 1 to 512 visible characters')
  return [...problems, ...numberProblems(options, TIMEOUTS), ...unknownOptions(options, NAMES)]
}
