/** Every kind of place that the command can be sent to, each new and empty, with the environment that names it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryStore, openStore, type Store } from 'rescind'
import { stringify } from 'yaml'
import { RedisServer } from '../../../../rescind/test/support/redis-server.js'
import { AUDIENCE, type Issuer, ISSUER, makeIssuer } from '../../../../rescind/test/support/issuer.js'
import { startWorld } from '../../support/service.js'

export interface Place extends AsyncDisposable {
  /** What the command is told. */
  readonly env: Readonly<Record<string, string>>
  /** The issuer whose tokens are accepted there. */
  readonly issuer: Issuer
  /** A store of the same data, for a node that looks at it. */
  readonly openStore: () => Store
}

/** The kinds by name. */
export const PLACES: Readonly<Record<string, () => Promise<Place>>> = {
  Redis: redisPlace,
  'the embedded store': embeddedPlace,
  'a service': servicePlace,
}

async function redisPlace(): Promise<Place> {
  const server = await RedisServer.start()
  return localPlace({ REDIS_URL: server.url }, () => server.stop())
}

async function embeddedPlace(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'rescind-cli-data-'))
  const data = join(folder, 'data')
  mkdirSync(data, { mode: 0o700 })
  return localPlace({ RESCIND_DATA_DIR: data, RESCIND_STORE: 'lmdb' }, async () =>
    rmSync(folder, { recursive: true }),
  )
}

async function localPlace(
  where: Readonly<Record<string, string>>,
  stop: () => Promise<void>,
): Promise<Place> {
  const issuer = await makeIssuer()
  const folder = mkdtempSync(join(tmpdir(), 'rescind-cli-'))
  const config = join(folder, 'rescind.yaml')
  const issuers = [
    { issuer: ISSUER, audience: AUDIENCE, algorithms: [issuer.algorithm], jwks: { keys: [issuer.jwk] } },
  ]
  writeFileSync(config, stringify({ issuers }))
  return {
    env: { ...where, RESCIND_CONFIG: config },
    issuer,
    openStore: () => openStore(where),
    [Symbol.asyncDispose]: async () => {
      rmSync(folder, { recursive: true })
      await stop()
    },
  }
}

async function servicePlace(): Promise<Place> {
  const store = new MemoryStore()
  const world = await startWorld({ store })
  return {
    env: { RESCIND_URL: world.url, RESCIND_KEY: world.keys.admin as string },
    issuer: world.issuer,
    openStore: () => store,
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  }
}
