/**
 * What a request presents of who sends it, as it was sent: HTTP Basic or a form (RFC 6749 §2.3.1), a bearer key (RFC 6750
 * §2.1) or an assertion (RFC 7523 §2.2). Nothing is looked up here, and nothing believed.
 */
import type { Form } from '../form.js'
import { SECRET_LENGTH_MAX } from './secret.js'

export interface Credentials {
  /** Every `Authorization` field of the request. */
  readonly authorization: readonly string[]
  /** Of an OAuth endpoint. */
  readonly form?: Form | undefined
  /** The address that it comes from. */
  readonly source: string
}

export type Presented =
  | {
      readonly method: 'client_secret_basic' | 'client_secret_post'
      readonly id: string
      readonly secret: string
    }
  | { readonly method: 'bearer'; readonly secret: string }
  | { readonly method: 'private_key_jwt'; readonly assertion: string; readonly id: string | undefined }

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** What the request presents; a sentence for one that cannot be read, undefined for nothing. */
export function readPresented({ authorization, form }: Credentials): Presented | string | undefined {
  const found: (Presented | string)[] = []
  if (authorization.length > 1) return 'The Authorization header is given more than once'
  const [field] = authorization
  if (field !== undefined) {
    const presented = readField(field)
    if (presented !== undefined) found.push(presented)
  }
  const id = form?.get('client_id')
  const secret = form?.get('client_secret')
  const assertion = form?.get('client_assertion')
  const assertionType = form?.get('client_assertion_type')
  if (secret !== undefined) {
    if (id === undefined) found.push('client_secret comes with client_id')
    else found.push({ method: 'client_secret_post', id, secret })
  }
  if (assertion !== undefined || assertionType !== undefined) {
    if (assertion === undefined || assertionType !== JWT_BEARER)
      found.push(`client_assertion comes with client_assertion_type ${JWT_BEARER}`)
    else found.push({ method: 'private_key_jwt', assertion, id })
  }
  if (found.length > 1) return 'The client authenticates in more than one way (RFC 6749, section 2.3)'
  const [only] = found
  if (typeof only === 'object' && only.method === 'client_secret_basic' && id !== undefined && id !== only.id)
    return 'client_id is another than in the Authorization header'
  return only
}

function readField(field: string): Presented | string | undefined {
  const [, scheme = '', value = ''] = /^([A-Za-z]+) +(.*)$/.exec(field) ?? []
  if (value.length > 4 * SECRET_LENGTH_MAX) return 'The credentials are too long'
  switch (scheme.toLowerCase()) {
    case 'bearer':
      return { method: 'bearer', secret: value.trim() }
    case 'basic': {
      if (!/^[A-Za-z0-9+/]+={0,2}$/.test(value)) return 'The Basic credentials are not base64'
      const text = Buffer.from(value, 'base64').toString('utf8')
      const colon = text.indexOf(':')
      if (colon < 1) return 'The Basic credentials are not a client id, a colon and a secret'
      try {
        const [id, secret] = [text.slice(0, colon), text.slice(colon + 1)].map(fromForm)
        return { method: 'client_secret_basic', id: id as string, secret: secret as string }
      } catch {
        return 'The Basic credentials are not form-encoded (RFC 6749, section 2.3.1)'
      }
    }
    default:
      return undefined
  }
}

/** RFC 6749 §2.3.1 and appendix B. */
function fromForm(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}
