/** Processes are killed while they revoke: whatever was acknowledged is there, and the store opens. */
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { digestsOf, parseTarget } from '../../src/core/target.js'
import { LmdbStore } from '../../src/stores/lmdb.js'
import { spawnLeashed } from '../support/leash.js'

const CHILD = join(import.meta.dirname, 'lmdb-child.ts')
const ROUNDS = Number(process.env.RESCIND_CRASH_ROUNDS ?? 12)

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rescind-crash-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** Starts a process, kills it some time after its first words, and returns all that it had acknowledged. */
async function killInMidWrite(kind: string, round: number): Promise<string[]> {
  const child = spawnLeashed(process.execPath, ['--import', 'tsx', CHILD, kind, folder, String(round)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let said = ''
  const first = once(child.stdout!, 'data')
  child.stdout!.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const closed = once(child, 'close')
  // A child that ends by itself says nothing any more.
  await Promise.race([first, closed])
  // Not a wait for something to happen: the moment is what varies.
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 120))
  child.kill('SIGKILL')
  const [, signal] = (await closed) as [unknown, string]
  expect(signal).toBe('SIGKILL')
  const lines = said.split('\n').slice(0, -1)
  expect(lines.length).toBeGreaterThan(0)
  return lines
}

async function missingIn(store: LmdbStore, subs: readonly string[]): Promise<string[]> {
  const missing = []
  for (const sub of subs) {
    const held = await store.find((shapes) =>
      shapes.flatMap((shape) => digestsOf(shape, { claims: { sub } })),
    )
    if (held[0]?.state.entries.length !== 1) missing.push(sub)
  }
  return missing
}

/** The digests of the log, which is read with its chain checked. */
async function logOf(store: LmdbStore): Promise<Set<string>> {
  const digests = new Set<string>()
  for (let position: string | undefined; ;) {
    const page = await store.readLog(position, 1 << 16)
    for (let at = 0; at < page.records.length; at += 32)
      digests.add(page.records.toString('base64url', at, at + 16))
    position = page.position
    if (page.isEnd) return digests
  }
}

describe('a process that is killed while it revokes', () => {
  it(
    `loses nothing that was acknowledged, ${ROUNDS} times, alone and with another beside it`,
    { timeout: 300_000 },
    async () => {
      const acknowledged: string[] = []
      for (let round = 0; round < ROUNDS; round++) {
        const killed = round % 3 === 0 ? [2 * round, 2 * round + 1] : [2 * round]
        const lines = await Promise.all(killed.map((number) => killInMidWrite('lmdb', number)))
        acknowledged.push(...lines.flat())
        const store = LmdbStore.open({ path: folder })
        expect(await missingIn(store, acknowledged)).toEqual([])
        const log = await logOf(store)
        expect(acknowledged.filter((sub) => !log.has(parseTarget({ sub }).digest))).toEqual([])
        // Whoever had the lock is gone: this one can write.
        const now = Math.floor(Date.now() / 1000)
        const entry = { at: now, end: now + 60, issuedBefore: now }
        await store.put(parseTarget({ sub: `after-${round}` }), entry, { now })
        await store.close()
      }
    },
  )

  it(
    'would lose them with a file that is written again: the test can fail',
    { timeout: 300_000 },
    async () => {
      const acknowledged: string[] = []
      for (let round = 0; round < 40; round++) {
        acknowledged.push(...(await killInMidWrite('json', round)))
        const held = await readFile(join(folder, 'store.json'), 'utf8')
          .then(
            (text) => JSON.parse(text) as string[],
            () => [],
          )
          .catch(() => [])
        const known = new Set(held)
        if (acknowledged.some((sub) => !known.has(sub))) return
      }
      expect.unreachable('no acknowledged line was lost in 40 rounds')
    },
  )
})
