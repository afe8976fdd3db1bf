/** The benchmarks as they are run: over the command line, small. Nothing here asserts a speed. */
import type { ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { spawnLeashed } from '../../packages/rescind/test/support/leash.js'
import { isAlive } from '../../packages/rescind/test/support/liveness.js'
import { namedBy } from '../../packages/rescind/test/support/net-namespaces.js'
import { until } from '../../packages/rescind/test/support/until.js'
import { BENCHMARKS } from '../src/benchmarks.js'
import { postgresVersion } from '../src/postgres-server.js'
import { profileGate, profileToMarkdown } from '../src/profile.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const runTimeoutMs = 120_000
const canLook = existsSync('/proc/self/task') || 'this system tells nobody of children'

let temporaryDir: string

beforeEach(async () => {
  temporaryDir = await mkdtemp(join(tmpdir(), 'rescind-bench-'))
  // PostgreSQL, which does not run as root, must be able to reach its folder in it.
  await chmod(temporaryDir, 0o755)
  // What tsx has compiled before serves here too.
  const cache = `tsx-${process.getuid?.() ?? ''}`
  if (existsSync(join(tmpdir(), cache))) await symlink(join(tmpdir(), cache), join(temporaryDir, cache))
})

afterEach(() => rm(temporaryDir, { recursive: true, force: true }))

interface Ended {
  code: number | null
  signal: string | null
  stdout: string
  stderr: string
}

function start(args: string[]): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawnLeashed(process.execPath, ['--import', 'tsx', main, ...args], {
    cwd: root,
    env: { ...process.env, TMPDIR: temporaryDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  // One that takes too long would be in the way of all that comes after it, and the folder goes that it is in.
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, ended }
}

const run = (...args: string[]) => start(args).ended

/** What a run has left in its temporary folder; tsx keeps its own cache there. */
const leftovers = () => readdirSync(temporaryDir).filter((name) => !/^tsx-|^node-/.test(name))

interface ResultOfRun {
  system: string
  median: number
  min: number
  max: number
  cpu?: number
  serverCpu?: number
  figures?: Record<string, { median: number }>
}

/** A machine that stops the process for a second makes its replica stale; then it asks, a few times. */
function expectChecks(system: string, figure: (name: string) => number, isAsked: boolean): void {
  const expected = expect(figure('redisChecks'), `questions to Redis of ${system}`)
  if (isAsked) expected.toBe(1)
  else expected.toBeLessThan(0.1)
}

/** What shows that a system did its work. Never a time. */
const PROOFS: Record<string, (system: string, figure: (name: string) => number) => void> = {
  check: (system, figure) => {
    if (/^(string-set|bare-probe|pg)/.test(system)) return
    const isAsked = /^(ioredis|rescind-strict|node-redis)/.test(system) && !system.endsWith('cache-hit')
    expectChecks(system, figure, isAsked)
  },
  gate: (system, figure) => {
    if (/^(jose|fast-jwt)/.test(system)) return
    expectChecks(system, figure, !system.startsWith('rescind'))
  },
  http: (system, figure) => {
    const checks = figure('redisChecksPerRequest')
    if (system.endsWith('naive')) expect(checks).toBeGreaterThanOrEqual(1)
    // A machine that stops the process for a second makes its replica stale; then it asks.
    else expect(checks).toBeLessThan(0.1)
    if (system.endsWith('rescind')) expect(figure('redisPollsPerSecond')).toBeGreaterThan(0)
  },
  service: (system, figure) => {
    const calls = figure('redisCallsPerRequest')
    if (/^(revoke|oidc-provider)/.test(system)) expect(calls).toBeGreaterThanOrEqual(1)
    // Nothing but polls of the log.
    else expect(calls).toBeLessThan(0.5)
  },
  propagation: (_, figure) => expect(figure('refusals')).toBeGreaterThanOrEqual(2),
  bootstrap: (_, figure) => expect(figure('entries')).toBeGreaterThanOrEqual(1000),
  fanout: (system, figure) => {
    if (!system.startsWith('replicas-0')) expect(figure('commandsPerSecond')).toBeGreaterThan(0)
  },
}

/** Where a part shows as much as the whole. */
const ONLY: Record<string, string> = {
  gate: 'ES256',
  http: 'express',
  propagation: 'nodes-50',
  fanout: 'at 100/s',
}

describe.each(BENCHMARKS)('the benchmark $name', ({ name, unit, comparisons }) => {
  test(
    'prints one JSON object with a result for every system and every ratio',
    async () => {
      const only = ONLY[name] ?? ''
      const { code, stdout, stderr } = await run(name, '--quick', '--rounds', '1', '--json', `--only=${only}`)
      expect(stderr, 'standard error').toSatisfy((text: string) =>
        /^(bench: SKIPPED pg-50: .*\n)?$/.test(text),
      )
      // Whoever reads the run is told that there is no PostgreSQL.
      process.stderr.write(stderr)
      expect(code).toBe(0)
      const report = JSON.parse(stdout)
      expect(report).toMatchObject({ name, unit, quick: true, rounds: 1 })

      const skipped = report.skipped.map(({ system }: { system: string }) => system)
      // Only where there is no PostgreSQL may a system be absent, and never in silence.
      expect(skipped.filter((system: string) => system !== 'pg-50')).toEqual([])
      expect(stderr.includes('SKIPPED')).toBe(skipped.length > 0)

      const wanted = comparisons.filter(([peer]) => !skipped.includes(peer) && peer.includes(only))
      expect(Object.keys(report.ratios)).toEqual(wanted.map(([peer, ours]) => `${peer}/${ours}`))
      for (const value of [...Object.values(report.ratios), ...Object.values(report.cpuRatios)]) {
        expect(value).toSatisfy(isPositive)
      }

      const results = report.results as ResultOfRun[]
      const systems = results.map(({ system }) => system)
      expect(new Set(systems).size).toBe(systems.length)
      for (const system of wanted.flat()) expect(systems).toContain(system)
      for (const { system, median, min, max, cpu = 1, serverCpu = 1, figures = {} } of results) {
        for (const value of [median, min, max, cpu, serverCpu]) expect(value).toSatisfy(isPositive)
        expect(min).toBeLessThanOrEqual(median)
        expect(median).toBeLessThanOrEqual(max)
        PROOFS[name]?.(system, (figure) => figures[figure]?.median ?? NaN)
      }
      expect(report.machine).toMatchObject({ node: process.version })
      expect(report.machine.versions).toHaveProperty('rescind')
      expect(leftovers()).toEqual([])
    },
    runTimeoutMs,
  )
})

test(
  'the profile of the gate says in which functions the time is spent',
  async () => {
    const times = await profileGate({ quick: true })
    const sum = times.reduce((total, { percent }) => total + percent, 0)
    expect(sum).toBeCloseTo(100, 5)
    expect(times.some(({ place }) => place.includes('rescind/dist/'))).toBe(true)
    expect(profileToMarkdown(times)).toMatch(/^\| function \| where \| self time \|\n/)
  },
  runTimeoutMs,
)

describe('the command line', () => {
  test('lists the benchmarks when none is named', async () => {
    const { code, stdout, stderr } = await run()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const { name, summary } of BENCHMARKS)
      expect(stdout).toMatch(new RegExp(`${name}.*${summary.slice(0, 10)}`))
  })

  test('explains its options', async () => {
    const { code, stdout } = await run('--help')
    expect(code).toBe(0)
    for (const option of ['--json', '--rounds', '--quick', '--only']) expect(stdout).toContain(option)
  })

  test.each([[['nothing']], [['check', '--fast']], [['check', '--rounds', '51']]])(
    'ends %j with one line and code 2',
    async (args) => {
      const { code, stdout, stderr } = await run(...args)
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toMatch(/^bench: [^\n]*check, gate, http, [^\n]*memory[^\n]*\n$/)
    },
  )
})

describe.skipIf(canLook !== true)(namedBy('a run that is ended', canLook), async () => {
  const hasPostgres = (await postgresVersion()) !== undefined
  const wanted = [/redis-server/, ...(hasPostgres ? [/postgres: checkpointer/] : [])]
  /** The servers run, with their own children, and so do several systems. */
  const isComplete = (lines: string[]) =>
    wanted.every((pattern) => lines.some((line) => pattern.test(line))) &&
    lines.filter((line) => /child-main\.ts .*worker\.ts/.test(line)).length >= 5

  test.each(['SIGINT', 'SIGKILL'] as const)(
    'by %s in the middle leaves no process',
    async (signal) => {
      const { child, ended } = start(['check', '--quick', '--rounds', '50', '--only=-50'])
      const pid = child.pid as number
      const tree = await until(
        () => {
          const pids = descendants(pid)
          return isComplete(pids.map(commandLine)) && pids
        },
        { what: 'the servers and the systems to run', timeoutMs: 60_000 },
      )
      child.kill(signal)
      expect(await ended).toMatchObject({ signal, stdout: '' })
      await until(() => !tree.some(isAlive), { what: 'every child to end', timeoutMs: 20_000 })
      // Killed outright, it cannot remove its folders.
      if (signal === 'SIGINT') expect(leftovers()).toEqual([])
    },
    runTimeoutMs,
  )
})

function isPositive(value: unknown): boolean {
  return typeof value === 'number' && Number.isFinite(value) && value > 0
}

function descendants(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)
      .map(Number)
    return children.flatMap((child) => [child, ...descendants(child)])
  } catch {
    return []
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
