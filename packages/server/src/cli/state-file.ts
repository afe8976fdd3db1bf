/**
 * How far an import or an export has come, in a small file that is replaced whole: whoever is killed leaves the one
 * before, and what was done since is done again, which changes nothing.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { RescindError } from 'rescind'
import { z } from 'zod'
import { usage } from './failure.js'

const schema = z.strictObject({
  version: z.literal(1),
  /** Of what: for an import a digest of all lines that are done, which another input does not have. */
  of: z.string().max(128),
  /** Lines that are done. */
  lines: z.int().min(0),
  /** For an export: where to go on. */
  cursor: z.string().max(4096).optional(),
  isDone: z.boolean(),
})
export type Done = Omit<z.output<typeof schema>, 'version'>

const FILE_BYTES_MAX = 16_384

export class StateFile {
  constructor(private readonly path: string) {}

  /** Undefined where there is none yet. `of` is for its reader to compare. */
  read(): Done | undefined {
    let text: string
    try {
      text = readFileSync(this.path, 'utf8')
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw usage('--state names a file that cannot be read', cause)
    }
    const { data, success } = schema.safeParse(text.length > FILE_BYTES_MAX ? undefined : jsonOf(text))
    if (!success) throw usage('--state names a file that is none of ours: name another, which is then made')
    return data
  }

  write(done: Done): void {
    const written = `${this.path}.${process.pid}`
    try {
      writeFileSync(written, `${JSON.stringify({ version: 1, ...done })}\n`, { mode: 0o600 })
      renameSync(written, this.path)
    } catch (cause) {
      throw usage('--state names a file that cannot be written', cause)
    }
  }
}

/** What is read or written is not that of which the state tells. */
export function otherState(): RescindError {
  return usage(
    '--state names a file that belongs to something else, or to lines that have changed since: name another, or ' +
      'remove it to begin anew, which is safe',
  )
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
