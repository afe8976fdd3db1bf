/** What somebody without credentials can make the service remember, and compute. */
import { randomBytes } from 'node:crypto'
import { beforeEach, expect, it, vi } from 'vitest'
import { Attempts } from '../../src/clients/attempts.js'
import { Authenticator, type Authentication } from '../../src/clients/authenticate.js'
import { Clients } from '../../src/clients/clients.js'
import type * as Secrets from '../../src/clients/secret.js'
import {
  hashSecret,
  makeKey,
  SECRET_LENGTH_MAX,
  verifyNothing,
  verifySecret,
} from '../../src/clients/secret.js'
import { clientSchema } from '../../src/config/schema.js'
import { MemoryRecords } from '../../src/records/memory.js'

vi.mock('../../src/clients/secret.js', async (original) => {
  const actual = await original<typeof Secrets>()
  return { ...actual, verifySecret: vi.fn(actual.verifySecret), verifyNothing: vi.fn(actual.verifyNothing) }
})

const PER_MINUTE = 2
const OWN = 'a secret that somebody has thought of'

const hashes = () => vi.mocked(verifySecret).mock.calls.length + vi.mocked(verifyNothing).mock.calls.length
beforeEach(() => void vi.clearAllMocks())

async function setUp() {
  const now = () => 1_800_000_000_000
  const key = makeKey()
  const configured = [
    { id: 'app', roles: ['read'], keys: [{ hash: await hashSecret(key) }] },
    { id: 'thought', roles: ['read'], keys: [{ hash: await hashSecret(OWN) }] },
  ].map((client) => clientSchema.parse(client))
  const records = new MemoryRecords({ trailMax: 10, now })
  const authenticator = new Authenticator({
    clients: new Clients({ clients: configured, records, now }),
    ...{ records, now, audiences: ['https://rescind.example'] },
    ...{ failuresPerMinute: PER_MINUTE, ratePerMinute: 1000 },
  })
  const form = (id: string, secret: string, source = 'stranger'): Promise<Authentication> =>
    authenticator.authenticate({
      authorization: [],
      form: new Map(Object.entries({ client_id: id, client_secret: secret })),
      source,
    })
  const bearer = (secret: string, source = 'stranger'): Promise<Authentication> =>
    authenticator.authenticate({ authorization: [`Bearer ${secret}`], source })
  return { key, form, bearer }
}

it('an id that no client can have is refused, and not remembered', async () => {
  const take = vi.spyOn(Attempts.prototype, 'take')
  const { form } = await setUp()
  for (let i = 0; i < 200; i++)
    expect((await form(`${i}-${'x'.repeat(60_000)}`, 'wrong')).status).not.toBe('client')
  await form('x'.repeat(128), 'wrong')
  expect(Math.max(...take.mock.calls.map(([name]) => name.length))).toBeLessThan(256)
})

it('a secret that is too long is refused alike, whoever exists: before anything is looked up or counted', async () => {
  const { form, bearer } = await setUp()
  const long = 'x'.repeat(SECRET_LENGTH_MAX + 1)
  for (let i = 0; i <= PER_MINUTE; i++)
    for (const answer of [await form('thought', long), await form('nobody', long), await bearer(long)])
      expect(answer.status).toBe('refused')
  expect(hashes()).toBe(0)
})

it('bearer keys that nobody has cost no hash, and are counted by address', async () => {
  const { key, bearer } = await setUp()
  const answers = []
  for (let i = 0; i < PER_MINUTE + 2; i++) answers.push((await bearer(makeKey())).status)
  expect(answers).toEqual(['refused', 'refused', 'limited', 'limited'])
  expect(hashes()).toBe(0)
  expect((await bearer(makeKey(), 'another')).status).toBe('refused')
  expect((await bearer(key)).status).toBe('client')
})

it('another client id each time is no way round: an address has some guesses a minute for all of them', async () => {
  const { key, form } = await setUp()
  const answers = []
  for (let i = 0; i < 12 * PER_MINUTE; i++) answers.push((await form(`nobody-${i}`, `wrong ${i}`)).status)
  expect(answers.filter((status) => status === 'refused')).toHaveLength(10 * PER_MINUTE)
  expect(answers.at(-1)).toBe('limited')
  expect(hashes()).toBe(10 * PER_MINUTE)
  expect((await form('thought', OWN, 'another')).status).toBe('client')
  expect((await form('app', key)).status).toBe('client')
})

it('as many guesses at once as there are places keep nobody else out, and are counted', async () => {
  const { key, form, bearer } = await setUp()
  const guesses = Array.from({ length: 200 }, (_, i) => form(`nobody-${i}`, `wrong ${i}`))
  const others = await Promise.all([form('thought', OWN, 'another'), bearer(key), form('app', key)])
  expect(others.map(({ status }) => status)).toEqual(['client', 'client', 'client'])
  await Promise.all(guesses)
  expect(hashes()).toBeLessThan(10 * PER_MINUTE + 10)

  vi.clearAllMocks()
  await Promise.all(Array.from({ length: 30 }, (_, i) => form('thought', `wrong ${i}`, 'third')))
  expect(hashes()).toBeLessThan(PER_MINUTE + 4)
})

it('a key whose id somebody knows is not locked out by them, from another address', async () => {
  const { key, bearer } = await setUp()
  const known = key.slice(0, 'rsk_123456789012_'.length)
  for (let i = 0; i <= PER_MINUTE; i++) await bearer(known + randomBytes(32).toString('base64url'))
  expect((await bearer(known + randomBytes(32).toString('base64url'))).status).toBe('limited')
  expect((await bearer(key, 'another')).status).toBe('client')
})
