/** What the figures of many tests come to together. */
import { expect, it } from 'vitest'
import { joinLines, type Line, PROMISES, type PromiseId } from './promises.js'

const shown = (test: string, promise: PromiseId, part: string, holds = true): Line => ({
  ...{ test, promise, part, figure: `by ${test}`, holds },
})
const everything = Object.entries(PROMISES).flatMap(([id, parts]) =>
  parts.map((part) => shown(`test of ${part}`, id as PromiseId, part)),
)
const held = (lines: readonly Line[]) =>
  Object.fromEntries(joinLines(lines).promises.map(({ id, holds }) => [id, holds]))

it('a promise holds when every part of it was shown and holds', () => {
  expect(joinLines(everything)).toMatchObject({ isKept: true, isWhole: true })
  expect(Object.values(held(everything))).not.toContain(false)
})

it('a part that was not shown is told of loudly, and the promise does not hold', () => {
  const some = everything.filter((line) => !('promise' in line && line.part === 'splits'))
  const { promises, isKept, isWhole } = joinLines(some)
  expect({ isKept, isWhole }).toEqual({ isKept: true, isWhole: false })
  const [first] = promises
  expect(first).toMatchObject({ id: 'replicated-never-lost', holds: false })
  expect(first?.figure).toContain('NOT SHOWN: splits')
  expect(held(some)).toMatchObject({ 'replicated-never-lost': false, skew: true })
})

it('one figure that does not hold is enough', () => {
  const broken = [...everything, shown('another test', 'skew', 'clocks', false)]
  expect(joinLines(broken).isKept).toBe(false)
  expect(held(broken)).toMatchObject({ skew: false, 'emptied-never-lost': true })
})

it('the last try of a test counts, and other tests are not touched by it', () => {
  const retried = [shown('t', 'skew', 'clocks', false), shown('t', 'skew', 'clocks', true), ...everything]
  expect(held(retried)).toMatchObject({ skew: true })
  const other = [shown('t', 'skew', 'clocks', false), shown('u', 'skew', 'clocks', true), ...everything]
  expect(held(other)).toMatchObject({ skew: false })
})

it('controls of one scenario are added up', () => {
  const controls = [
    { test: 't', scenario: 'killed', naiveLost: 100 },
    { test: 't', scenario: 'killed', naiveLost: 2 },
    { test: 'u', scenario: 'killed', naiveLost: 3 },
    { test: 'u', scenario: 'frozen', naiveLost: 5 },
  ]
  expect(joinLines(controls).controls).toEqual([
    { scenario: 'killed', naiveLost: 5 },
    { scenario: 'frozen', naiveLost: 5 },
  ])
})
