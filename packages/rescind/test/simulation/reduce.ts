/**
 * Makes a failing schedule short: steps are left out, in large pieces and then one by one, as long as the same kind of
 * violation remains.
 */
import type { Outcome } from './simulation.js'

type Run = (steps: ReadonlySet<number>) => Promise<Outcome>

export interface Reduced {
  readonly outcome: Outcome
  readonly steps: ReadonlySet<number>
}

/** `runsMax`: how many simulations may be tried. */
export async function reduce(outcome: Outcome, run: Run, runsMax: number): Promise<Reduced> {
  const kind = kindOf(outcome)
  let best: Reduced = { outcome, steps: new Set(outcome.plan.steps.map(({ number }) => number)) }
  let runs = 0
  for (let size = Math.ceil(best.steps.size / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    const steps = [...best.steps]
    for (let at = 0; at < steps.length && runs < runsMax; at += size) {
      const dropped = new Set(steps.slice(at, at + size))
      const left = new Set([...best.steps].filter((step) => !dropped.has(step)))
      if (left.size === best.steps.size) continue
      runs += 1
      const tried = await run(left)
      if (kindOf(tried) === kind) best = { outcome: tried, steps: left }
    }
  }
  return best
}

/** The first violation without names and numbers. */
function kindOf({ violations }: Outcome): string {
  const first = violations[0] ?? ''
  return (
    /not fresh|disagree|cannot|not all can tell|never revoked|had refused|said clear|all say clear|took|settle/.exec(
      first,
    )?.[0] ?? first
  )
}
