/** A process that decides about one cached token again and again, with V8's own sampling profiler on. */
import { Session } from 'node:inspector/promises'
import { fileURLToPath } from 'node:url'
import type { Shared } from '../system.js'
import { rescind } from './gate/rescind.js'

export interface ProfileRequest {
  readonly shared: Shared
  /** Runs before those that count. */
  readonly warmUpRuns: number
  readonly runs: number
}

/** The time that was spent in a function itself, and not in those that it called. */
export interface SelfTime {
  readonly name: string
  readonly place: string
  readonly percent: number
}

/** Verdicts of one run: its requests are made before. */
const VERDICTS = 100_000
const SAMPLING_US = 100
const PLACE_PARTS = 3

/** Frames of V8 and of the profiler itself. */
const NOT_OURS = new Set(['(root)', '(program)', '(idle)', 'post', 'dispatch'])

/** By function, the most first, in percent of all. */
export async function profile({ shared, warmUpRuns, runs }: ProfileRequest): Promise<SelfTime[]> {
  const system = await rescind(shared, { algorithm: 'ES256', inFlight: 1, tokens: 'cached' })
  if (!('runAll' in system)) throw new Error('the gate does not answer at once')
  const session = new Session()
  session.connect()
  // Before the code is compiled: only then does V8 keep what it needs to name functions that it inlines.
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_US })
  const recorded: Recorded[] = []
  for (let run = 0; run < warmUpRuns + runs; run++) {
    await system.prepare(VERDICTS)
    await session.post('Profiler.start')
    system.runAll(VERDICTS)
    const { profile: one } = await session.post('Profiler.stop')
    if (run >= warmUpRuns) recorded.push(one)
  }
  session.disconnect()
  await system.close()
  return selfTimes(recorded)
}

interface Recorded {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
    readonly children?: readonly number[] | undefined
  }[]
  readonly samples?: readonly number[] | undefined
  readonly timeDeltas?: readonly number[] | undefined
}

function selfTimes(recorded: readonly Recorded[]): SelfTime[] {
  const spent = new Map<string, { name: string; place: string; us: number }>()
  for (const { nodes, samples = [], timeDeltas = [] } of recorded) {
    const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
    for (const [i, id] of samples.entries()) {
      const frame = frames.get(id)
      if (frame === undefined || NOT_OURS.has(frame.functionName)) continue
      const name = frame.functionName || '(anonymous)'
      const place = placeOf(frame.url, frame.lineNumber)
      const before = spent.get(`${name} ${place}`)?.us ?? 0
      spent.set(`${name} ${place}`, { name, place, us: before + (timeDeltas[i] ?? 0) })
    }
  }
  const all = [...spent.values()]
  const total = all.reduce((sum, { us }) => sum + us, 0)
  return all
    .sort((a, b) => b.us - a.us)
    .map(({ name, place, us }) => ({ name, place, percent: (us / total) * 100 }))
}

function placeOf(url: string, line: number): string {
  if (url === '') return 'V8'
  const path = url.startsWith('file:') ? fileURLToPath(url).split('/').slice(-PLACE_PARTS).join('/') : url
  return `${path}:${line + 1}`
}
