/**
 * What a command says: tables and sentences for people, JSON for programs. Notes go to the standard error, so that what a
 * program reads is never mixed with them. What comes from a store is printed without control characters.
 */
import Table from 'cli-table3'
import pico from 'picocolors'
import type { Environment } from 'rescind'
import type { Terminal } from './terminal.js'

export interface OutputFlags {
  readonly json?: boolean
  /** Commander's `--no-color`. */
  readonly color?: boolean
}

type Colors = ReturnType<typeof pico.createColors>

/** A cell that is longer is cut, on a terminal. */
const CELL_LENGTH_MAX = 60

export class Output {
  readonly isJson: boolean
  readonly colors: Colors
  readonly #terminal: Terminal

  constructor(terminal: Terminal, flags: OutputFlags) {
    this.#terminal = terminal
    this.isJson = flags.json === true
    this.colors = pico.createColors(
      !this.isJson && flags.color !== false && wantsColors(terminal.env, terminal.isHuman),
    )
  }

  /** One object for a program; what `human` says for people. */
  answer(value: unknown, human: () => readonly string[]): void {
    if (this.isJson) this.#terminal.print(JSON.stringify(value))
    else for (const line of human()) this.#terminal.print(line)
  }

  /** The same line for both. */
  line(text: string): void {
    this.#terminal.print(text)
  }

  /** For people only, beside the answer. */
  note(text: string): void {
    if (!this.isJson) this.#terminal.warn(text)
  }

  /** What should be known and is no failure, for programs too. */
  warning(message: string): void {
    this.#terminal.warn(this.isJson ? JSON.stringify({ warning: { message } }) : message)
  }

  /** Columns without a frame, as wide as they must be. */
  table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
    if (rows.length === 0) return []
    return this.#lines([
      head.map((title) => this.colors.bold(title)),
      ...rows.map((row) => this.#cutAll(row)),
    ])
  }

  /** The same for plain rows that come in pieces, under one head: a column never gets narrower again. */
  tableInPieces(head: readonly string[]): (rows: readonly (readonly string[])[]) => string[] {
    const widths = head.map(({ length }) => length)
    let isBegun = false
    return (rows) => {
      if (rows.length === 0) return []
      const cut = rows.map((row) => this.#cutAll(row))
      for (const row of cut)
        for (const [i, { length }] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, length)
      const padded = cut.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)))
      const top = isBegun ? [] : [head.map((title) => this.colors.bold(title))]
      isBegun = true
      return this.#lines([...top, ...padded])
    }
  }

  #lines(rows: readonly (readonly string[])[]): string[] {
    const gap = '  '
    const table = new Table({
      chars: {
        ...{ top: '', 'top-mid': '', 'top-left': '', 'top-right': '' },
        ...{ bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '' },
        ...{ left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: gap },
      },
      style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
    })
    for (const row of rows) table.push([...row])
    return table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd())
  }

  /** Names and what they are, one a line. */
  pairs(pairs: readonly (readonly [name: string, value: string])[]): string[] {
    const width = Math.max(...pairs.map(([name]) => name.length))
    return pairs.map(([name, value]) => `${this.colors.dim(name.padEnd(width))}  ${value}`)
  }

  #cutAll(row: readonly string[]): string[] {
    return row.map((cell) => this.#cut(cell))
  }

  #cut(cell: string): string {
    const isPlain = !cell.includes('\u001b')
    return this.#terminal.isHuman && isPlain && cell.length > CELL_LENGTH_MAX
      ? `${cell.slice(0, CELL_LENGTH_MAX - 1)}…`
      : cell
  }
}

/** https://no-color.org: any text that is not empty. */
function wantsColors(env: Environment, isTerminal: boolean): boolean {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR && env.FORCE_COLOR !== '0') return true
  return isTerminal && env.TERM !== 'dumb'
}

/** A text of somebody else, so that it cannot steer the terminal: control and direction characters are replaced. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '\ufffd')
}
