/** Revokes until the disk is full, in a process whose files have a bound: `lmdb-full.ts FOLDER`. Says what happened. */
import { ANY_TIME } from '../../src/core/revocation.js'
import { digestsOf, parseTarget } from '../../src/core/target.js'
import type { RescindError } from '../../src/errors.js'
import { LmdbStore } from '../../src/stores/lmdb.js'

const [folder = ''] = process.argv.slice(2)
const now = Math.floor(Date.now() / 1000)
const store = LmdbStore.open({ path: folder })
const put = (sub: string) =>
  store.put(parseTarget({ sub }), { at: now, end: now + 3600, issuedBefore: ANY_TIME }, { now })
const find = async (sub: string) =>
  (await store.find((shapes) => shapes.flatMap((shape) => digestsOf(shape, { claims: { sub } })))).length
const codeOf = (error: unknown) => (error as RescindError).code

process.on('unhandledRejection', (error) => {
  throw error
})

let count = 0
let code: string | undefined
while (code === undefined) {
  await put(`person-${count}`).then(
    () => count++,
    (error: unknown) => (code = codeOf(error)),
  )
}
let found = 0
for (let i = 0; i < count; i++) found += await find(`person-${i}`)
const after = await put('another').then(() => 'stored', codeOf)
// What was refused is not half there.
const restored = (await find(`person-${count}`)) + (await find('another'))
await store.close()
console.log(JSON.stringify({ count, code, found, after, restored }))
