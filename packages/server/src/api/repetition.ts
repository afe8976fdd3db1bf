/**
 * A request that may be sent again: what was answered to an `Idempotency-Key` is answered again, for a day, to the same
 * client and the same request. Only what was done is kept; a request that was refused or has failed is done anew.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { failureFields } from '../log.js'
import type { Parts } from '../parts.js'

export const KEY = /^[\x21-\x7e]{1,255}$/
const LIFE_SECONDS = 86_400
/** A request that has ended without an answer (its process was killed) is in the way for so long. */
const PENDING_SECONDS = 120
/** What was kept may end between two looks. */
const LOOKS_MAX = 3

const kept = z.strictObject({
  /** Of the request. */
  digest: z.string(),
  /** Absent while it is being done. */
  answer: z.strictObject({ status: z.int(), text: z.string() }).optional(),
})

export interface Answer {
  readonly status: number
  /** JSON. */
  readonly text: string
}

export type Attempt =
  /** It is the first: do it, then `keep` what was answered, or `release` the key. */
  | { readonly status: 'first'; keep(answer: Answer): Promise<void>; release(): Promise<void> }
  | { readonly status: 'repeated'; readonly answer: Answer }
  /** The key was used for another request. */
  | { readonly status: 'differs' }
  /** The same request is being done. */
  | { readonly status: 'pending' }

/** Throws the failure of the records. `request`: all that makes two requests the same. */
export async function attempt(
  { records, log }: Parts,
  { clientId, key, request }: { clientId: string; key: string; request: readonly string[] },
): Promise<Attempt> {
  const id = `repetition:${digestOf([clientId, key])}`
  const digest = digestOf(request)
  const mark = JSON.stringify({ digest })
  for (let look = 0; look < LOOKS_MAX; look++) {
    if (await records.write('once', id, mark, { isNew: true, lifeSeconds: PENDING_SECONDS })) {
      const logged = (error: unknown) =>
        log.warn(failureFields(error), 'an answer could not be kept for repetition')
      return {
        status: 'first',
        keep: async (answer) => {
          const text = JSON.stringify({ digest, answer })
          await records.write('once', id, text, { lifeSeconds: LIFE_SECONDS }).catch(logged)
        },
        release: async () => {
          await records.remove('once', id).catch(logged)
        },
      }
    }
    const text = await records.read('once', id)
    if (text === undefined) continue
    const found = kept.parse(JSON.parse(text))
    if (found.digest !== digest) return { status: 'differs' }
    return found.answer === undefined ? { status: 'pending' } : { status: 'repeated', answer: found.answer }
  }
  return { status: 'pending' }
}

function digestOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url')
}
