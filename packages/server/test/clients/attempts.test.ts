import { expect, it } from 'vitest'
import { Attempts } from '../../src/clients/attempts.js'

function clocked(perMinute: number, namesMax?: number) {
  let ms = 0
  const attempts = new Attempts({ perMinute, namesMax, now: () => ms })
  return { attempts, pass: (seconds: number) => (ms += seconds * 1000) }
}

it('lets as many through as are allowed, and then one at a time as they come again', () => {
  const { attempts, pass } = clocked(3)
  expect([1, 2, 3].map(() => attempts.take('a'))).toEqual([0, 0, 0])
  expect(attempts.take('a')).toBe(20)
  pass(19)
  expect(attempts.take('a')).toBe(1)
  pass(1)
  expect(attempts.take('a')).toBe(0)
  expect(attempts.take('a')).toBe(20)
})

it('counts each name by itself', () => {
  const { attempts } = clocked(1)
  expect(attempts.take('a')).toBe(0)
  expect(attempts.take('b')).toBe(0)
  expect(attempts.take('a')).toBeGreaterThan(0)
  expect(attempts.waitSeconds('c')).toBe(0)
})

it('takes none by looking', () => {
  const { attempts } = clocked(1)
  expect(attempts.waitSeconds('a')).toBe(0)
  expect(attempts.take('a')).toBe(0)
  expect(attempts.waitSeconds('a')).toBe(60)
})

it('remembers no more names than it may, and forgets first who was away longest', () => {
  const { attempts } = clocked(1, 100)
  for (let i = 0; i < 1000; i++) {
    attempts.take('kept')
    attempts.take(`name-${i}`)
  }
  expect(attempts.size).toBe(100)
  expect(attempts.take('kept')).toBeGreaterThan(0)
})
