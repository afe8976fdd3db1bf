/**
 * The key set that an issuer publishes, fetched with bounds: time, size, and how often. A failure to fetch it
 * is `KeysUnavailable`, which becomes "unknown" and never "invalid": an outage of the issuer logs nobody out.
 */
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
} from 'jose'

export interface RemoteKeysOptions {
  /** Give up a fetch after this many milliseconds. Default 2,000. */
  readonly jwksTimeoutMs?: number | undefined
  /** An unknown key leads to a new fetch at most this often, in milliseconds. Default 30,000. */
  readonly jwksCooldownMs?: number | undefined
  /** Fetch again after this many milliseconds. Default 600,000. */
  readonly jwksMaxAgeMs?: number | undefined
  /** After a failed fetch, none for this many milliseconds. Default 1,000. */
  readonly jwksRetryMs?: number | undefined
  /** A larger key set is a failure. In bytes; default 262,144. */
  readonly jwksBytesMax?: number | undefined
  /** Allows `http:` beyond loopback. Default false. */
  readonly jwksAllowHttp?: boolean | undefined
  /** The `fetch` to use; default the global one. */
  readonly fetch?: typeof fetch | undefined
}

/** Between the fetch of a key set and its use lie a few turns of the event loop. In milliseconds. */
const SETTLE_MS = 100

/** The key set could not be had. */
export class KeysUnavailable extends Error {}

/** `onChanged` is called when another key set was fetched than before, and again when it is surely in use. */
export function remoteKeys(url: URL, options: RemoteKeysOptions, onChanged: () => void): JWTVerifyGetKey {
  const retryMs = options.jwksRetryMs ?? 1000
  let notBefore = 0
  const fetchBounded = boundedFetch(options, () => {
    onChanged()
    setTimeout(onChanged, SETTLE_MS).unref()
  })
  const keySet = createRemoteJWKSet(url, {
    timeoutDuration: options.jwksTimeoutMs ?? 2000,
    cooldownDuration: options.jwksCooldownMs ?? 30_000,
    cacheMaxAge: options.jwksMaxAgeMs ?? 600_000,
    // Without the pause every token that arrives during an outage would start a fetch of its own. Only a fetch
    // begins one: a key that cannot be imported must not let a stranger who names it keep others from being fetched.
    [customFetch]: async (target, init) => {
      if (performance.now() < notBefore) throw new Error('a fetch failed a moment ago')
      try {
        return await fetchBounded(target, init)
      } catch (error) {
        notBefore = performance.now() + retryMs
        throw error
      }
    },
  })
  return async (header, token) => {
    try {
      return await keySet(header, token)
    } catch (error) {
      if (
        error instanceof errors.JWKSNoMatchingKey ||
        error instanceof errors.JWKSMultipleMatchingKeys ||
        error instanceof errors.JOSENotSupported
      ) {
        throw error
      }
      throw new KeysUnavailable('the key set cannot be had', { cause: error })
    }
  }
}

function boundedFetch(options: RemoteKeysOptions, onChanged: () => void): FetchImplementation {
  const bytesMax = options.jwksBytesMax ?? 262_144
  const fetchIt = options.fetch ?? fetch
  let last: string | undefined
  return async (url, init) => {
    const response = await fetchIt(url, init)
    if (response.status !== 200) throw new Error(`the key set answered with status ${response.status}`)
    const body = await readBody(response, bytesMax)
    // What is no key set throws here, and counts as a fetch that failed.
    createLocalJWKSet(JSON.parse(body) as JSONWebKeySet)
    if (last !== undefined && last !== body) onChanged()
    last = body
    return new Response(body, { status: 200, headers: { 'content-type': 'application/json' } })
  }
}

async function readBody(response: Response, bytesMax: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > bytesMax) throw new Error(`the key set is larger than ${bytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
