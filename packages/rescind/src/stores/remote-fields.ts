/**
 * Reading what came over the network, field by field: each function gives a value of the kind that it names, within
 * bounds, or throws `ERR_OPTION_INVALID` with the name of the field, and never with what stood there.
 */
import { TIME_MAX } from '../core/revocation.js'
import type { Digest } from '../core/digest.js'
import { RescindError } from '../errors.js'

const DIGEST = /^[A-Za-z0-9_-]{22}$/

/** Throws for what is no JSON. */
export function jsonFrom(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw malformed('JSON')
  }
}

export type Fields = Readonly<Record<string, unknown>>

export function object(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(what)
  return value as Fields
}

export function textIn(fields: Fields, name: string, lengthMax: number): string {
  return text(fields[name], lengthMax, name)
}

/** A whole number from 0 on that the log can hold. */
export function timeIn(fields: Fields, name: string): number {
  return integer(fields[name], TIME_MAX, name)
}

export function numberIn(fields: Fields, name: string, min = 0): number {
  const value = fields[name]
  if (typeof value !== 'number' || !(value >= min && value <= Number.MAX_SAFE_INTEGER)) throw malformed(name)
  return value
}

export function flagIn(fields: Fields, name: string): boolean {
  const value = fields[name]
  if (typeof value !== 'boolean') throw malformed(name)
  return value
}

export function list(value: unknown, lengthMax: number, what: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length > lengthMax) throw malformed(what)
  return value
}

export function text(value: unknown, lengthMax: number, what: string): string {
  if (typeof value !== 'string' || value.length > lengthMax) throw malformed(what)
  return value
}

/** A whole number from 0 to `max`. */
export function integer(value: unknown, max: number, what: string): number {
  if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > max) throw malformed(what)
  return value as number
}

export function digest(value: unknown): Digest {
  if (typeof value !== 'string' || !DIGEST.test(value)) throw malformed('a digest')
  return value
}

export function malformed(what: string): RescindError {
  return new RescindError('ERR_OPTION_INVALID', `${what} is missing or of another form than it should be`)
}
