/**
 * `rescind import`: revocations from NDJSON, as `export` writes them. What was done is never done twice with another
 * result, so an import that was interrupted goes on from its state file, from a line, or simply from the beginning.
 */
import { createHash } from 'node:crypto'
import { accessSync, constants, createReadStream, statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Command } from 'commander'
import { type Backend, BULK_LINES, type BulkLine, type BulkOutcome } from '../backend/backend.js'
import { addBackendFlags } from '../backend/flags.js'
import { readBulkLine } from '../bulk-line.js'
import { exitCode } from '../exit-code.js'
import { usage } from '../failure.js'
import { type Line, linesOf } from '../../lines.js'
import { printable } from '../output.js'
import { type Progress, showProgress } from '../progress.js'
import { retrying } from '../retrying.js'
import { onBackend } from '../run.js'
import { otherState, StateFile } from '../state-file.js'
import { stopSignal, type Terminal } from '../terminal.js'

interface Flags {
  readonly from?: string
  readonly state?: string
}

interface Counts {
  /** Lines that are done, from the beginning of the input. */
  lines: number
  revoked: number
  unchanged: number
  ended: number
  refused: number
}

type Refused = Extract<BulkOutcome, { status: 'refused' }>

/** Refused lines that are shown to a person one by one. */
const REFUSED_SHOWN_MAX = 20
/** The state is written at most so often, in milliseconds. */
const STATE_PERIOD_MS = 1000

export function addImport(program: Command, terminal: Terminal): void {
  const command = program
    .command('import')
    .description('revoke what stands in NDJSON, one revocation a line, as `export` writes it')
    .argument('[file]', 'default: the standard input')
    .option('--from <line>', 'begin with this line, from 1')
    .option(
      '--state <file>',
      'keep there how far it is, and go on from there where the lines before are the same',
    )
  addBackendFlags(command).action(
    onBackend<Flags>(terminal, async ({ backend, output, flags }, path) => {
      const signal = stopSignal(terminal)
      const from = beginOf(flags)
      const total = path === undefined ? undefined : sizeOf(path)
      const input = path === undefined ? terminal.input : createReadStream(path)
      const bar = showProgress(terminal, output, 'Importing', total)
      const work = new Import(backend, { ...flags, from }, bar, terminal.now, (outcome) => {
        if (output.isJson) terminal.warn(JSON.stringify(outcome))
        else if (work.counts.refused <= REFUSED_SHOWN_MAX)
          terminal.warn(`line ${outcome.line}: ${printable(outcome.message)}`)
      })
      let isWhole = false
      try {
        isWhole = await work.run(input, signal)
      } finally {
        bar.stop()
        const unshown = work.counts.refused - REFUSED_SHOWN_MAX
        if (unshown > 0) output.note(`… and ${unshown} more: --json names them all`)
        if (!isWhole && (work.hasBegun || signal.aborted))
          output.note(`Stopped: ${goOn(flags, work.counts.lines)}`)
      }
      const { counts } = work
      if (isWhole && flags.state !== undefined && !work.hasBegun)
        output.note('All of it was imported before, and nothing was added since.')
      output.answer({ isWhole, ...counts }, () => [
        `${counts.lines} lines: ${counts.revoked} revoked, ${counts.unchanged} stood already, ${counts.ended} had ended, ${counts.refused} refused`,
      ])
      if (!isWhole) terminal.exitWith(exitCode('interrupted'))
      else if (counts.refused > 0) terminal.exitWith(exitCode('linesRefused'))
    }),
  )
}

class Import {
  readonly counts: Counts = { lines: 0, revoked: 0, unchanged: 0, ended: 0, refused: 0 }
  /** It has done lines itself, after those that were done before. */
  hasBegun = false
  readonly #state: StateFile | undefined
  readonly #from: number
  /** Over all lines that are done: a state goes on with these alone. */
  readonly #hash = createHash('sha256')
  #writtenAt = -Infinity

  constructor(
    private readonly backend: Backend,
    { from, state }: { readonly from: number; readonly state?: string },
    private readonly bar: Progress,
    private readonly now: () => number,
    private readonly tell: (outcome: Refused) => void,
  ) {
    this.#state = state === undefined ? undefined : new StateFile(state)
    this.#from = from
  }

  /** True when the input was read to its end; false when it was stopped before, after a whole batch. */
  async run(input: Readable, signal: AbortSignal): Promise<boolean> {
    // What waits for a slow standard input is ended too.
    signal.addEventListener('abort', () => input.destroy(), { once: true })
    const before = this.#state?.read()
    const skip = before?.lines ?? this.#from - 1
    const assertSame = () => {
      if (before !== undefined && before.of !== this.#digest()) throw otherState()
    }
    if (skip === 0) assertSame()
    let batch: Line[] = []
    try {
      for await (const line of linesOf(input as AsyncIterable<Buffer>)) {
        if (line.number <= skip) {
          this.#pass(line)
          if (line.number === skip) assertSame()
          continue
        }
        batch.push(line)
        if (batch.length < BULK_LINES) continue
        await this.#do(batch)
        batch = []
        if (signal.aborted) break
      }
    } catch (error) {
      // An input that was destroyed ends so.
      if (!signal.aborted) throw error
    }
    const isPast = this.counts.lines >= skip
    if (signal.aborted) {
      if (isPast) this.#write(false)
      return false
    }
    if (before !== undefined && !isPast) throw otherState()
    if (batch.length > 0) await this.#do(batch)
    this.#write(true)
    return true
  }

  async #do(batch: readonly Line[]): Promise<void> {
    const wishes: BulkLine[] = []
    const outcomes: BulkOutcome[] = []
    for (const line of batch) {
      if (line.text?.trim() === '') continue
      const read = readBulkLine(line, this.now() / 1000)
      if ('wish' in read) wishes.push(read.wish)
      else outcomes.push(read.outcome)
    }
    // A line that is done twice is done once.
    if (wishes.length > 0) outcomes.push(...(await retrying(() => this.backend.revokeMany(wishes))))
    for (const outcome of outcomes.sort((a, b) => a.line - b.line)) {
      this.counts[outcome.status]++
      if (outcome.status === 'refused') this.tell(outcome)
    }
    for (const line of batch) this.#pass(line)
    this.hasBegun = true
    const last = batch.at(-1) as Line
    this.bar.update(last.bytes, last.number)
    if (performance.now() - this.#writtenAt > STATE_PERIOD_MS) this.#write(false)
  }

  #pass({ number, text, problem }: Line): void {
    this.#hash.update(`${text ?? problem}\n`)
    this.counts.lines = number
  }

  #digest(): string {
    return this.#hash.copy().digest('base64url')
  }

  #write(isDone: boolean): void {
    this.#writtenAt = performance.now()
    this.#state?.write({ of: this.#digest(), lines: this.counts.lines, isDone })
  }
}

/** The first line to do. Throws before anything is opened or shown. */
function beginOf({ from = '1', state }: Flags): number {
  if (!/^[1-9]\d{0,14}$/.test(from)) throw usage('--from takes the number of a line, from 1')
  if (from !== '1' && state !== undefined) throw usage('give --from or --state: the state says from where')
  return Number(from)
}

function goOn({ state }: Flags, lines: number): string {
  return `${lines} lines are done. Go on with ${state === undefined ? `--from ${lines + 1}` : 'the same command'}; doing lines again is safe.`
}

function sizeOf(path: string): number {
  try {
    accessSync(path, constants.R_OK)
    const about = statSync(path)
    if (about.isFile()) return about.size
  } catch {
    // Told below.
  }
  throw usage('the file to import cannot be read: name one that is there, and that you may read')
}
