import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { Clients } from '../../src/clients/clients.js'
import { makeFirstAdmin } from '../../src/clients/first-admin.js'
import { clientSchema, configSchema } from '../../src/config/schema.js'
import { MemoryRecords } from '../../src/records/memory.js'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rescind-first-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

/** A start on records, with these clients in the configuration. */
function start(records: MemoryRecords, dataDir: string, configured: readonly object[] = []) {
  const clients = new Clients({ clients: configured.map((each) => clientSchema.parse(each)), records })
  return makeFirstAdmin(clients, configSchema.parse({ dataDir }), true, 0)
}
const idsOf = async (records: MemoryRecords) => [...(await records.all('client')).keys()]

it('is not made where the key cannot be kept, and is made once it can', async () => {
  const records = new MemoryRecords({ trailMax: 10 })
  const noFolder = join(folder, 'a-file')
  writeFileSync(noFolder, '')
  for (let starts = 0; starts < 2; starts++) {
    await expect(start(records, join(noFolder, 'data'))).rejects.toThrow()
    expect(await idsOf(records)).toEqual([])
  }
  const data = join(folder, 'data')
  const made = await start(records, data)
  expect(readFileSync(join(data, 'admin-key'), 'utf8').trim()).toBe(made?.key)
  expect(readdirSync(data)).toEqual(['admin-key'])
})

it('is made by one of several that start at once, which keeps the key that is good', async () => {
  const records = new MemoryRecords({ trailMax: 10 })
  const made = await Promise.all([start(records, folder), start(records, folder), start(records, folder)])
  const [winner, ...others] = made.filter((each) => each !== undefined)
  expect(others).toEqual([])
  expect(readFileSync(join(folder, 'admin-key'), 'utf8').trim()).toBe(winner?.key)
  expect(readdirSync(folder)).toEqual(['admin-key'])
})

it('has another id where that of an admin is taken by somebody who is none', async () => {
  const records = new MemoryRecords({ trailMax: 10 })
  const hash = `scrypt$ln=14,r=8,p=1$${'a'.repeat(22)}$${'a'.repeat(43)}`
  expect(await start(records, folder, [{ id: 'admin', roles: ['read'], keys: [{ hash }] }])).toBeDefined()
  expect(await idsOf(records)).toEqual(['admin-2'])

  const others = new MemoryRecords({ trailMax: 10 })
  await others.write('client', 'admin', JSON.stringify({ id: 'admin', roles: ['read'], keys: [] }))
  expect(await start(others, folder)).toBeDefined()
  expect(await idsOf(others)).toEqual(['admin', 'admin-2'])
  expect(existsSync(join(folder, 'admin-key'))).toBe(true)
})
