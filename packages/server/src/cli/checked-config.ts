/**
 * Checks a configuration whole: everything for which the service would not start, but for what the store, the network or
 * the port say. Opens and writes nothing.
 */
import { createSecureContext } from 'node:tls'
import { type Environment, MemoryStore, openStore, RescindError, TokenManager } from 'rescind'
import { Clients } from '../clients/clients.js'
import { adminFromEnv } from '../clients/first-admin.js'
import { Issuers } from '../issuers.js'
import { MemoryRecords } from '../records/memory.js'
import { clockToleranceOf, librarySettings } from '../config/library-settings.js'
import { invalid, isSet, loadConfig, readNamedFile, textOf } from '../config/load.js'
import type { Config } from '../config/schema.js'
import { Signer } from '../signer.js'

interface CheckedConfig {
  /** The file; absent for the environment alone. */
  readonly path?: string
  readonly issuers: number
  readonly clients: number
  readonly profiles: number
}

type Check = (config: Config, env: Environment) => unknown

/** Each throws `ERR_CONFIG_INVALID` by itself. */
const CHECKS: readonly Check[] = [
  checkStore,
  checkSettings,
  (config) => new Issuers({ issuers: config.issuers, clockToleranceSeconds: clockToleranceOf(config) }),
  ({ clients }) => new Clients({ clients, records: new MemoryRecords({ trailMax: 1 }) }),
  (_, env) => adminFromEnv(env),
  // Without a file it makes one, or reads the one that it has made.
  (config) => config.signing.keyFile !== undefined && Signer.open(config, false),
  // Which stops at a certificate that cannot be read.
  checkTls,
  ({ listen: { tls } }) => tls && readNamedFile('listen.tls.keyFile', tls.keyFile),
]

/** Throws one `ERR_CONFIG_INVALID` with all problems. */
export async function checkConfig(env: Environment, asked?: string): Promise<CheckedConfig> {
  const { config, path } = loadConfig(env, { path: asked })
  const problems = new Set<string>()
  for (const check of CHECKS) {
    try {
      await check(config, env)
    } catch (error) {
      if (!(error instanceof RescindError) || error.problems.length === 0) throw error
      for (const problem of error.problems) problems.add(problem)
    }
  }
  if (problems.size > 0) throw invalid([...problems])
  return {
    ...(path === undefined ? {} : { path }),
    issuers: config.issuers.length,
    clients: config.clients.length,
    profiles: Object.keys(config.profiles).length,
  }
}

async function checkStore(config: Config, env: Environment): Promise<void> {
  const kind = textOf(env, 'RESCIND_STORE')
  if (kind === 'remote' || isSet(env, 'RESCIND_URL'))
    throw invalid([
      'RESCIND_URL (or RESCIND_STORE=remote) names the store of another service: set REDIS_URL or RESCIND_DATA_DIR for this one',
    ])
  // A folder would be made: a memory stands for it.
  const settings = {
    ...librarySettings(config, env),
    RESCIND_STORE: kind === 'lmdb' ? 'memory' : kind,
    RESCIND_STORE_FILE: undefined,
    RESCIND_DATA_DIR: undefined,
    RESCIND_DATA_DIR_FILE: undefined,
  }
  await openStore(settings).close()
}

async function checkSettings(config: Config, env: Environment): Promise<void> {
  const settings = librarySettings(config, env)
  await TokenManager.fromEnv(settings, { store: new MemoryStore(), replica: false }).close()
}

function checkTls({ listen: { tls } }: Config): void {
  if (tls === undefined) return
  const cert = readNamedFile('listen.tls.certFile', tls.certFile)
  const key = readNamedFile('listen.tls.keyFile', tls.keyFile)
  try {
    createSecureContext({ cert, key })
  } catch (cause) {
    throw invalid(['listen.tls: the certificate and the key cannot be used together'], cause)
  }
}
