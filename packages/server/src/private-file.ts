/**
 * A file that its owner alone reads, and that stands in its place whole or not at all: it is written and flushed beside it
 * first, so that a process which is killed, or finds the disk full, leaves no half of one there.
 */
import { randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

export class PrivateFile {
  readonly #path: string
  readonly #beside: string

  /** Writes it beside `path`, and makes the folder where it is missing. */
  constructor(path: string, text: string | Buffer) {
    this.#path = path
    this.#beside = `${path}.${randomBytes(6).toString('hex')}.tmp`
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    try {
      writeFileSync(this.#beside, text, { mode: 0o600, flag: 'wx', flush: true })
    } catch (error) {
      this.discard()
      throw error
    }
  }

  /** Puts it in its place, whatever stands there. */
  replace(): void {
    renameSync(this.#beside, this.#path)
  }

  /** Puts it in its place where there is none: of several that do so at once, one is first. */
  add(): void {
    try {
      linkSync(this.#beside, this.#path)
    } catch (error) {
      // Not every file system has links: there the last one wins.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return this.replace()
    }
    this.discard()
  }

  discard(): void {
    rmSync(this.#beside, { force: true })
  }
}
