/** An example as a stranger runs it: its one command in a shell, the lines that it prints, and Ctrl+C. */
import { type ChildProcess, execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { spawnLeashed } from '../../packages/rescind/test/support/leash.js'
import { until } from '../../packages/rescind/test/support/until.js'

const ROOT = join(import.meta.dirname, '../..')
const BUILD = 'npm run --silent build && '
/** The first start on a machine may have to fetch a program. */
const START_TIMEOUT_MS = 150_000
const LINES_TIMEOUT_MS = 40_000

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
}
const script = scripts.example ?? ''
if (!script.startsWith(BUILD)) throw new Error(`npm run example must begin with: ${BUILD}`)

/** What `npm run example -- NAME` runs, but for the build, which is done before the tests. */
export const commandOf = (name: string): string => `${script.slice(BUILD.length)} ${name}`

export class Example implements AsyncDisposable {
  output = ''
  readonly #ended: Promise<number | null>

  private constructor(private readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()))
    // When all that it started has closed its output too.
    this.#ended = once(child, 'close').then(([code]) => code as number | null)
  }

  /** Resolves when it has printed all its lines. */
  static async start(name: string, env: Record<string, string> = {}): Promise<Example> {
    const { REDIS_URL: _, ...inherited } = process.env
    const child = spawnLeashed('sh', ['-c', `exec ${commandOf(name)}`], {
      cwd: ROOT,
      env: { ...inherited, PORT: '0', ...env },
      // A group of its own, as a shell gives to each command.
      detached: true,
    })
    const example = new Example(child)
    await until(() => example.output.endsWith('\n\n') || child.exitCode !== null, {
      what: `the lines of ${name}`,
      timeoutMs: START_TIMEOUT_MS,
    }).catch(async (error: unknown) => {
      await example[Symbol.asyncDispose]()
      throw error
    })
    return example
  }

  /** The lines to type, in order. */
  get lines(): readonly string[] {
    return this.output
      .split('\n')
      .filter((line) => /^ {2}\S/.test(line))
      .map((line) => line.trim())
  }

  /** Ends as Ctrl+C in a terminal ends it: the whole group is told. Resolves with the exit code. */
  async interrupt(): Promise<number | null> {
    this.#signal('SIGINT')
    return this.#ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal('SIGKILL')
    await this.#ended
  }

  #signal(name: NodeJS.Signals): void {
    try {
      process.kill(-(this.child.pid as number), name)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}

export interface Typed {
  readonly output: string
  /** Of the answers, in order. */
  readonly statuses: readonly number[]
}

/** Types lines into one shell, one after the other. */
export async function type(lines: readonly string[]): Promise<Typed> {
  const quiet = lines.join('\n').replaceAll('curl -i', 'curl -s -i')
  const { stdout } = await promisify(execFile)('sh', ['-c', quiet], { timeout: LINES_TIMEOUT_MS })
  const statuses = [...stdout.matchAll(/HTTP\/1\.[01] (\d+)/g)].map(([, status]) => Number(status))
  return { output: stdout, statuses }
}
