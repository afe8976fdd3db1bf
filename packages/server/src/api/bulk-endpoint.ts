/** `POST /revocations/bulk`: NDJSON in, NDJSON out, both streamed. */
import { mediaTypeOf } from '../body.js'
import { extendDeadline } from '../body-deadline.js'
import { linesOf } from '../lines.js'
import { failureFields } from '../log.js'
import type { Parts } from '../parts.js'
import { type Api, type ApiContext, BASE, queryOf } from './api.js'
import { bulkLine, bulkResult, revokeLines } from './bulk.js'
import { requireRole } from './client-guard.js'
import { failuresOf, SECURITY } from './document.js'
import { problem } from '../problem.js'
import { z } from './schema.js'

const PATH = '/revocations/bulk'
const NDJSON = 'application/x-ndjson'
const TYPES = [NDJSON, 'application/ndjson', 'application/jsonl']
/** How many are done at once by this process. */
const BULKS_MAX = 8
/** Results that wait for a client which sends all before it reads anything; past that, it is read no further. */
const WAITING_BYTES_MAX = 16_777_216

const query = z.strictObject({
  from: z.coerce.number().int().min(1).max(100_000_000).default(1).openapi({
    description: 'The first line to do: those before it are skipped',
  }),
})

export function addBulkEndpoint(api: Api, parts: Parts): void {
  let running = 0
  api.addRaw(
    {
      method: 'post',
      path: BASE + PATH,
      tags: ['Revocations'],
      operationId: 'postRevocationsBulk',
      summary: 'Revoke many, a line each',
      description:
        `Each line is answered by its number, in order; the last line of the answer says done, or where it stopped. ` +
        `At most ${parts.config.limits.bulkLinesMax} lines at once. For clients with the role revoke:any or admin.`,
      security: SECURITY,
      request: { query, body: { required: true, content: { [NDJSON]: { schema: bulkLine } } } },
      responses: {
        200: { description: 'A line for each line', content: { [NDJSON]: { schema: bulkResult } } },
        ...failuresOf({ isStreamed: true }),
      },
    },
    requireRole(parts, 'revoke:any'),
    (c) => {
      if (!TYPES.includes(mediaTypeOf(c) ?? ''))
        return problem(c, 415, 'type_unsupported', `The body must be ${NDJSON}`)
      const wanted = query.safeParse(queryOf(c))
      if (!wanted.success)
        return problem(c, 400, 'request_invalid', 'The request cannot be used', {
          problems: wanted.error.issues.map(({ path, message }) => `query.${path.join('.')}: ${message}`),
        })
      if (running >= BULKS_MAX)
        return problem(c, 503, 'bulk_busy', `${BULKS_MAX} of these are being done`, {
          headers: { 'retry-after': '5' },
        })
      running++
      return stream(c, parts, wanted.data.from, () => running--)
    },
  )
}

function stream(c: ApiContext, parts: Parts, from: number, onEnd: () => void): Response {
  const { limits } = parts.config
  const gone = new AbortController()
  const results = revokeLines(parts, linesOf(chunksOf(c)), {
    client: c.get('client'),
    from,
    linesMax: limits.bulkLinesMax,
    signal: AbortSignal.any([gone.signal, parts.stopping]),
  })
  const encoder = new TextEncoder()
  let isEnded = false
  const end = () => {
    if (!isEnded) onEnd()
    isEnded = true
  }
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await results.next()
          if (done !== true) {
            const lines = value.map((result) => `${JSON.stringify(result)}\n`).join('')
            return controller.enqueue(encoder.encode(lines))
          }
          end()
          controller.close()
        } catch (error) {
          // Cut, and not closed: an answer without its last line must not look whole. Mostly the upload was broken off.
          parts.log.warn(failureFields(error), 'a bulk was broken off')
          end()
          c.env.outgoing.destroy()
        }
      },
      async cancel() {
        gone.abort()
        await results.return()
        end()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: WAITING_BYTES_MAX }),
  )
  return new Response(body, { headers: { 'content-type': NDJSON, 'cache-control': 'no-store' } })
}

/** The upload takes as long as it takes, while something comes. */
async function* chunksOf(c: ApiContext): AsyncGenerator<Buffer> {
  const { incoming } = c.env
  const body = c.req.raw.body as ReadableStream<Uint8Array> | null
  if (body === null) return
  for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
    extendDeadline(incoming)
    yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  }
}
