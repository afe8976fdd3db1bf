/**
 * Reading settings from environment variables. Each variable may also be given as `NAME_FILE`, the path of a
 * file that holds it (mounted secrets). Problems are collected, so that one error reports them all; they name
 * the variable and never its value.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { RescindError } from './errors.js'

/** Environment variables, such as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A secret or certificate file larger than this is a mistake. */
const FILE_BYTES_MAX = 1024 * 1024
/** Of a name that nobody knows so many characters are told. */
const NAME_SHOWN_MAX = 40

export class EnvironmentReader {
  readonly problems: string[] = []
  readonly #env: Environment

  constructor(env: Environment) {
    this.#env = env
  }

  /** The text of a variable, or of its file; undefined when neither is set. An empty variable is not set. */
  text(name: string): string | undefined {
    const value = this.#env[name]
    const path = this.#env[`${name}_FILE`]
    if (path === undefined || path === '') return value === '' ? undefined : value
    if (value !== undefined && value !== '') {
      this.problem(`${name} and ${name}_FILE are both set; keep one`)
      return undefined
    }
    return this.#file(name, path)
  }

  has(name: string): boolean {
    return [name, `${name}_FILE`].some((key) => this.#env[key] !== undefined && this.#env[key] !== '')
  }

  integer(name: string, range: { min: number; max: number }): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const value = Number(text)
    if (!/^\d{1,15}$/.test(text) || value < range.min || value > range.max) {
      this.problem(`${name} must be a whole number from ${range.min} to ${range.max}`)
      return undefined
    }
    return value
  }

  boolean(name: string): boolean | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    if (/^(1|true|yes|on)$/i.test(text)) return true
    if (/^(0|false|no|off)$/i.test(text)) return false
    this.problem(`${name} must be true or false`)
    return undefined
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    const found = values.find((value) => value === text)
    if (found === undefined) this.problem(`${name} must be one of: ${values.join(', ')}`)
    return found
  }

  problem(text: string): void {
    this.problems.push(text)
  }

  /** Throws `ERR_CONFIG_INVALID` with every problem found so far. */
  finish(): void {
    throwProblems(this.problems)
  }

  #file(name: string, path: string): string | undefined {
    try {
      const text = readSmallFile(path)
      // Editors and `echo` end a file with a line break that is no part of the secret.
      const value = text.replace(/\r?\n$/, '')
      if (value !== '') return value
      this.problem(`${name}_FILE names an empty file`)
    } catch {
      this.problem(`${name}_FILE names a file that cannot be read (or is over ${FILE_BYTES_MAX} bytes)`)
    }
    return undefined
  }
}

/** Throws for what is no file, such as a device without an end or a pipe that nobody writes to, and for a large one. */
function readSmallFile(path: string): string {
  // Without O_NONBLOCK, opening a pipe waits for whoever writes to it.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const about = fstatSync(file)
    if (!about.isFile() || about.size > FILE_BYTES_MAX) throw new Error('not a small file')
    return readFileSync(file, 'utf8')
  } finally {
    closeSync(file)
  }
}

/** The options that nobody knows: a program in JavaScript that misspells one would go without it, in silence. */
export function unknownOptions(options: object, known: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(options)
    .filter((name) => !Object.hasOwn(known, name))
    .map((name) => `"${name.slice(0, NAME_SHOWN_MAX)}" is not an option`)
}

/** What is wrong with the numbers among options: each that is given must be a whole number of its range. */
export function numberProblems(
  options: object,
  ranges: Readonly<Record<string, { readonly min: number; readonly max: number }>>,
): string[] {
  const values: Readonly<Record<string, unknown>> = { ...options }
  return Object.entries(ranges).flatMap(([name, { min, max }]) => {
    const value = values[name]
    const isFine = Number.isInteger(value) && (value as number) >= min && (value as number) <= max
    return value === undefined || isFine ? [] : [`${name} must be a whole number from ${min} to ${max}`]
  })
}

/** One error for all problems of a configuration; nothing when there are none. */
export function throwProblems(problems: readonly string[]): void {
  if (problems.length === 0) return
  throw new RescindError(
    'ERR_CONFIG_INVALID',
    `The configuration cannot be used:\n- ${problems.join('\n- ')}`,
    {
      problems,
    },
  )
}
