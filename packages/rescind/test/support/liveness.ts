/** Whether a process still runs, asked from outside. */
import { readFileSync } from 'node:fs'

const PAUSE_MS = 10

/** A zombie has ended; only its parent, which may be gone too, has not asked for its code. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    // One that is not ours lives as well.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    // No /proc to ask, or it ended in between.
    return process.platform !== 'linux'
  }
}

/** Holds this thread up until the process has ended, for whoever may no longer wait; `timeoutMs` at most. */
export function holdUntilEnded(pid: number, timeoutMs: number): void {
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  const deadline = performance.now() + timeoutMs
  while (isAlive(pid) && performance.now() < deadline) Atomics.wait(sleeper, 0, 0, PAUSE_MS)
}
