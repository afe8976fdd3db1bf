import { describe, expect, test } from 'vitest'
import { median, quantile, ratio, rotated, rounded } from '../src/statistics.js'

describe('median', () => {
  test('is the middle of an odd number of values, in whatever order they come', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([7])).toBe(7)
  })

  test('is the mean of the two middle ones of an even number', () => {
    expect(median([4, 1, 3, 100])).toBe(3.5)
  })

  test('compares numbers as numbers and leaves the list as it is', () => {
    const values = [10, 9, 100]
    expect(median(values)).toBe(10)
    expect(values).toEqual([10, 9, 100])
  })

  test('of nothing is an error, and no NaN that slips into a report', () => {
    expect(() => median([])).toThrow(RangeError)
  })
})

test('quantile is the smallest value that so many do not exceed', () => {
  const values = [5, 1, 4, 2, 3]
  expect([0, 0.2, 0.5, 0.99, 1].map((share) => quantile(values, share))).toEqual([1, 1, 3, 5, 5])
  expect(() => quantile([], 0.5)).toThrow(RangeError)
})

describe('ratio', () => {
  test('of times is above 1 when ours is shorter', () => {
    expect(ratio(30, 10, 'lower')).toBe(3)
    expect(ratio(10, 40, 'lower')).toBe(0.25)
  })

  test('of rates is above 1 when ours is higher', () => {
    expect(ratio(10, 30, 'higher')).toBe(3)
    expect(ratio(40, 10, 'higher')).toBe(0.25)
  })
})

test('rotated begins at another place each round and comes back to the first', () => {
  const rounds = [0, 1, 2, 3].map((round) => rotated(['a', 'b', 'c'], round).join(''))
  expect(rounds).toEqual(['abc', 'bca', 'cab', 'abc'])
  expect(rotated([], 5)).toEqual([])
})

test('rounded keeps four significant digits of any magnitude', () => {
  expect([123_456, 0.123_456, 5].map(rounded)).toEqual([123_500, 0.1235, 5])
})
