/**
 * The blocks of code in a page of the documentation. Each runs as it stands, and prints what its comments say: a line
 * after `// →` or `# →`, in which `…` stands for anything.
 */
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'vitest'
import { whenThisProcessEnds } from './leash.js'
import { PATIENCE_MS, PATIENT_ENV } from './patient.js'

export interface Block {
  /** As the fence says: `ts`, `sh`, `python`. */
  readonly language: string
  readonly code: string
  /** Of the fence, from 1. */
  readonly line: number
}

const TIMEOUT_MS = 30_000
const ROOT = join(import.meta.dirname, '../../../..')
const execute = promisify(execFile)

export async function readBlocks(path: string, languages: readonly string[]): Promise<Block[]> {
  const page = await readFile(path, 'utf8')
  return [...page.matchAll(/^```(\w+)\n([^]*?)^```/gm)]
    .map(({ 1: language = '', 2: code = '', index }) => {
      return { language, code, line: page.slice(0, index).split('\n').length }
    })
    .filter(({ language }) => languages.includes(language))
}

/** Programs in a folder inside a package, so that what they import resolves as in an application. */
export class Programs implements AsyncDisposable {
  private constructor(
    readonly folder: string,
    /** What the compiler has found, by the rules of this repository; empty when all is well. */
    readonly problems: string,
    private readonly callOff: () => void,
  ) {}

  /**
   * Compiles all at once, which is faster than to have each compiled when it runs. The folder is a new one whose name
   * begins so, and is removed.
   */
  static async compile(
    prefix: string,
    programs: ReadonlyMap<string, Block>,
    { hasLegacyDecorators = false } = {},
  ): Promise<Programs> {
    const folder = await mkdtemp(prefix)
    const callOff = whenThisProcessEnds(() => rmSync(folder, { recursive: true, force: true }))
    for (const [name, { code }] of programs) await writeFile(join(folder, `${name}.ts`), code)
    const config = {
      extends: join(ROOT, 'tsconfig.base.json'),
      compilerOptions: { noEmit: false, experimentalDecorators: hasLegacyDecorators },
      include: ['*.ts'],
    }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
    // It ends with a failure where it finds something.
    const { stdout } = await execute(process.execPath, [compiler, '-p', folder]).catch(
      (error: { stdout: string }) => error,
    )
    return new Programs(folder, stdout, callOff)
  }

  /** What runs this program. */
  command(name: string): [string, ...string[]] {
    return [process.execPath, join(this.folder, `${name}.js`)]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
    this.callOff()
  }
}

/** Runs a program, and expects the lines that the block tells, all of them and nothing on the standard error. */
export async function expectToPrint(
  block: Block,
  command: readonly [string, ...string[]],
  options: { readonly env: NodeJS.ProcessEnv; readonly cwd?: string },
): Promise<void> {
  const [file, ...args] = command
  const env = { ...options.env, ...PATIENT_ENV, RESCIND_STALENESS_MAX_MS: String(PATIENCE_MS) }
  const { stdout, stderr } = await execute(file, args, { ...options, env, timeout: TIMEOUT_MS })
  const printed = stdout
    .trim()
    .split('\n')
    .map((line) => line.trimEnd())
  const wanted = [...block.code.matchAll(/(?:\/\/|#) → (.*)$/gm)].map(([, line]) => line as string)
  expect(wanted.length).toBeGreaterThan(0)
  // As they are, where they fit: then a failure shows the two texts.
  expect(printed.map((line, i) => (fits(line, wanted[i] ?? '') ? wanted[i] : line))).toEqual(wanted)
  expect(stderr).toBe('')
}

function fits(line: string, wanted: string): boolean {
  const parts = wanted.split('…').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(line)
}
