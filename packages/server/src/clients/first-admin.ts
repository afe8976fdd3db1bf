/**
 * The first admin. Where no client has that role, one is made with a key that is kept in the data folder, readable for
 * its owner only: nobody else is let in, and nobody has to invent a password.
 */
import { join } from 'node:path'
import type { Environment } from 'rescind'
import { invalid, textOf } from '../config/load.js'
import type { ClientConfig, Config } from '../config/schema.js'
import { PrivateFile } from '../private-file.js'
import type { Client } from './client.js'
import type { Clients } from './clients.js'
import { hashSecret, keyIdOf, makeKey } from './secret.js'

const ADMIN_ID = 'admin'
const ADMIN_KEY_FILE = 'admin-key'

/** The admin whose key the environment gives (`RESCIND_ADMIN_KEY`, or `RESCIND_ADMIN_KEY_FILE`). */
export async function adminFromEnv(env: Environment): Promise<ClientConfig | undefined> {
  const key = textOf(env, 'RESCIND_ADMIN_KEY')
  if (key === undefined) return undefined
  if (keyIdOf(key) === undefined)
    throw invalid(['RESCIND_ADMIN_KEY is no key of ours: make one with `rescind keys make`'])
  return { id: ADMIN_ID, roles: ['admin'], keys: [{ hash: await hashSecret(key) }], isDisabled: false }
}

/**
 * Makes it where there is none. Returns where its key is written, or with memory alone, the key itself; undefined where
 * an admin was known already.
 */
export async function makeFirstAdmin(
  clients: Clients,
  config: Config,
  keepsFiles: boolean,
  nowSeconds: number,
): Promise<{ readonly path?: string; readonly key: string } | undefined> {
  const known = await clients.list()
  if (known.some(({ roles }) => roles.includes('admin'))) return undefined
  const key = makeKey()
  const keys = [{ hash: await hashSecret(key), createdAt: nowSeconds }]
  const admin = {
    id: freeId(known),
    name: 'Made at the first start',
    roles: ['admin'],
    keys,
    audiences: '*',
    isDisabled: false,
  } as const
  if (!keepsFiles) return (await clients.save(admin, { isNew: true })) ? { key } : undefined
  const path = join(config.dataDir, ADMIN_KEY_FILE)
  // Before the admin: one whose key nobody has could never be made again.
  const file = new PrivateFile(path, `${key}\n`)
  try {
    // Of several processes that start at once, one makes it.
    if (!(await clients.save(admin, { isNew: true }))) return undefined
    file.replace()
  } finally {
    file.discard()
  }
  return { path, key }
}

/** `admin`, or where that is somebody else, `admin-2` and so on. */
function freeId(known: readonly Client[]): string {
  const taken = new Set(known.map(({ id }) => id))
  let id = ADMIN_ID
  for (let number = 2; taken.has(id); number++) id = `${ADMIN_ID}-${number}`
  return id
}
