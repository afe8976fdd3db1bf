/** A batch of an import, as one request to `/revocations/bulk`. */
import { RescindError } from 'rescind'
import type { BulkResult } from '../../api/bulk.js'
import type { BulkLine, BulkOutcome } from './backend.js'
import { errorCodeOf, parsed, type RemoteCall } from './remote-call.js'

type Times = Pick<BulkLine, 'expiresAt' | 'issuedBefore'> & { readonly [name: string]: unknown }

const PATH = '/api/v1/revocations/bulk'
/** Over what every call may take: a line may have to wait for the store. */
const BATCH_MORE_MS = 60_000

/** Throws where the service stopped before the last line: then any of the lines may have been done. */
export async function remoteBulk(
  call: RemoteCall,
  lines: readonly BulkLine[],
): Promise<readonly BulkOutcome[]> {
  // The service keeps who did it by the key, and numbers the lines of this request from 1.
  const body = lines.map(({ line: _, actor: __, ...wish }) => JSON.stringify(wholeSeconds(wish))).join('\n')
  const text = await call.text(PATH, {
    text: { type: 'application/x-ndjson', body },
    moreMs: BATCH_MORE_MS,
  })
  const outcomes: BulkOutcome[] = []
  for (const answer of text.split('\n').filter(Boolean)) {
    const result = parsed<BulkResult>(answer)
    if (result.status === 'done') return outcomes
    if (result.status === 'stopped') throw stopped(result)
    const line = lines[result.line - 1]?.line ?? result.line
    outcomes.push(
      result.status === 'refused'
        ? { line, status: 'refused', code: codeOf(result.code), message: result.detail }
        : { line, status: result.status },
    )
  }
  throw new RescindError('ERR_STORE_UNAVAILABLE', 'the answer of the service broke off')
}

/** As the API takes times; a life is never rounded to a shorter one. */
export function wholeSeconds({ expiresAt, issuedBefore, ...wish }: Times): object {
  return {
    ...wish,
    expiresAt: expiresAt === undefined ? undefined : Math.ceil(expiresAt),
    issuedBefore: typeof issuedBefore === 'number' ? Math.floor(issuedBefore) : issuedBefore,
  }
}

function stopped({ code, detail }: { code: string; detail: string }): RescindError {
  return new RescindError(errorCodeOf(code) ?? 'ERR_STORE_REFUSED', detail)
}

/** As a store that is opened here would name it. */
function codeOf(code: string): string {
  return errorCodeOf(code) ?? code.toUpperCase()
}
