/** The checker finds every kind of bug that is planted in a correct history, and nothing in one that is correct. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkHistory, type Report, type ViolationKind } from './checker.js'
import { BOUND_MS, correctHistory } from './correct-history.js'
import type { CheckDone, HistoryEvent, WriteBegun, WriteDone } from './history.js'

const RUNS = 60
const seeds = fc.integer({ min: 1, max: 2 ** 31 })
const A = { type: 'node', at: 0, node: 'a', hasReplica: true, boundMs: BOUND_MS } as const
const B = { ...A, node: 'b' } as const
const BARE = { ...A, node: 'bare', hasReplica: false } as const
const LIFE_MS = 10_000

it('finds nothing in correct histories', () => {
  let events = 0
  let excused = 0
  fc.assert(
    fc.property(seeds, (seed) => {
      const { violations, figures } = checkHistory(correctHistory(seed))
      expect(violations).toEqual([])
      events += figures.events
      excused += figures.excused
    }),
    { numRuns: RUNS },
  )
  // They are about something: a generator that makes nothing proves nothing.
  expect(events).toBeGreaterThan(RUNS * 500)
  expect(excused).toBeGreaterThan(RUNS / 2)
})

it('takes steps in proportion to the events and to nothing else', () => {
  const steps = (length: number) => {
    const long: HistoryEvent[] = [A, B]
    for (let n = 0; n < length; n++) {
      const at = 20 * n + 20
      // One target all the time: who looks through all that happened to it is found out.
      long.push(...revoked(n, 'a', at), answer('b', at + 6, 'revoked', { source: 'strict' }))
      if (n % 7 === 6) long.push(...restored(1_000_000 + n, 'a', at + 7))
    }
    return checkHistory(long).steps / long.length
  }
  expect(steps(10_000)).toBeLessThan(2)
  expect(steps(100_000) / steps(1000)).toBeLessThan(1.05)
})

describe('a planted bug is found:', () => {
  const roll = (history: readonly HistoryEvent[]) =>
    history.findIndex((event) => event.type === 'phase' && event.phase === 'roll')
  const phaseAt = (history: readonly HistoryEvent[], wanted: string, nth = 0) =>
    history.filter((event) => event.type === 'phase' && event.phase === wanted)[nth]?.at ?? Infinity
  const isAnswer = (event: HistoryEvent): event is CheckDone => event.type === 'answered'
  /** Never restored, and no write to it failed. */
  const isPlain = (history: readonly HistoryEvent[], target: string) => {
    const failed = new Set(history.flatMap((event) => (event.type === 'failed' ? [event.id] : [])))
    const writes = history.filter(
      (event): event is WriteBegun =>
        (event.type === 'revoking' || event.type === 'restoring') && event.target === target,
    )
    return writes.length > 0 && writes.every((write) => write.type === 'revoking' && !failed.has(write.id))
  }

  interface Bug {
    name: string
    /** What may be found, the first of them always, */
    kinds: readonly ViolationKind[]
    /** or any one of them. */
    isAnyRight?: boolean
    /** Which events can be altered. */
    where: (event: HistoryEvent, history: readonly HistoryEvent[], index: number) => boolean
    alter: (event: never) => HistoryEvent | undefined
  }
  const saying = (status: CheckDone['status']) => (event: CheckDone) => ({ ...event, status })
  const BUGS: readonly Bug[] = [
    {
      name: 'an acknowledged revocation that is gone after the mending',
      kinds: ['lost', 'disagreement'],
      where: (event, history, index) =>
        isAnswer(event) &&
        index > roll(history) &&
        event.source === 'strict' &&
        event.status === 'revoked' &&
        isPlain(history, event.target),
      alter: saying('clear'),
    },
    {
      name: 'a strict check that does not see what was acknowledged before it began',
      kinds: ['lost'],
      where: (event, history) =>
        isAnswer(event) &&
        event.source === 'strict' &&
        event.status === 'revoked' &&
        event.at < phaseAt(history, 'harm') &&
        isPlain(history, event.target) &&
        isAcknowledgedBefore(history, event.target, event.startedAt),
      alter: saying('clear'),
    },
    {
      name: 'a memory that forgets what it refused, though the server was emptied',
      kinds: ['lost', 'forgot'],
      isAnyRight: true,
      where: (event, history) =>
        isAnswer(event) &&
        event.node !== 'bare' &&
        event.status === 'revoked' &&
        event.at > phaseAt(history, 'harm', 1) &&
        event.at < phaseAt(history, 'mended', 1) &&
        isPlain(history, event.target) &&
        history.some(
          (earlier) =>
            isAnswer(earlier) &&
            earlier.node === event.node &&
            earlier.target === event.target &&
            earlier.status === 'revoked' &&
            earlier.at < phaseAt(history, 'harm', 1),
        ),
      alter: saying('clear'),
    },
    {
      name: 'a refusal of what nobody revoked',
      kinds: ['false-refusal', 'disagreement'],
      where: (event) => isAnswer(event) && ['t20', 't21', 't22', 't23'].includes(event.target),
      alter: saying('revoked'),
    },
    {
      name: 'an answer 51 ms behind a timer of its deadline',
      kinds: ['late'],
      where: (event) => isAnswer(event) && event.source === 'strict',
      alter: (event: CheckDone) => ({ ...event, behindTimerMs: 51 }),
    },
    {
      name: 'a check that is never answered',
      kinds: ['unanswered'],
      where: (event) => isAnswer(event) && event.id !== undefined,
      alter: () => undefined,
    },
    {
      name: 'a memory that calls itself fresh while the server stands still',
      kinds: ['overdue', 'lost', 'forgot'],
      where: (event, history) =>
        isAnswer(event) &&
        event.status === 'unknown' &&
        event.node !== 'bare' &&
        event.startedAt > phaseAt(history, 'harmed') + BOUND_MS + 21 &&
        event.startedAt < phaseAt(history, 'healing'),
      alter: (event: CheckDone) => ({ ...event, source: 'memory', status: 'clear', stalenessMs: 1 }),
    },
    {
      name: 'one node that says something else than all others when the roll is called',
      kinds: ['disagreement', 'lost', 'false-refusal', 'resurrected', 'forgot'],
      isAnyRight: true,
      where: (event, history, index) => isAnswer(event) && index > roll(history),
      alter: (event: CheckDone) => ({ ...event, status: event.status === 'clear' ? 'revoked' : 'clear' }),
    },
    {
      name: 'one node that cannot tell when the roll is called',
      kinds: ['unavailable'],
      where: (event, history, index) => isAnswer(event) && index > roll(history),
      alter: saying('unknown'),
    },
  ]

  it.each(BUGS)('$name', ({ kinds, isAnyRight = false, where, alter }) => {
    let planted = 0
    fc.assert(
      fc.property(seeds, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (seed, which) => {
        const history = correctHistory(seed)
        const places = history.flatMap((event, index) => (where(event, history, index) ? [index] : []))
        const place = places[Math.floor(which * places.length)]
        if (place === undefined) return
        planted += 1
        const altered = alter(history[place] as never)
        const { counts } = checkHistory(
          history.toSpliced(place, 1, ...(altered === undefined ? [] : [altered])),
        )
        const wanted = isAnyRight ? Object.keys(counts)[0] : kinds[0]
        expect(Object.keys(counts)).toContain(wanted)
        for (const kind of Object.keys(counts)) expect(kinds).toContain(kind)
      }),
      { numRuns: RUNS },
    )
    expect(planted).toBeGreaterThan(RUNS / 2)
  })

  it('a disagreement about a write of which nobody knows whether it was done', () => {
    const failed: HistoryEvent[] = [
      ...[A, B],
      { type: 'revoking', at: 1, id: 1, node: 'a', target: 't', endAt: LIFE_MS },
      { type: 'failed', at: 2, id: 1, code: 'ERR_STORE_TIMEOUT' },
      { type: 'phase', at: 3, phase: 'roll' },
    ]
    const agree = [answer('a', 10, 'revoked'), answer('b', 11, 'revoked')]
    expect(found([...failed, ...agree])).toEqual({})
    expect(found([...failed, answer('a', 10, 'clear'), answer('b', 11, 'clear')])).toEqual({})
    expect(found([...failed, answer('a', 10, 'revoked'), answer('b', 11, 'clear')])).toEqual({
      disagreement: 1,
    })
  })

  it('many answers that are unknown without any harm', () => {
    const some = (count: number): HistoryEvent[] => [
      A,
      ...Array.from({ length: 100 }, (_, n) => answer('a', n, n < count ? 'unknown' : 'clear')),
    ]
    expect(found(some(10))).toEqual({})
    expect(found(some(11))).toEqual({ unavailable: 1 })
  })

  it('but not those of a process that stood still itself, as a plain timer shows', () => {
    const stalled = answer('a', 0, 'unknown', { lateMs: 300, behindTimerMs: 1 })
    const after = Array.from({ length: 100 }, (_, n) => answer('a', n + 1, 'unknown'))
    const muchLater = after.map((event) => ({ ...event, at: event.at + 2000, startedAt: event.at + 2000 }))
    expect(found([A, stalled, ...after])).toEqual({})
    expect(found([A, stalled, ...muchLater])).toEqual({ unavailable: 1 })
  })
})

describe('when a revocation is due', () => {
  const written = [A, B, BARE, ...revoked(1, 'a', 100)]
  const ackAt = 105

  it('at once on the node that wrote it and for whoever asks the store', () => {
    expect(found([...written, answer('a', ackAt + 1, 'clear')])).toEqual({ lost: 1 })
    expect(found([...written, answer('b', ackAt + 1, 'clear', { source: 'strict' })])).toEqual({ lost: 1 })
    expect(found([...written, answer('bare', ackAt + 1, 'clear', { source: 'strict' })])).toEqual({ lost: 1 })
  })

  it('for a check that began before the acknowledgement: not yet', () => {
    const begun = { source: 'strict', startedAt: ackAt - 1 } as const
    expect(found([...written, answer('bare', ackAt + 5, 'clear', begun)])).toEqual({})
  })

  it('a bound later in the memory of another node', () => {
    expect(found([...written, answer('b', ackAt + BOUND_MS - 1, 'clear')])).toEqual({})
    expect(found([...written, answer('b', ackAt + BOUND_MS, 'clear')])).toEqual({ lost: 1 })
  })

  it('at once in the memory of every node that "everywhere" names', () => {
    const done = { level: 'everywhere', nodes: ['a', 'b'] } as const
    const everywhere = [A, B, ...revoked(1, 'a', 100, done)]
    expect(found([...everywhere, answer('b', ackAt + 1, 'clear')])).toEqual({ lost: 1 })
  })

  it('not beyond its end', () => {
    expect(found([...written, answer('a', 100 + LIFE_MS - 1, 'clear')])).toEqual({ lost: 1 })
    expect(found([...written, answer('a', 100 + LIFE_MS, 'clear')])).toEqual({})
  })

  it('from the first refusal of the same node on', () => {
    const refused = [...written, answer('b', ackAt + 10, 'revoked')]
    expect(found([...refused, answer('b', ackAt + 20, 'clear')])).toEqual({ forgot: 1 })
    expect(found([...refused, answer('b', ackAt + 20, 'clear', { startedAt: ackAt + 9 })])).toEqual({})
  })
})

describe('a restore', () => {
  const ackAt = 305
  const written = [A, B, ...revoked(1, 'a', 100), answer('b', 200, 'revoked'), ...restored(2, 'a', 300)]

  it('makes both answers right for a bound, and then only clear', () => {
    expect(found([...written, answer('b', ackAt + 1, 'clear')])).toEqual({})
    expect(found([...written, answer('b', ackAt + BOUND_MS, 'revoked')])).toEqual({})
    expect(found([...written, answer('b', ackAt + BOUND_MS + 1, 'revoked')])).toEqual({ resurrected: 1 })
  })

  it('that failed makes both right for good', () => {
    const failed = written.map((event): HistoryEvent =>
      event.type === 'acknowledged' && event.id === 2
        ? { type: 'failed', at: event.at, id: 2, code: 'ERR_STORE_TIMEOUT' }
        : event,
    )
    expect(found([...failed, answer('b', 5000, 'revoked'), answer('b', 5001, 'clear')])).toEqual({})
  })

  it('is over when it is revoked again', () => {
    const again = [...written, ...revoked(3, 'a', 400)]
    expect(found([...again, answer('b', 2000, 'revoked')])).toEqual({})
    expect(found([...again, answer('b', 2000, 'clear')])).toEqual({ lost: 1 })
  })

  it('that was under way at the same time as the revocation makes both right', () => {
    const together: HistoryEvent[] = [
      ...[A, B],
      { type: 'revoking', at: 100, id: 1, node: 'a', target: 't', endAt: LIFE_MS },
      { type: 'restoring', at: 101, id: 2, node: 'b', target: 't', endAt: 0 },
      { type: 'acknowledged', at: 102, id: 1, level: 'accepted' },
      { type: 'acknowledged', at: 103, id: 2, level: 'accepted', isFound: true },
    ]
    expect(found([...together, answer('b', 3000, 'clear')])).toEqual({})
    expect(found([...together, answer('b', 3000, 'revoked')])).toEqual({})
  })
})

describe('what servers lose', () => {
  const harm = (loses: boolean): HistoryEvent[] => [
    { type: 'phase', at: 1000, phase: 'harm', harm: { loses, silences: false } },
    { type: 'phase', at: 1001, phase: 'healed' },
  ]
  const mended: HistoryEvent = { type: 'phase', at: 2000, phase: 'mended' }
  const written = [A, B, BARE, ...revoked(1, 'a', 100)]

  it('is excused on a node without memory until the mending', () => {
    const asked = { source: 'strict' } as const
    expect(found([...written, ...harm(true), answer('bare', 1500, 'clear', asked)])).toEqual({})
    expect(found([...written, ...harm(false), answer('bare', 1500, 'clear', asked)])).toEqual({ lost: 1 })
    expect(found([...written, ...harm(true), mended, answer('bare', 2500, 'clear', asked)])).toEqual({
      lost: 1,
    })
  })

  it('is not excused where it was read before, written or refused', () => {
    const read = answer('b', 900, 'clear', { target: 'other', stalenessMs: 10 })
    expect(found([...written, ...harm(true), answer('b', 1500, 'clear')])).toEqual({})
    expect(found([...written, read, ...harm(true), answer('b', 1500, 'clear')])).toEqual({ lost: 1 })
    expect(found([...written, ...harm(true), answer('a', 1500, 'clear')])).toEqual({ lost: 1 })
    const refused = answer('b', 900, 'revoked', { source: 'strict' })
    expect(found([...written, refused, ...harm(true), answer('b', 1500, 'clear')])).toEqual({ forgot: 1 })
  })

  it('is not excused when it was written after the healing', () => {
    const later = revoked(1, 'a', 1200)
    const asked = answer('bare', 1500, 'clear', { source: 'strict' })
    expect(found([A, B, BARE, ...harm(true), ...later, asked])).toEqual({ lost: 1 })
  })
})

it('refuses a history that is out of order', () => {
  expect(() => checkHistory([{ ...A, at: 5 }, B])).toThrow('in order')
})

it('measures rounds: until all are fresh again, and until all say the same', () => {
  const { figures } = checkHistory([
    A,
    { type: 'phase', at: 100, phase: 'harm', harm: { loses: true, silences: true } },
    { type: 'phase', at: 110, phase: 'harmed' },
    { type: 'phase', at: 200, phase: 'healing' },
    { type: 'phase', at: 210, phase: 'healed' },
    { type: 'phase', at: 250, phase: 'recovered' },
    // It noticed only now what it had lost.
    { type: 'asked', at: 300, id: 1, node: 'a', target: 't', source: 'store' },
    answer('a', 301, 'clear', { id: 1, source: 'store' }),
    { type: 'phase', at: 400, phase: 'mended' },
  ])
  expect(figures).toMatchObject({ recoveriesMs: [90], outagesMs: [190], mendingsMs: [190] })
})

function found(history: readonly HistoryEvent[]): Report['counts'] {
  return checkHistory(history).counts
}

function revoked(id: number, node: string, at: number, done: Partial<WriteDone> = {}): HistoryEvent[] {
  return [
    { type: 'revoking', at, id, node, target: 't', endAt: at + LIFE_MS },
    { type: 'acknowledged', at: at + 5, id, level: 'accepted', ...done },
  ]
}

function restored(id: number, node: string, at: number): HistoryEvent[] {
  return [
    { type: 'restoring', at, id, node, target: 't', endAt: 0 },
    { type: 'acknowledged', at: at + 5, id, level: 'accepted', isFound: true },
  ]
}

/** From memory unless said otherwise. */
function answer(
  node: string,
  at: number,
  status: CheckDone['status'],
  rest: Partial<CheckDone> = {},
): CheckDone {
  return { type: 'answered', at, startedAt: at, node, target: 't', source: 'memory', status, ...rest }
}

function isAcknowledgedBefore(history: readonly HistoryEvent[], target: string, at: number): boolean {
  const ids = new Set(
    history.flatMap((event) => (event.type === 'revoking' && event.target === target ? [event.id] : [])),
  )
  return history.some((event) => event.type === 'acknowledged' && ids.has(event.id) && event.at <= at)
}
