/** The promises that the fault suite shows, the lines in which tests tell of them, and what they come to together. */

/** Each promise, and what it must be shown by. A figure names one of the parts. */
export const PROMISES = {
  'replicated-never-lost': ['splits', 'killed primaries'],
  'emptied-never-lost': ['restarts and FLUSHALLs'],
  'deadline-and-bound': [
    'killed',
    'frozen',
    'emptied',
    'filled',
    'promoted',
    'resharded',
    'cut off',
    'split',
  ],
  recovery: ['killed', 'frozen', 'emptied', 'promoted: killed', 'promoted: frozen', 'cut off', 'split'],
  skew: ['clocks'],
  'no-false-refusals': ['checks'],
} as const satisfies Record<string, readonly string[]>

export type PromiseId = keyof typeof PROMISES

export interface PromiseLine {
  readonly test: string
  readonly promise: PromiseId
  readonly part: string
  /** For people: a number with its unit, and of how many. */
  readonly figure: string
  readonly holds: boolean
}

export interface ControlLine {
  readonly test: string
  readonly scenario: string
  /** Revocations that the naive client lost, and answers that it gave too late. */
  readonly naiveLost: number
}

export type Line = PromiseLine | ControlLine

export interface Shown {
  readonly promises: readonly { readonly id: PromiseId; readonly figure: string; readonly holds: boolean }[]
  readonly controls: readonly { readonly scenario: string; readonly naiveLost: number }[]
  /** Promises of which a part was shown, and none of the shown parts failed. */
  readonly isKept: boolean
  /** Every part of every promise was shown. */
  readonly isWhole: boolean
}

/** Puts the lines of a run together. A promise holds when every part of it was shown, and all its figures do. */
export function joinLines(all: readonly Line[]): Shown {
  const lines = lastTries(all)
  const told = lines.filter((line): line is PromiseLine => 'promise' in line)
  const promises = Object.entries(PROMISES).map(([id, parts]) => {
    const mine = told.filter(({ promise }) => promise === id)
    const missing = parts.filter((part) => !mine.some((line) => line.part === part))
    const figures = mine.map(({ part, figure }) => `${part}: ${figure}`)
    if (missing.length > 0) figures.push(`NOT SHOWN: ${missing.join(', ')}`)
    const holds = missing.length === 0 && mine.every((line) => line.holds)
    return { id: id as PromiseId, figure: figures.join('; '), holds }
  })
  const controls = new Map<string, number>()
  for (const line of lines) {
    if ('scenario' in line) controls.set(line.scenario, (controls.get(line.scenario) ?? 0) + line.naiveLost)
  }
  return {
    promises,
    controls: [...controls].map(([scenario, naiveLost]) => ({ scenario, naiveLost })),
    isKept: told.every(({ holds }) => holds),
    isWhole: promises.every(({ figure }) => !figure.includes('NOT SHOWN')),
  }
}

/** A test that was tried again tells everything again. */
function lastTries(lines: readonly Line[]): readonly Line[] {
  const last = new Map<string, Line>()
  for (const line of lines) {
    const subject = 'promise' in line ? [line.promise, line.part] : [line.scenario]
    last.set(JSON.stringify([line.test, ...subject]), line)
  }
  return [...last.values()]
}
