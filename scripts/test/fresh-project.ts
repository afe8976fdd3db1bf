/** A project of a stranger: a folder outside of this repository, with what npm installs into it and nothing else. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import type { LocalRegistry } from '../local-registry.js'
import { StartedProgram } from '../started-program.js'
import { strangerEnvironment } from '../stranger-environment.js'

const run = promisify(execFile)
const INSTALL_TIMEOUT_MS = 200_000
const RUN_TIMEOUT_MS = 120_000
const START_TIMEOUT_MS = 60_000
const ROOT = resolve(import.meta.dirname, '../..')
const NPM_FLAGS = ['--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', '--loglevel=error']

/** A package in `package-lock.json`. */
export interface LockedPackage {
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
}

export class FreshProject {
  private constructor(
    readonly folder: string,
    private readonly registry: LocalRegistry,
  ) {}

  /** `fixture`: a folder of `fixtures/fresh` that is copied into it. */
  static async make(folder: string, registry: LocalRegistry, fixture?: string): Promise<FreshProject> {
    await mkdir(folder, { recursive: true })
    if (fixture !== undefined) await cp(join(ROOT, 'fixtures/fresh', fixture), folder, { recursive: true })
    return new FreshProject(folder, registry)
  }

  /** Without install scripts: nothing may need one. */
  async install(...args: readonly string[]): Promise<void> {
    await this.run('npm', 'install', ...NPM_FLAGS, '--registry', this.registry.url, ...args)
  }

  /** By its name, what npm has installed for use at run time. */
  async installed(): Promise<ReadonlyMap<string, LockedPackage>> {
    const text = await readFile(join(this.folder, 'package-lock.json'), 'utf8')
    const { packages } = JSON.parse(text) as { packages: Record<string, LockedPackage> }
    const entries = Object.entries(packages).filter(([path, { dev }]) => path !== '' && dev !== true)
    return new Map(entries.map(([path, locked]) => [path.replace(/^.*node_modules\//, ''), locked]))
  }

  /** Compiles with the project's own TypeScript where it has one, otherwise with that of this repository. */
  async compile(...flags: readonly string[]): Promise<void> {
    const own = join(this.folder, 'node_modules/typescript/bin/tsc')
    const compiler = existsSync(own) ? own : join(ROOT, 'node_modules/typescript/bin/tsc')
    await this.run(process.execPath, compiler, '--project', '.', ...flags)
  }

  /** The standard output. Throws with both outputs where the exit code is not 0. */
  async run(file: string, ...args: readonly string[]): Promise<string> {
    const timeout = file === 'npm' ? INSTALL_TIMEOUT_MS : RUN_TIMEOUT_MS
    const { stdout } = await run(file, args, { cwd: this.folder, env: strangerEnvironment(), timeout }).catch(
      (error: Error & { stdout: string }) => {
        throw new Error(`${error.message}\n${error.stdout}`, { cause: error })
      },
    )
    return stdout
  }

  /** Starts a program that prints where it listens; the URL, and how to end it. */
  async serve(path: string): Promise<{ readonly url: string; readonly program: StartedProgram }> {
    const program = new StartedProgram(process.execPath, [path], {
      cwd: this.folder,
      env: { ...strangerEnvironment(), PORT: '0' },
    })
    try {
      const [, url = ''] = await program.printed(/listens on (http:\S+)/, START_TIMEOUT_MS)
      return { url, program }
    } catch (error) {
      await program[Symbol.asyncDispose]()
      throw error
    }
  }
}
