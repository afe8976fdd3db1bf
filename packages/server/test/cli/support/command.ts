/**
 * The command, in two ways: `run` and `runJson` call it in this process, which takes a hundredth of the time that a
 * process needs to start; `start` and `runBash` run the built one, as its users do, where signals, pipes and terminals
 * matter. No output of it may hold a part of a token.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { PassThrough, Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { vi } from 'vitest'
import { containsToken } from '../../../../rescind/test/support/canary.js'
import { runProgram } from '../../../src/cli/program.js'
import type { Terminal } from '../../../src/cli/terminal.js'

// Each command is a process that has to start: on a busy machine a test of many takes its time.
vi.setConfig({ testTimeout: 120_000 })

export const MAIN = fileURLToPath(new URL('../../../dist/main.mjs', import.meta.url))

export interface RunOptions {
  readonly env?: Readonly<Record<string, string | undefined>>
  /** The standard input. Default: nothing. */
  readonly input?: string
  readonly cwd?: string
}

export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly out: string
  readonly err: string
}

export class Running {
  out = ''
  err = ''
  readonly ended: Promise<Ran>

  constructor(readonly child: ChildProcessWithoutNullStreams) {
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.out += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.err += text))
    // Whoever ends before it has read its input closes the pipe.
    child.stdin.on('error', () => undefined)
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code, signal) => {
        const { out, err } = this
        if (containsToken(out + err)) reject(new Error('the command has written a part of a token'))
        else resolve({ code, signal, out, err })
      })
    })
  }
}

/** Starts it; the standard input stays open. */
export function start(args: readonly string[], options: RunOptions = {}): Running {
  return startProgram(process.execPath, [MAIN, ...args], options)
}

function startProgram(program: string, args: readonly string[], options: RunOptions): Running {
  if (!existsSync(MAIN)) throw new Error('the command is not built: npm run build -w @rescind/server')
  const { PATH, HOME } = process.env
  const env = { PATH, HOME, ...options.env }
  return new Running(spawn(program, args, { env, cwd: options.cwd, stdio: 'pipe' }))
}

/** A line of bash, in which `"$@"` is the command. */
export function runBash(line: string, options: RunOptions = {}): Promise<Ran> {
  return toTheEnd(
    startProgram('bash', ['--norc', '-c', line, 'bash', process.execPath, MAIN], options),
    options,
  )
}

function toTheEnd(running: Running, { input = '' }: RunOptions): Promise<Ran> {
  running.child.stdin.end(input)
  return running.ended
}

export async function run(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  // A process alone has a working folder.
  if (options.cwd !== undefined) return toTheEnd(start(args, options), options)
  const errors = new PassThrough({ encoding: 'utf8' })
  let code = 0
  let out = ''
  let err = ''
  errors.on('data', (text: string) => (err += text))
  const { PATH, HOME } = process.env
  const terminal: Terminal = {
    env: { PATH, HOME, ...options.env },
    input: Readable.from(options.input === undefined ? [] : [Buffer.from(options.input)]),
    print: (line) => (out += `${line}\n`),
    warn: (line) => (err += `${line}\n`),
    errors,
    isHuman: false,
    isErrorHuman: false,
    now: Date.now,
    user: () => 'tester@here',
    onStop: () => undefined,
    exitWith: (told) => (code = told),
  }
  await runProgram(args, terminal)
  if (containsToken(out + err)) throw new Error('the command has written a part of a token')
  return { code, signal: null, out, err }
}

/** The same with `--json`: what it answers, as data. Throws where it fails. */
export async function runJson(
  args: readonly string[],
  options: RunOptions = {},
): Promise<Record<string, unknown>> {
  const { code, out, err } = await run([...args, '--json'], options)
  if (code !== 0) throw new Error(`rescind ${args.join(' ')} ended with ${code}: ${err}`)
  return JSON.parse(out) as Record<string, unknown>
}
