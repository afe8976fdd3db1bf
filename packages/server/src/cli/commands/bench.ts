/**
 * `rescind bench`: how many checks a second this machine and this store do. Claims of nobody are asked about, so it writes
 * nothing; each is asked about once, so nothing is remembered from the time before.
 */
import type { Command } from 'commander'
import type { Claims } from 'rescind'
import type { Checkers } from '../backend/backend.js'
import { addBackendFlags } from '../backend/flags.js'
import { usage } from '../failure.js'
import { onBackend } from '../run.js'
import type { Terminal } from '../terminal.js'

interface Flags {
  readonly seconds: string
  readonly concurrency: string
}

interface Figures {
  readonly checksPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const SECONDS_NORMAL = 2
const CONCURRENCY_NORMAL = 32
/** The clock is read once for so many checks from memory. */
const MEMORY_ROUND = 1000
/** Times that are kept for the percentiles. */
const SAMPLES_MAX = 200_000

export function addBench(program: Command, terminal: Terminal): void {
  const command = program
    .command('bench')
    .description('checks a second, from memory and through the store; writes nothing')
    .option('--seconds <count>', 'how long for each', String(SECONDS_NORMAL))
    .option('--concurrency <count>', 'checks in flight, through the store', String(CONCURRENCY_NORMAL))
  addBackendFlags(command).action(
    onBackend<Flags>(
      terminal,
      async ({ backend, output, flags }) => {
        const seconds = count('--seconds', flags.seconds, 60)
        const concurrency = count('--concurrency', flags.concurrency, 1024)
        const checkers = await backend.checkers()
        const memory = checkers.memory && timeMemory(checkers.memory, seconds)
        const strict = await timeStrict(checkers.strict, seconds, concurrency)
        const rows = [
          ...(memory === undefined ? [] : [rowOf('from memory, one at a time', memory)]),
          rowOf(`through the store, ${concurrency} in flight`, strict),
        ]
        output.answer({ entries: checkers.entries, seconds, concurrency, memory, strict }, () => [
          `${backend.place}, ${checkers.entries} revocations in memory, Node.js ${process.version}`,
          ...output.table(['CHECKS', 'A SECOND', 'P50', 'P99'], rows),
        ])
      },
      () => ({ replica: true }),
    ),
  )
}

let asked = 0

function nobody(): Claims {
  asked++
  return { iss: 'https://bench.example', jti: `bench-${asked}`, sub: `nobody-${asked}`, iat: 1 }
}

function timeMemory(check: NonNullable<Checkers['memory']>, seconds: number): Figures {
  const times: number[] = []
  const begun = performance.now()
  let checks = 0
  let spentMs = 0
  while (performance.now() - begun < seconds * 1000) {
    const claims = Array.from({ length: MEMORY_ROUND }, nobody)
    const from = performance.now()
    for (const one of claims) check(one)
    const roundMs = performance.now() - from
    spentMs += roundMs
    checks += MEMORY_ROUND
    times.push(roundMs / MEMORY_ROUND)
  }
  return figures(checks, spentMs, times)
}

async function timeStrict(check: Checkers['strict'], seconds: number, concurrency: number): Promise<Figures> {
  await check(nobody())
  const times: number[] = []
  const begun = performance.now()
  let checks = 0
  const work = async () => {
    while (performance.now() - begun < seconds * 1000) {
      const from = performance.now()
      await check(nobody())
      checks++
      if (times.length < SAMPLES_MAX) times.push(performance.now() - from)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  return figures(checks, performance.now() - begun, times)
}

function figures(checks: number, ms: number, times: number[]): Figures {
  times.sort((a, b) => a - b)
  const at = (part: number) => round(times[Math.floor(part * (times.length - 1))] ?? 0)
  return { checksPerSecond: Math.round((checks / ms) * 1000), p50Ms: at(0.5), p99Ms: at(0.99) }
}

function rowOf(name: string, { checksPerSecond, p50Ms, p99Ms }: Figures): string[] {
  return [name, checksPerSecond.toLocaleString('en'), `${p50Ms} ms`, `${p99Ms} ms`]
}

function round(ms: number): number {
  return Number(ms.toPrecision(3))
}

function count(flag: string, text: string, max: number): number {
  const value = Number(text)
  if (!/^\d{1,4}$/.test(text) || value < 1 || value > max)
    throw usage(`${flag} takes a whole number from 1 to ${max}`)
  return value
}
