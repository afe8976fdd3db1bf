/**
 * Nothing outlives this process: what it starts and what it leaves on the disk goes when it goes, whether it
 * ends well, fails, is told to end (as Vitest tells its workers) or, on Linux, is killed outright.
 */
import { type ChildProcess, spawn, spawnSync, type SpawnOptions } from 'node:child_process'

const cleanups = new Set<() => void>()

process.on('exit', cleanUp)
// By default these end a process without its 'exit' event. Sent again, they do so; process.exit() would not,
// because Vitest replaces it by a function that throws.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.once(signal, () => {
    // Who else listens ends the process in an order of their own, and 'exit' comes after it.
    if (process.listenerCount(signal) > 0) return
    cleanUp()
    process.kill(process.pid, signal)
  })
}

/** What came last goes first: a server ends before the folder goes that it was started in. */
function cleanUp(): void {
  for (const cleanup of [...cleanups].reverse()) {
    try {
      cleanup()
    } catch {
      // One that fails must not keep the others from their turn, and nobody is left to be told.
    }
  }
  cleanups.clear()
}

/** Has `cleanup`, which cannot wait for anything, called when this process ends. Returns how to call it off. */
export function whenThisProcessEnds(cleanup: () => void): () => void {
  cleanups.add(cleanup)
  return () => cleanups.delete(cleanup)
}

/** Starts a child that dies with this process, even when that is killed by SIGKILL and can run nothing more. */
export function spawnLeashed(command: string, args: string[], options: SpawnOptions): ChildProcess {
  const child = canTieToParent()
    ? spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], options)
    : spawn(command, args, options)
  const callOff = whenThisProcessEnds(() => child.kill('SIGKILL'))
  child.once('exit', callOff)
  return child
}

let tieToParent: boolean | undefined

/** setpriv comes with util-linux; it replaces itself by the command, which so keeps the child's pid. */
function canTieToParent(): boolean {
  tieToParent ??= spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0
  return tieToParent
}
