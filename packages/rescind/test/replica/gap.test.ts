/** What a node knows of a log that lacks a part: the order in which it is read decides. */
import { beforeEach, expect, it, vi } from 'vitest'
import { Gap, type GapMet } from '../../src/replica/gap.js'

const PERIOD_MS = 250
const onMet = vi.fn()
let gap: Gap
beforeEach(() => {
  onMet.mockClear()
  gap = new Gap(PERIOD_MS, onMet)
})

const met = (at: number, more: Partial<GapMet> = {}): GapMet => ({
  startedAt: at,
  sentAt: at,
  isRereading: false,
  isGivingBack: false,
  isFollowed: true,
  ...more,
})

/** A node that has read all of a log that lacks nothing. */
function whole(at: number) {
  gap.begin(at)
  gap.end(at)
}

it('who begins with a gap has not all, tells so once, and looks again ever more seldom until it was filled', () => {
  gap.begin(0)
  expect([gap.meet(met(0)), gap.meet(met(0))]).toEqual([false, false])
  gap.end(0)
  expect([gap.isTorn, gap.isWhole]).toEqual([true, false])
  expect(onMet).toHaveBeenCalledTimes(1)
  const looks: number[] = []
  for (let now = 0; now <= 200_000; now += 500) {
    if (!gap.isLookDue(now)) continue
    looks.push(now)
    gap.begin(now)
    gap.meet(met(now, { isRereading: true }))
    gap.end(now)
  }
  const rests = looks.map((look, i) => look - (looks[i - 1] ?? 0))
  expect(rests).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
  whole(300_000)
  expect([gap.isTorn, gap.isWhole, gap.isLookDue(400_000)]).toEqual([false, true, false])
})

it('who had read the part reads all again, to give it back, and no more often than every ten seconds', () => {
  whole(0)
  expect(gap.meet(met(1000))).toBe(true)
  // Read again, it meets the gap on the way, and while it gives back.
  gap.break(1000)
  gap.begin(1000)
  expect(gap.meet(met(1000, { isRereading: true }))).toBe(false)
  gap.end(1000)
  expect([gap.isTorn, gap.isWhole]).toEqual([false, true])
  expect(gap.meet(met(1500, { isGivingBack: true }))).toBe(false)
  for (const [at, isReread] of [
    [3000, false],
    [4900, false],
  ] as const) {
    expect(gap.meet(met(at))).toBe(isReread)
    gap.end(at)
  }
  for (let at = 5000; at <= 11_500; at += 1000) {
    expect(gap.meet(met(at)), `${at}`).toBe(false)
    gap.end(at)
  }
  expect(gap.meet(met(11_600))).toBe(true)
})

it('a gap behind which nothing stands is no news to who knows all', () => {
  whole(0)
  expect(gap.meet(met(100, { isFollowed: false }))).toBe(false)
  expect(onMet).not.toHaveBeenCalled()
})

it('who was away for longer than eight polls knows no more whether it knows all', () => {
  whole(0)
  gap.break(8 * PERIOD_MS)
  expect(gap.isWhole).toBe(true)
  gap.break(8 * PERIOD_MS + 1)
  expect(gap.isWhole).toBe(false)
  whole(10_000)
  expect(gap.meet(met(10_000 + 8 * PERIOD_MS + 1))).toBe(false)
  expect([gap.isTorn, gap.isWhole]).toEqual([true, false])
})
