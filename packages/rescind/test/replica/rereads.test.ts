/** How often a node reads all of a log again that it cannot follow: by a clock of its own, with many who ring. */
import { afterEach, expect, it } from 'vitest'
import type { Shape } from '../../src/core/target.js'
import { RescindError } from '../../src/errors.js'
import { Follower, type FollowerLosses, type FollowerSink } from '../../src/replica/follower.js'
import { Rereads } from '../../src/replica/rereads.js'
import { logChanged, type LogPage, type Store } from '../../src/stores/store.js'
import type { Surroundings } from '../../src/surroundings.js'
import { Chance } from '../simulation/chance.js'
import { Scheduler } from '../simulation/scheduler.js'

const START_MS = 1_700_000_000_000
const SHAPES: readonly Shape[] = []
const sink: FollowerSink = {
  useShapes: () => undefined,
  reserve: () => undefined,
  apply: () => undefined,
  tidy: () => undefined,
  describe: () => ({ id: 'one', name: 'one', entries: 0 }),
  tell: () => undefined,
}
const losses: FollowerLosses = {
  mark: () => 0,
  isAwaiting: () => false,
  isMissing: () => false,
  expectAll: () => undefined,
  giveBack: () => undefined,
  isGivingBack: () => false,
}

const life = { isOver: false }
afterEach(() => (life.isOver = true))

/** A node that follows what `read` makes of a log; tells of each read of it from the beginning. */
function follow(read: (from: string | undefined, surroundings: Surroundings) => Promise<LogPage>) {
  life.isOver = false
  const time = new Scheduler(START_MS)
  const surroundings = time.surroundings({ skewMs: 0 }, new Chance(1), life)
  const reads: { fromMs: number; toMs: number }[] = []
  let ring = () => undefined as void
  const store: Partial<Store> = {
    onBell: (listener) => {
      ring = () => listener('change')
      return () => undefined
    },
    announce: async () => undefined,
    retire: async () => undefined,
    readLog: async (from) => {
      const one = { fromMs: time.nowMs - START_MS, toMs: Infinity }
      if (from === undefined) reads.push(one)
      try {
        return await read(from, surroundings)
      } finally {
        one.toMs = time.nowMs - START_MS
      }
    },
  }
  const follower = new Follower(store as Store, sink, losses, { periodMs: 250, surroundings })
  follower.start()
  const ringOften = () => {
    ring()
    void follower.catchUp().catch(() => undefined)
    time.after(10, ringOften, life)
  }
  const run = async (ms: number) => {
    // What was begun has to go as far as it can first.
    await new Promise((resolve) => setImmediate(resolve))
    await time.run(time.nowMs + ms)
  }
  return { reads, follower, ringOften, run }
}

const page = (more: Partial<LogPage> = {}): LogPage => ({
  records: Buffer.alloc(0),
  position: '1',
  shapes: SHAPES,
  isEnd: true,
  hasGap: false,
  ...more,
})

it.each([20, 50, 400, 6000])(
  'a log that cannot be read through is read a fifth of the time, or every two seconds, whoever rings: %d ms',
  async (ms) => {
    const { reads, ringOften, run } = follow(async (_, { sleep }) => {
      await sleep(ms)
      throw logChanged()
    })
    ringOften()
    await run(120_000)
    expect(reads.length).toBeGreaterThan(10)
    for (const [i, { fromMs }] of reads.entries()) {
      // The first one is no rereading, and the first rereading comes at once.
      if (i < 2) continue
      const rested = fromMs - reads[i - 1]!.toMs
      expect(rested).toBeGreaterThanOrEqual(Math.max(100, Math.min(4 * ms, 2000)))
    }
  },
)

it('a log that goes on changing after each reading is left alone as long', async () => {
  const { reads, ringOften, run } = follow(async (from, { sleep }) => {
    if (from !== undefined) throw logChanged()
    await sleep(300)
    return page()
  })
  ringOften()
  await run(60_000)
  expect(reads.length).toBeGreaterThan(10)
  for (const [i, { fromMs }] of reads.entries())
    if (i >= 2) expect(fromMs - reads[i - 1]!.toMs).toBeGreaterThanOrEqual(1200)
})

it('a log that was calm is read again at once, and a node that rests can be closed', async () => {
  let isBroken = false
  const { reads, follower, run } = follow(async () => {
    if (isBroken) throw logChanged()
    return page()
  })
  await run(10_000)
  isBroken = true
  await run(1000)
  expect(reads[1]!.fromMs).toBeLessThanOrEqual(10_251)
  // No time passes any more.
  await follower.close()
  await expect(follower.catchUp()).rejects.toBeInstanceOf(RescindError)
})

it.each([
  ['is long', async () => page({ isEnd: false })],
  ['has changed', () => Promise.reject(logChanged())],
])('whoever waits for a log that %s, and is closed on the way, is told so', async (_, answer) => {
  const { follower, run } = follow(async (from, { sleep }) => {
    await sleep(100)
    return from === undefined ? page() : answer()
  })
  await run(110)
  const waited = follower.catchUp().then(
    () => 'read',
    (error: RescindError) => error.code,
  )
  await run(50)
  const closed = follower.close()
  await run(500)
  await closed
  expect(await waited).toBe('ERR_CLOSED')
})

it('rests of rereadings: none after calm, then four times as long as it took, within bounds', () => {
  const rereads = new Rereads()
  expect(rereads.restMs(0)).toBe(0)
  rereads.begin(0)
  rereads.end(10)
  expect(rereads.restMs(20)).toBe(100)
  rereads.begin(120)
  // It failed on the way.
  expect(rereads.restMs(320)).toBe(800)
  rereads.begin(1120)
  expect(rereads.restMs(11_120)).toBe(2000)
  rereads.begin(13_120)
  rereads.end(13_130)
  expect(rereads.restMs(18_130)).toBe(100)
  expect(rereads.restMs(18_131)).toBe(0)
})
