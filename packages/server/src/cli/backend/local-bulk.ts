/** A batch of an import on a store that is opened here. */
import { RescindError, type Target, type TokenManager } from 'rescind'
import type { BulkLine, BulkOutcome } from './backend.js'

export interface LocalBulkOptions {
  readonly manager: TokenManager
  /** Who imports, and who revokes where a line names nobody. */
  readonly actor: string
  /** Told what was revoked, for the audit trail. */
  readonly keep: (target: Target, reason: string | undefined) => Promise<void>
}

/** Lines that are in work at once. */
const LINES_IN_FLIGHT = 64

/** Throws what the store throws, after the lines in work: then any of the lines may have been done. */
export async function localBulk(
  lines: readonly BulkLine[],
  options: LocalBulkOptions,
): Promise<readonly BulkOutcome[]> {
  const outcomes = new Array<BulkOutcome>(lines.length)
  let next = 0
  const work = async () => {
    for (let at = next++; at < lines.length; at = next++) {
      try {
        outcomes[at] = await revokeLine(lines[at] as BulkLine, options)
      } catch (error) {
        // No others are begun: a store in trouble is asked for no more than must be.
        next = lines.length
        throw error
      }
    }
  }
  const works = Array.from({ length: Math.min(LINES_IN_FLIGHT, lines.length) }, work)
  const failed = (await Promise.allSettled(works)).find(({ status }) => status === 'rejected')
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
  return outcomes
}

async function revokeLine(line: BulkLine, { manager, actor, keep }: LocalBulkOptions): Promise<BulkOutcome> {
  const { line: number, target, ...said } = line
  const wish = { ...said, actor: said.actor ?? actor }
  try {
    if (wish.expiresAt !== undefined && wish.expiresAt <= manager.now())
      return { line: number, status: 'ended' }
    const { effect } = await manager.preview(target, wish)
    if (effect === 'none') return { line: number, status: 'unchanged' }
    await manager.revoke(target, wish)
    await keep(target, wish.reason)
    return { line: number, status: 'revoked' }
  } catch (error) {
    if (!(error instanceof RescindError) || error.code.startsWith('ERR_STORE')) throw error
    return { line: number, status: 'refused', code: error.code, message: error.message }
  }
}
