/**
 * An endpoint of the API as data: who may ask, what it takes and what it answers. The route, the validation and the
 * OpenAPI document are made of it, so that none can differ from the others.
 */
import type { z } from '@hono/zod-openapi'
import type { Client } from '../clients/client.js'
import type { Role } from '../config/schema.js'

/** A schema, or nothing where the endpoint takes none. */
type Taken<T> = T extends z.ZodType ? z.output<T> : undefined

/** The same, of which nothing is written to. */
type Unwritten<T> = T extends readonly (infer E)[]
  ? readonly Unwritten<E>[]
  : T extends object
    ? { readonly [K in keyof T]: Unwritten<T[K]> }
    : T

export interface EndpointRequest<P, Q, B> {
  readonly params: Taken<P>
  readonly query: Taken<Q>
  readonly body: Taken<B>
  readonly client: Client
}

/** Why something cannot be done; a failure of the library is thrown instead. */
export class Refusal {
  constructor(
    readonly status: 404 | 409 | 422,
    readonly code: string,
    /** A sentence for a person. */
    readonly detail: string,
  ) {}
}

export interface Endpoint<
  P extends z.ZodObject | undefined = z.ZodObject | undefined,
  Q extends z.ZodObject | undefined = z.ZodObject | undefined,
  B extends z.ZodType | undefined = z.ZodType | undefined,
  A extends z.ZodType = z.ZodType,
> {
  readonly method: 'get' | 'post' | 'patch' | 'delete'
  /** Below `/api/v1`; parameters in braces. */
  readonly path: string
  readonly tag: string
  readonly summary: string
  readonly description?: string
  /** One of them is enough; an admin has them all. */
  readonly roles: readonly Role[]
  readonly params?: P
  readonly query?: Q
  /** JSON. */
  readonly body?: B
  readonly answer: A
  /** Default 200. */
  readonly status?: 200 | 201
  /** The refusals and failures beside those of every endpoint, by status: what they mean. */
  readonly failures?: Readonly<Partial<Record<404 | 409 | 410 | 422, string>>>
  /** It changes something: a repetition with the same `Idempotency-Key` is answered as the first. */
  readonly isRepeatable?: boolean
  /** A member of the answer that is given once and never kept: a repeated answer is without it. */
  readonly secret?: string
  handle(request: EndpointRequest<P, Q, B>): Promise<Unwritten<z.input<A>> | Refusal>
}

/** Infers the types of what the handler is given. */
export function endpoint<
  A extends z.ZodType,
  P extends z.ZodObject | undefined = undefined,
  Q extends z.ZodObject | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(made: Endpoint<P, Q, B, A>): Endpoint {
  return made
}
