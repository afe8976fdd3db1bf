/**
 * A request to the admin API of a service: with its key, within a deadline, and with every failure as the library's, so
 * that whoever asks need not know over what. No message repeats what was sent.
 */
import { ERROR_CODES, type ErrorCode, RescindError } from 'rescind'
import { usage } from '../failure.js'

export interface CallOptions {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as it is. */
  readonly text?: { readonly type: string; readonly body: string }
  /** Over what every call may take. */
  readonly moreMs?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Ends it; without a deadline then. */
  readonly signal?: AbortSignal
}

const CALL_TIMEOUT_MS = 15_000
const ANSWER_BYTES_MAX = 64 * 1024 * 1024

export class RemoteCall {
  constructor(
    readonly url: URL,
    private readonly key: string,
  ) {}

  /** The answer, of JSON. `field`: what it must have, for whatever else answers there. */
  async json<T>(path: string, field: string, options: CallOptions = {}): Promise<T> {
    const answer = parsed<unknown>(await this.text(path, options))
    if (typeof answer !== 'object' || answer === null || !(field in answer)) throw noService()
    return answer as T
  }

  async text(path: string, options: CallOptions = {}): Promise<string> {
    return readText(await this.open(path, options))
  }

  /** A response that is a success, its body not yet read. */
  async open(path: string, options: CallOptions): Promise<Response> {
    const { method = options.json === undefined && options.text === undefined ? 'GET' : 'POST' } = options
    const url = new URL(this.url.href.replace(/\/*$/, path))
    for (const [name, value] of Object.entries(options.query ?? {}))
      for (const one of value === undefined ? [] : [value].flat()) url.searchParams.append(name, one)
    const body = options.text?.body ?? (options.json === undefined ? undefined : JSON.stringify(options.json))
    const type = options.text?.type ?? 'application/json'
    let response: Response
    try {
      response = await fetch(url, {
        method,
        // The key goes nowhere but where it was meant to go.
        redirect: 'manual',
        headers: {
          authorization: `Bearer ${this.key}`,
          ...(body === undefined ? {} : { 'content-type': type }),
          ...options.headers,
        },
        signal: options.signal ?? AbortSignal.timeout(CALL_TIMEOUT_MS + (options.moreMs ?? 0)),
        ...(body === undefined ? {} : { body }),
      })
    } catch (cause) {
      throw unreachable(cause)
    }
    if (response.ok) return response
    throw failureOf(path, response.status, await readText(response).catch(() => ''))
  }
}

async function readText(response: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  try {
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      bytes += chunk.length
      if (bytes > ANSWER_BYTES_MAX) throw new Error('too long')
      text += decoder.decode(chunk, { stream: true })
    }
  } catch (cause) {
    throw unreachable(cause)
  }
  return text + decoder.decode()
}

/** What went wrong, told by the code alone: causes of `fetch` may repeat parts of the request. */
function unreachable(cause: unknown): RescindError {
  const { name, cause: inner } = cause as { name?: string; cause?: { code?: unknown } }
  if (name === 'TimeoutError')
    return new RescindError('ERR_STORE_TIMEOUT', 'the service did not answer in time', { cause })
  const code = typeof inner?.code === 'string' ? ` (${inner.code})` : ''
  return new RescindError('ERR_STORE_UNAVAILABLE', `the service cannot be reached${code}`, { cause })
}

function failureOf(path: string, status: number, text: string): RescindError {
  if (status >= 300 && status < 400)
    return usage('the service redirects to another address: give that one with --url (https, often)')
  const { code, detail, problems } = problemIn(text)
  const said = [detail, ...problems].join('\n- ')
  const known = errorCodeOf(code)
  if (known !== undefined) return new RescindError(known, said, { problems })
  switch (status) {
    case 401:
      return new RescindError('ERR_STORE_REFUSED', `the service does not accept the key: ${said}`)
    case 403:
      return new RescindError('ERR_STORE_REFUSED', `the client of this key may not do this: ${said}`)
    case 429:
      return new RescindError('ERR_STORE_OVERLOADED', 'the service is asked too often by this client')
    case 410:
      return new RescindError('ERR_LOG_CHANGED', said)
    case 404:
      return /\/clients\/./.test(path) ? usage(said + (ADVICE[code] ?? '')) : noService()
    case 400:
    case 409:
    case 413:
    case 415:
    case 422:
      return code === '' ? noService() : usage(said + (ADVICE[code] ?? ''))
    default:
      return new RescindError('ERR_STORE_UNAVAILABLE', `the service answered ${status}: ${said}`)
  }
}

/** The code of the library that a service has told in its own form: `token_expired`. */
export function errorCodeOf(code: string): ErrorCode | undefined {
  const known = `ERR_${code.toUpperCase()}`
  return Object.hasOwn(ERROR_CODES, known) ? (known as ErrorCode) : undefined
}

/** What may be done at a command line about what a service refuses. */
const ADVICE: Readonly<Record<string, string>> = {
  client_exists: ': take another id, or `rescind clients rotate` it',
  not_found: ': `rescind clients list` names them all',
  last_admin: ': make another admin first',
}

function problemIn(text: string): { code: string; detail: string; problems: readonly string[] } {
  let body: { code?: unknown; detail?: unknown; problems?: unknown } = {}
  try {
    body = (JSON.parse(text) as typeof body | null) ?? {}
  } catch {
    // Whatever else stands in front of the service answers in its own words.
  }
  const { code, detail, problems } = body
  return {
    code: typeof code === 'string' ? code : '',
    detail: typeof detail === 'string' ? detail : 'it does not say why',
    problems: Array.isArray(problems) ? problems.filter((each) => typeof each === 'string') : [],
  }
}

/** JSON of a service. Throws for whatever else answers there, without a piece of it. */
export function parsed<T>(text: string): T {
  try {
    return JSON.parse(text) as T
  } catch {
    throw noService()
  }
}

export function noService(): RescindError {
  return usage('what answers there is no Rescind service, or one of another version: look at --url')
}
