/**
 * Calls of a service over HTTP: each with a deadline, a bound on what is read, and one of the failures of a store in
 * the place of whatever else may happen. The key goes to the address that was given and nowhere else: no redirect is
 * followed.
 */
import { ERROR_CODES, type ErrorCode, hasCode, RescindError } from '../errors.js'
import { jsonFrom, object } from './remote-fields.js'
import type { Json } from './remote-wire.js'

export interface Call {
  /** Default `GET`, with a body `POST`. */
  readonly method?: 'GET' | 'POST' | 'DELETE'
  /** Below `/store/v1/`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly json?: Json
  readonly bytes?: { readonly type: string; readonly body: Buffer }
  readonly timeoutMs: number
  /** A longer answer is a failure. Default 16 MiB. */
  readonly bytesMax?: number
}

export interface CallsOptions {
  readonly url: URL
  readonly key: string
  readonly fetch: typeof fetch
}

const ANSWER_BYTES_MAX = 16 * 1024 * 1024
const PROBLEM_BYTES_MAX = 64 * 1024
const DETAIL_LENGTH_MAX = 512
/** Calls under way at once; a service that does not answer would gather them without an end. */
const CALLS_MAX = 2048

/** What a service may say of its store, or of the call. All else is taken for a service that is away. */
const TOLD: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_OPTION_INVALID',
  'ERR_TARGET_INVALID',
  'ERR_SHAPES_EXCEEDED',
  'ERR_STORE_UNAVAILABLE',
  'ERR_STORE_TIMEOUT',
  'ERR_STORE_OVERLOADED',
  'ERR_STORE_REFUSED',
  'ERR_STORE_EVICTS',
  'ERR_STORE_FULL',
  'ERR_STORE_CORRUPT',
  'ERR_PARTITIONS_DIFFER',
  'ERR_LOG_CHANGED',
  'ERR_ACK_UNSUPPORTED',
])

export class RemoteCalls {
  readonly #options: CallsOptions
  readonly #underWay = new Set<AbortController>()
  #isClosed = false

  constructor(options: CallsOptions) {
    this.#options = options
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** The answer as JSON, read by `read`. */
  json<T>(call: Call, read: (answer: unknown) => T): Promise<T> {
    return this.bytes(call, (body) => read(jsonFrom(body)))
  }

  /** The answer, read by `read`; what that cannot read is `ERR_STORE_CORRUPT`. */
  bytes<T>(call: Call, read: (body: Buffer) => T): Promise<T> {
    return this.#within(call.timeoutMs, async (signal) => {
      const response = await this.#send(call, signal)
      const body = await readBody(response, call.bytesMax ?? ANSWER_BYTES_MAX)
      try {
        return read(body)
      } catch (cause) {
        if (!hasCode(cause, 'ERR_OPTION_INVALID')) throw cause
        throw corrupt(cause)
      }
    })
  }

  /** A stream without an end but the signal's, once it has begun within `timeoutMs`. */
  async stream(call: Call, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const stop = new AbortController()
    signal.addEventListener('abort', () => stop.abort(), { once: true, signal: stop.signal })
    return this.#within(
      call.timeoutMs,
      async () => {
        const response = await this.#send(call, stop.signal)
        return (response.body ?? []) as AsyncIterable<Uint8Array>
      },
      stop,
    )
  }

  /** Breaks off what is under way; later calls throw `ERR_CLOSED`. Idempotent. */
  close(): void {
    this.#isClosed = true
    for (const call of this.#underWay) call.abort()
  }

  async #within<T>(
    timeoutMs: number,
    work: (signal: AbortSignal) => Promise<T>,
    ended = new AbortController(),
  ): Promise<T> {
    if (this.#isClosed) throw closed()
    if (this.#underWay.size >= CALLS_MAX)
      throw new RescindError('ERR_STORE_OVERLOADED', `${CALLS_MAX} calls wait for the service already`)
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      ended.abort()
    }, timeoutMs)
    this.#underWay.add(ended)
    try {
      return await work(ended.signal)
    } catch (cause) {
      if (this.#isClosed) throw closed()
      if (isLate)
        throw new RescindError('ERR_STORE_TIMEOUT', 'the service did not answer in time', {
          cause,
        })
      if (cause instanceof RescindError) throw cause
      throw new RescindError('ERR_STORE_UNAVAILABLE', 'the service cannot be reached', { cause })
    } finally {
      clearTimeout(timer)
      this.#underWay.delete(ended)
    }
  }

  async #send(call: Call, signal: AbortSignal): Promise<Response> {
    const { url, key } = this.#options
    const { path, query = {}, json, bytes } = call
    const target = new URL(url)
    target.pathname = `${url.pathname.replace(/\/+$/, '')}/store/v1/${path}`
    target.search = new URLSearchParams(query).toString()
    const body = json === undefined ? bytes?.body : JSON.stringify(json)
    const type = json === undefined ? bytes?.type : 'application/json'
    const response = await this.#options.fetch(target, {
      method: call.method ?? (body === undefined ? 'GET' : 'POST'),
      headers: { authorization: `Bearer ${key}`, ...(type === undefined ? {} : { 'content-type': type }) },
      redirect: 'manual',
      signal,
      ...(body === undefined ? {} : { body }),
    })
    if (response.status !== 200 && response.status !== 204) throw await failureOf(response)
    return response
  }
}

/** What an answer that is no success means: what the service says of its store, or what the status says. */
async function failureOf(response: Response): Promise<RescindError> {
  const { status } = response
  const told = response.headers.get('content-type')?.startsWith('application/problem+json') === true
  const { code, detail } = told ? problemIn(await readBody(response, PROBLEM_BYTES_MAX)) : {}
  if (!told) await response.body?.cancel()
  switch (status) {
    case 401:
      return new RescindError('ERR_STORE_REFUSED', 'the service does not accept the key')
    case 403:
      // As Redis calls a lack of rights.
      return new RescindError('ERR_STORE_REFUSED', `the client of this key may not do this (NOPERM)`)
    case 429:
      return new RescindError(
        'ERR_STORE_OVERLOADED',
        'the service takes no more calls of this client for now',
      )
  }
  if (code !== undefined) return new RescindError(code, `the service says: ${detail}`)
  return new RescindError('ERR_STORE_UNAVAILABLE', `the service answered with status ${status}`)
}

function problemIn(body: Buffer): { code?: ErrorCode; detail?: string } {
  try {
    const { code, detail } = object(jsonFrom(body), 'a problem')
    const name = `ERR_${String(code).toUpperCase()}` as ErrorCode
    if (!Object.hasOwn(ERROR_CODES, name) || !TOLD.has(name)) return {}
    return { code: name, detail: String(detail).slice(0, DETAIL_LENGTH_MAX) }
  } catch {
    return {}
  }
}

async function readBody(response: Response, bytesMax: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > bytesMax) throw corrupt(undefined)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

export function corrupt(cause: unknown): RescindError {
  return new RescindError('ERR_STORE_CORRUPT', 'the service gave an answer that this version cannot read', {
    cause,
  })
}

function closed(): RescindError {
  return new RescindError('ERR_CLOSED', 'the store was closed')
}
