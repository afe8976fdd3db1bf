#!/usr/bin/env node
/** The command, as a process: environment, arguments, signals and exit code stand here and nowhere else. */
import { hostname, userInfo } from 'node:os'
import { runProgram } from './cli/program.js'

// An answer to a pipe that nobody reads any more, as with `| head`, was wanted by nobody: that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit()
  throw error
})
// What is said beside the answer may go unheard: the work goes on, and its exit code tells.
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})

await runProgram(process.argv.slice(2), {
  env: process.env,
  input: process.stdin,
  print: (line) => process.stdout.write(`${line}\n`),
  warn: (line) => process.stderr.write(`${line}\n`),
  errors: process.stderr,
  isHuman: process.stdout.isTTY === true,
  isErrorHuman: process.stderr.isTTY === true,
  now: Date.now,
  user: whoAmI,
  onStop: (stop) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())
  },
  exitWith: (code) => (process.exitCode = code),
})

function whoAmI(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    // A user of a container may have no name.
    return `${process.getuid?.() ?? 'unknown'}@${hostname()}`
  }
}
