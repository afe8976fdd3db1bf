/** Looks at the store for what may lose revocations: Redis by the library's `inspect`, the embedded file here. */
import { statfsSync, statSync } from 'node:fs'
import { type Environment, inspect, RedisConnection, RedisStore, RescindError, type Store } from 'rescind'
import type { Diagnosis } from './backend.js'
import { Findings } from './findings.js'

const FREE_BYTES_MIN = 256 * 1024 * 1024
/** What others of the machine may do with a folder. */
const OTHERS_MODE = 0o077

export interface DiagnoseOptions {
  /** As the store was opened with. */
  readonly settings: Environment
  /** Of the embedded store. */
  readonly folder: string
  readonly user?: string | undefined
  readonly revokes?: boolean | undefined
}

export async function diagnoseStore(
  store: Store,
  { settings, folder, user, revokes }: DiagnoseOptions,
): Promise<Diagnosis> {
  if (!(store instanceof RedisStore)) return diagnoseFolder(store, folder)
  const { namespace, partitions } = store
  const connection = RedisConnection.fromEnv(settings)
  try {
    return await inspect(connection, { namespace, partitions, user, revokes })
  } finally {
    await connection.close()
  }
}

async function diagnoseFolder(store: Store, folder: string): Promise<Diagnosis> {
  const findings = new Findings()
  try {
    await store.ping()
  } catch (error) {
    findings.add(
      'unreadable',
      'critical',
      'The file of the embedded store cannot be read.',
      'Put a backup of the file in its place; it was left as it is.',
      { code: error instanceof RescindError ? error.code : 'unknown' },
    )
  }
  const mode = statSync(folder).mode & 0o777
  if (process.platform !== 'win32' && (mode & OTHERS_MODE) !== 0)
    findings.add(
      'folder_open',
      'warning',
      'Other users of this machine may read the folder, or write to it and undo revocations.',
      'Let only the user of the service in: chmod 700.',
      { mode: mode.toString(8) },
    )
  const { bavail, bsize } = statfsSync(folder)
  if (bavail * bsize < FREE_BYTES_MIN)
    findings.add(
      'disk_low',
      'critical',
      'The disk is nearly full: revocations will be refused.',
      'Make room on it.',
      { freeBytes: bavail * bsize },
    )
  findings.add(
    'one_machine',
    'info',
    'The embedded store serves the processes of one machine, and is lost with its disk.',
    'Use Redis with a replica for more than one machine, or keep backups of the folder.',
  )
  return findings.diagnosis()
}
