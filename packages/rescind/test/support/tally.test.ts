import { expect, it } from 'vitest'
import { closingText, failedFiles, failuresIn, type FileTally, type Tally, withSecondRun } from './tally.js'

const file = (path: string, rest: Partial<FileTally> = {}): FileTally => ({
  path,
  passed: 2,
  failed: 0,
  skipped: 0,
  remarks: [],
  ...rest,
})
const first: Tally = {
  files: [file('steady'), file('moody', { passed: 1, failed: 1 }), file('broken', { passed: 0, failed: 2 })],
  unplaced: 0,
}

it('counts a file that passes in its second run once, and names it', () => {
  expect(failedFiles(first)).toEqual(['moody', 'broken'])
  const whole = withSecondRun(first, { files: [file('moody'), file('broken')], unplaced: 0 })
  expect(failuresIn(whole)).toBe(0)
  expect(closingText(whole).split('\n')).toEqual([
    'Unsteady: moody failed at first, and passed when run again by itself',
    'Unsteady: broken failed at first, and passed when run again by itself',
    '6 passed, 0 failed',
  ])
})

it('what fails twice has failed', () => {
  const second = { files: [file('moody'), file('broken', { passed: 1, failed: 1 })], unplaced: 0 }
  const whole = withSecondRun(first, second)
  expect(failedFiles(whole)).toEqual(['broken'])
  expect(closingText(whole).split('\n').at(-1)).toBe('5 passed, 1 failed')
})

it('a file that the second run does not tell of has failed, and so has what belongs to none', () => {
  expect(failuresIn(withSecondRun(first, { files: [file('moody')], unplaced: 0 }))).toBe(1)
  expect(failuresIn(withSecondRun(first, { files: [file('moody'), file('broken')], unplaced: 2 }))).toBe(2)
  expect(failuresIn(withSecondRun({ ...first, unplaced: 1 }, { files: [], unplaced: 0 }))).toBe(3)
})
