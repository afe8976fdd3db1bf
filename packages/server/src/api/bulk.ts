/**
 * Revokes line by line, as the lines come: each is answered by its number, in order, and many are in work at once within
 * a bound. Who sends the same lines again does no harm, and `from` goes on where it was broken off.
 *
 * What cannot be revoked is refused, and the next line is read. What fails because the store does ends it, with the line
 * to begin at the next time.
 */
import { RescindError } from 'rescind'
import type { Client } from '../clients/client.js'
import type { Line } from '../lines.js'
import { failureFields } from '../log.js'
import type { Parts } from '../parts.js'
import { readJson } from './json.js'
import { namedBy, revokeNamed } from './named.js'
import { failureStatus, problemCode, PROBLEMS_MAX } from '../problem.js'
import { checked, reason, target, timesFields, timesProblems, token, z } from './schema.js'

export const bulkLine = checked(
  z.strictObject({
    target: target.optional(),
    token: token.optional(),
    ...timesFields,
    reason: reason.optional(),
  }),
  (line) =>
    (line.target === undefined) === (line.token === undefined) ? ['give one of target and token'] : [],
  timesProblems,
).openapi('BulkLine')

const COUNTED = ['revoked', 'unchanged', 'ended', 'refused'] as const
const counts = z.strictObject(
  Object.fromEntries(COUNTED.map((name) => [name, z.int()])) as Record<(typeof COUNTED)[number], z.ZodInt>,
)
const line = z.int()
export const bulkResult = z
  .discriminatedUnion('status', [
    z.strictObject({ line, status: z.literal('revoked'), id: z.string(), expiresAt: z.int() }),
    z
      .strictObject({ line, status: z.literal('unchanged'), id: z.string(), expiresAt: z.int() })
      .openapi({ description: 'What stands says as much already' }),
    z.strictObject({ line, status: z.literal('ended') }).openapi({ description: 'Its end lies in the past' }),
    z.strictObject({ line, status: z.literal('refused'), code: z.string(), detail: z.string() }),
    z
      .strictObject({ line, status: z.literal('stopped'), code: z.string(), detail: z.string(), counts })
      .openapi({ description: 'The last line: send the same again with ?from= this line' }),
    z.strictObject({ status: z.literal('done'), lines: z.int(), counts }).openapi({
      description: 'The last line: all was read',
    }),
  ])
  .openapi('BulkResult')

export type BulkResult = z.input<typeof bulkResult>

export interface BulkOptions {
  readonly client: Client
  /** Lines before this one are skipped. */
  readonly from: number
  /** At most so many lines are done. */
  readonly linesMax: number
  /** Ends it: the client is gone, or the service stops. */
  readonly signal: AbortSignal
}

/** How many lines are in work at once. */
const PARALLEL_MAX = 256

type Done = Extract<BulkResult, { status: (typeof COUNTED)[number] }>
/** Why nothing more is done. */
interface Halt {
  readonly status: 'halt'
  readonly line: number
  readonly code: string
  readonly detail: string
}

/** A line in work, and what came of it. */
interface Work {
  result?: Done | Halt
}

/** Results as they come, in order. Ends with `done` or `stopped`, or with neither when the signal says so. */
export async function* revokeLines(
  parts: Parts,
  lines: AsyncGenerator<Line, void>,
  options: BulkOptions,
): AsyncGenerator<readonly BulkResult[], void> {
  const { signal } = options
  const counts = { revoked: 0, unchanged: 0, ended: 0, refused: 0 }
  const queue = new WorkQueue(parts, options)
  const reading = queue.read(lines)
  // It is looked at when all that was read is done.
  reading.catch(() => undefined)
  const onAbort = () => queue.end()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      const results = await queue.take()
      if (results === undefined || signal.aborted) break
      const done = results.filter((result) => result.status !== 'halt')
      for (const { status } of done) counts[status]++
      const halt = results.find((result) => result.status === 'halt')
      yield halt === undefined ? done : [...done, { ...halt, status: 'stopped', counts }]
      if (halt !== undefined) return
    }
    if (signal.aborted) return
    yield [{ status: 'done', lines: await reading, counts }]
  } finally {
    signal.removeEventListener('abort', onAbort)
    queue.end()
  }
}

/** The lines in work: read no further than there is room, and given back in order. */
class WorkQueue {
  readonly #parts: Parts
  readonly #options: BulkOptions
  /** In the order of the lines. */
  readonly #works: Work[] = []
  #isEnded = false
  #isRead = false
  #wake: () => void = () => undefined
  #changed = this.#nextChange()

  constructor(parts: Parts, options: BulkOptions) {
    this.#parts = parts
    this.#options = options
  }

  /** Resolves with the number of the last line. Throws what reading throws. */
  async read(lines: AsyncGenerator<Line, void>): Promise<number> {
    const { from, linesMax } = this.#options
    let last = 0
    try {
      for await (const line of lines) {
        while (this.#works.length >= PARALLEL_MAX && !this.#isEnded) await this.#changed
        if (this.#isEnded) break
        last = line.number
        if (last - from >= linesMax) {
          this.#works.push({ result: tooMany(last, linesMax) })
          break
        }
        if (last >= from && line.text?.trim() !== '') this.#begin(line)
      }
      return last
    } finally {
      this.#isRead = true
      this.#tell()
    }
  }

  /** Those that are done, at least one, up to the first that fails; undefined after the last. */
  async take(): Promise<(Done | Halt)[] | undefined> {
    while (!this.#isEnded) {
      const results: (Done | Halt)[] = []
      for (const { result } of this.#works) {
        if (result === undefined) break
        results.push(result)
        if (result.status === 'halt') break
      }
      if (results.length > 0) {
        this.#works.splice(0, results.length)
        this.#tell()
        return results
      }
      if (this.#isRead && this.#works.length === 0) return undefined
      await this.#changed
    }
    return undefined
  }

  /** Begins nothing more. */
  end(): void {
    this.#isEnded = true
    this.#tell()
  }

  #begin(line: Line): void {
    const work: Work = {}
    this.#works.push(work)
    void revokeLine(this.#parts, line, this.#options)
      .catch((error: unknown) => failed(this.#parts, line, error))
      .then((result) => {
        work.result = result
        if (this.#works[0] === work) this.#tell()
      })
  }

  #tell(): void {
    const wake = this.#wake
    this.#changed = this.#nextChange()
    wake()
  }

  #nextChange(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve))
  }
}

async function revokeLine(
  parts: Parts,
  { number, text, problem }: Line,
  { client }: BulkOptions,
): Promise<Done | Halt> {
  const refuse = (code: string, detail: string): Done => ({
    line: number,
    status: 'refused',
    code,
    detail,
  })
  if (problem !== undefined)
    return refuse(problem === 'is too long' ? 'line_too_long' : 'line_invalid', `The line ${problem}`)
  const json = readJson(text)
  if (json.problem !== undefined) return refuse('line_invalid', `The line ${json.problem}`)
  const { data, error } = bulkLine.safeParse(json.value)
  if (data === undefined)
    return refuse(
      'line_invalid',
      error.issues
        .slice(0, PROBLEMS_MAX)
        .map(({ path, message }) => [...path.map(String), message].join(': '))
        .join('; '),
    )
  const now = Math.floor(parts.manager.now())
  const expiresAt = data.lifetimeSeconds === undefined ? data.expiresAt : now + data.lifetimeSeconds
  if (expiresAt !== undefined && expiresAt <= now) return { line: number, status: 'ended' }
  try {
    const { issuedBefore, reason: why } = data
    const named = await namedBy(parts, data)
    const receipt = await revokeNamed(parts, client, named, { issuedBefore, expiresAt, reason: why })
    const status = receipt.revokedAt < now ? 'unchanged' : 'revoked'
    return { line: number, status, id: receipt.id, expiresAt: receipt.expiresAt }
  } catch (failure) {
    if (!(failure instanceof RescindError)) throw failure
    // As a single request would be answered: what is wrong with this line, or with the store.
    const code = problemCode(failure)
    return failureStatus(failure) < 500
      ? refuse(code, failure.message)
      : { line: number, status: 'halt', code, detail: failure.message }
  }
}

/** A mistake of ours: the service goes on, and the line may be sent again. */
function failed({ log }: Parts, { number }: Line, error: unknown): Halt {
  log.error(failureFields(error), 'a line of a bulk failed')
  const detail = 'The service has failed; its log says why'
  return { line: number, status: 'halt', code: 'internal', detail }
}

function tooMany(line: number, linesMax: number): Halt {
  return {
    line,
    status: 'halt',
    code: 'lines_exceeded',
    detail: `At most ${linesMax} lines are taken at once`,
  }
}
