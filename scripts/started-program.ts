/** A program that was started, what it has printed until now, and its end, with all that it started itself. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

const STOP_TIMEOUT_MS = 10_000

export interface StartOptions {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
}

export class StartedProgram implements AsyncDisposable {
  /** Both outputs, as they came. */
  output = ''
  /** It has ended, or never begun, and there is no more output. */
  private hasEnded = false
  private readonly child: ChildProcess
  private readonly ended: Promise<unknown>
  private readonly listeners = new Set<() => void>()

  constructor(file: string, args: readonly string[], { cwd, env }: StartOptions) {
    // A group of its own, so that what it starts ends with it.
    this.child = spawn(file, args, {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
        this.tellListeners()
      })
    this.ended = once(this.child, 'close').finally(() => {
      this.hasEnded = true
      this.tellListeners()
    })
    // Whoever waits for it hears of a failure to start.
    this.ended.catch(() => undefined)
  }

  /** Resolves when it has printed what matches. Throws, with all it has printed, when it ends or `timeoutMs` pass before. */
  async printed(pattern: RegExp, timeoutMs: number): Promise<RegExpMatchArray> {
    const deadline = AbortSignal.timeout(timeoutMs)
    for (;;) {
      const match = pattern.exec(this.output)
      if (match !== null) return match
      if (deadline.aborted) throw new Error(`Not printed within ${timeoutMs} ms: ${pattern}\n${this.output}`)
      if (this.hasEnded) throw new Error(`It ended, and did not print ${pattern}:\n${this.output}`)
      await this.change(deadline)
    }
  }

  private change(deadline: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.listeners.delete(done)
        deadline.removeEventListener('abort', done)
        resolve()
      }
      this.listeners.add(done)
      deadline.addEventListener('abort', done)
    })
  }

  private tellListeners(): void {
    for (const listener of this.listeners) listener()
  }

  /** Asks it to end, and all that it has started; and ends them, where they do not. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.hasEnded) return
    this.signal('SIGTERM')
    const timer = setTimeout(() => this.signal('SIGKILL'), STOP_TIMEOUT_MS)
    await this.ended
    clearTimeout(timer)
  }

  private signal(name: NodeJS.Signals): void {
    try {
      process.kill(-this.child.pid!, name)
    } catch {
      // It has ended meanwhile.
    }
  }
}
