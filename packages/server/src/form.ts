/** The form of an OAuth endpoint: `application/x-www-form-urlencoded`, each parameter at most once (RFC 6749 §3.2). */
import type { Context } from 'hono'
import { mediaTypeOf, readText } from './body.js'

export type Form = ReadonlyMap<string, string>

export type FormResult =
  | { readonly form: Form; readonly problem?: undefined; readonly isTooLarge?: undefined }
  /** What is wrong, for a person; `isTooLarge`: it was not read to its end. */
  | { readonly problem: string; readonly isTooLarge?: boolean; readonly form?: undefined }

/** Reads it, at most `bytesMax` bytes. Never throws for what a client sends. */
export async function readForm(c: Context, bytesMax: number): Promise<FormResult> {
  if (mediaTypeOf(c) !== 'application/x-www-form-urlencoded')
    return { problem: 'The request must be a form of type application/x-www-form-urlencoded' }
  const { text, failure } = await readText(c.req.raw, bytesMax)
  if (failure === 'too-large')
    return { problem: `The form is longer than ${bytesMax} bytes`, isTooLarge: true }
  // RFC 6749 appendix B; the parser below would put a replacement character in the place of what is broken.
  if (failure !== undefined || !isDecodable(text)) return { problem: 'The form is not UTF-8, form-encoded' }
  const form = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(text)) {
    // RFC 6749 §3.2: without a value it counts as absent.
    if (value === '') continue
    if (form.has(name)) return { problem: 'A parameter is given more than once' }
    form.set(name, value)
  }
  return { form }
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
