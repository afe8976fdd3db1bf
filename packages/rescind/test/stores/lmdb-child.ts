/**
 * A process that revokes without end and says each acknowledged revocation on its standard output:
 * `lmdb-child.ts lmdb|json FOLDER ROUND`. It is killed in the middle of it. `json` is what a store would be without a
 * database: a file that is written again with every change.
 */
import { readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ANY_TIME } from '../../src/core/revocation.js'
import { parseTarget } from '../../src/core/target.js'
import { LmdbStore } from '../../src/stores/lmdb.js'

/** Changes that are under way together: a batch has several. */
const TOGETHER = 4
const LIFE_SECONDS = 86_400

const [kind = '', folder = '', round = ''] = process.argv.slice(2)
const now = Math.floor(Date.now() / 1000)
const revoke = kind === 'json' ? jsonStore(join(folder, 'store.json')) : lmdbStore()

/** The end of the process that started this one is the end of this one. */
process.stdin.on('end', () => process.exit()).resume()

for (let i = 0; ; i += TOGETHER) {
  await Promise.all(
    Array.from({ length: TOGETHER }, async (_, n) => {
      const sub = `${round}-${i + n}`
      await revoke(sub)
      // At once and whole: what is told was acknowledged.
      writeSync(1, `${sub}\n`)
    }),
  )
}

function lmdbStore(): (sub: string) => Promise<unknown> {
  const store = LmdbStore.open({ path: folder })
  return (sub) =>
    store.put(parseTarget({ sub }), { at: now, end: now + LIFE_SECONDS, issuedBefore: ANY_TIME }, { now })
}

function jsonStore(path: string): (sub: string) => Promise<unknown> {
  let subs: string[] = []
  try {
    subs = JSON.parse(readFileSync(path, 'utf8')) as string[]
  } catch {
    // What such a store does with a file that it cannot read: it begins again.
  }
  return async (sub) => {
    subs.push(sub)
    writeFileSync(path, JSON.stringify(subs))
  }
}
