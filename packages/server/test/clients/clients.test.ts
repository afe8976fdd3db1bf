import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RescindError } from 'rescind'
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { clientSchema } from '../../src/config/schema.js'
import { Clients } from '../../src/clients/clients.js'
import { MemoryRecords } from '../../src/records/memory.js'

afterEach(() => void vi.useRealTimers())

/** Two processes on the same records, and a clock that is theirs. */
function setUp() {
  let ms = 0
  const records = new MemoryRecords({ trailMax: 10 })
  const open = () => new Clients({ clients: [], records, now: () => ms })
  const client = { id: 'app', roles: ['read'], keys: [], audiences: [], isDisabled: false } as const
  return { records, client, here: open(), there: open(), pass: (seconds: number) => (ms += seconds * 1000) }
}

describe('what another process has changed', () => {
  it('is known two seconds later', async () => {
    const { client, here, there, pass } = setUp()
    await here.save(client)
    expect((await there.find('app'))?.isDisabled).toBe(false)
    await here.save({ ...client, isDisabled: true })
    pass(1.9)
    expect((await there.find('app'))?.isDisabled).toBe(false)
    pass(0.1)
    expect((await there.find('app'))?.isDisabled).toBe(true)
    await here.remove('app')
    pass(2)
    expect(await there.find('app')).toBeUndefined()
  })

  it('is known as soon when the clock of the machine is set back', async () => {
    vi.useFakeTimers({ toFake: ['Date', 'performance'] })
    const { records, client, here } = setUp()
    const there = new Clients({ clients: [], records })
    await here.save(client)
    expect((await there.find('app'))?.isDisabled).toBe(false)
    await here.save({ ...client, isDisabled: true })
    vi.setSystemTime(Date.now() - 3_600_000)
    vi.advanceTimersByTime(2000)
    expect((await there.find('app'))?.isDisabled).toBe(true)
  })
})

it('goes by what it has read for a minute while the records cannot be read, and then fails', async () => {
  const { records, client, here, pass } = setUp()
  await here.save(client)
  vi.spyOn(records, 'all').mockRejectedValue(new RescindError('ERR_STORE_UNAVAILABLE', 'away'))
  pass(60)
  expect((await here.find('app'))?.id).toBe('app')
  pass(1)
  await expect(here.find('app')).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
  await expect(here.findByKeyId('0123456789ab')).rejects.toMatchObject({ code: 'ERR_STORE_UNAVAILABLE' })
})

it('tells everything that is wrong with keys and key sets at once, and takes plain http only when it is told to', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rescind-keys-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const jwksFile = join(folder, 'jwks.json')
  writeFileSync(jwksFile, '{"keys":1}')
  const client = { roles: ['read'] }
  const hash = `scrypt$ln=99,r=8,p=1$${'a'.repeat(22)}$${'a'.repeat(43)}`
  const open = (clients: readonly object[]) =>
    new Clients({
      clients: clients.map((each) => clientSchema.parse({ ...client, ...each })),
      records: new MemoryRecords({ trailMax: 10 }),
    })
  const problems = (clients: readonly object[]): readonly string[] => {
    try {
      open(clients)
      return []
    } catch (error) {
      return (error as RescindError).problems ?? []
    }
  }
  expect(
    problems([
      { id: 'a', keys: [{ hash }] },
      { id: 'b', jwksUrl: 'http://keys.example/jwks' },
      { id: 'c', jwksFile },
      { id: 'd', jwksUrl: 'http://127.0.0.1/jwks' },
    ]),
  ).toEqual([
    expect.stringMatching(/^clients\[0\]\.keys\[0\]\.hash /),
    expect.stringMatching(/^clients\[1\].*https/),
    expect.stringMatching(/^clients\[2\].*key set/i),
  ])
  expect(problems([{ id: 'b', jwksUrl: 'http://keys.example/jwks', jwksAllowHttp: true }])).toEqual([])
})
