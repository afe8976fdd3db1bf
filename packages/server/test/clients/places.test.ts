import { expect, it } from 'vitest'
import { Places } from '../../src/clients/places.js'

/** Work that is done when the test says so. */
function held() {
  const places = new Places({ workersMax: 2, max: 8, strangersMax: 6, strangerMax: 4 })
  const ends: (() => void)[] = []
  const work = () => new Promise<string>((resolve) => ends.push(() => resolve('done')))
  const done: (string | undefined)[] = []
  const begin = (stranger?: string) => {
    void places.run(stranger, work).then((result) => done.push(result))
  }
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve))
  return { places, ends, done, begin, settled }
}

it('does so much at once, and the next when one has ended', async () => {
  const { ends, done, begin, settled } = held()
  for (let i = 0; i < 3; i++) begin()
  await settled()
  expect(ends.length).toBe(2)
  ends[0]?.()
  await settled()
  expect([ends.length, done]).toEqual([3, ['done']])
})

it('has some places for one stranger, more for all of them, and the rest for who is none', async () => {
  const { done, begin, settled } = held()
  for (let i = 0; i < 5; i++) begin('one')
  await settled()
  expect(done).toEqual([undefined])
  for (let i = 0; i < 3; i++) begin('another')
  await settled()
  expect(done).toEqual([undefined, undefined])
  for (let i = 0; i < 3; i++) begin()
  await settled()
  expect(done).toEqual([undefined, undefined, undefined])
})

it('gives a place back, whether the work has ended well or not', async () => {
  const { places } = held()
  for (let i = 0; i < 20; i++) {
    await expect(places.run('one', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed')
    expect(await places.run('one', async () => i)).toBe(i)
  }
})
