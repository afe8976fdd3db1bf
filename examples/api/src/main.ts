/**
 * Starts the example API and the service beside it, on one store: embedded, in the folder `.rescind` or what
 * `RESCIND_DATA_DIR` names, or on Redis where `REDIS_URL` (or another `REDIS_…`) is set. `RESCIND_STORE=memory` keeps
 * nothing. What the service revokes, the API refuses.
 */
import { existsSync, readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parseConfig, Service } from '@rescind/server'
import { openStore, RescindError, type Store } from 'rescind'
import { AUDIENCE, ISSUER, makeApp } from './app.js'
import { type Keys, makeKeys } from './keys.js'

const PORT_NORMAL = 3000
const STOP_TIMEOUT_MS = 3000
const DATA_DIR_NORMAL = '.rescind'

/** What is wrong, in one line for a person. */
class Refusal extends Error {}

try {
  await main(process.env)
} catch (error) {
  const known = error instanceof RescindError || error instanceof Refusal
  console.error(known ? error.message : error)
  process.exit(1)
}

async function main(env: NodeJS.ProcessEnv): Promise<void> {
  const port = portOf(env)
  const folder = env.RESCIND_DATA_DIR || (env.RESCIND_DATA_DIR_FILE ? undefined : DATA_DIR_NORMAL)
  const store = openStore({ ...env, RESCIND_DATA_DIR: folder })
  await store.ping().catch(async (error: unknown) => {
    await store.close()
    throw new Refusal(
      `Redis is set, but cannot be used: ${error instanceof Error ? error.message : 'no answer'}`,
    )
  })
  const keys = await makeKeys(store.kind === 'lmdb' ? folder : undefined)
  const { app } = await makeApp(store, env, keys)
  const server = app.listen(port)
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', (error: NodeJS.ErrnoException) => {
      const busy = `Port ${port} is in use; stop what uses it, or set PORT to another one`
      reject(
        new Refusal(
          error.code === 'EADDRINUSE'
            ? busy
            : `Cannot listen on port ${port}: ${error.code ?? error.message}`,
        ),
      )
    })
  }).catch(async (error: unknown) => {
    await store.close()
    throw error
  })
  const service = await startService(store, env, keys, folder).catch(async (error: unknown) => {
    server.close()
    await store.close()
    throw error
  })
  printHelp((server.address() as AddressInfo).port, service, folder)

  const stop = () => {
    setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref()
    // It closes the store, when the API has answered all.
    server.close(() => void service.stop())
    server.closeIdleConnections()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
}

/** The service knows the API as an issuer, by its public key. */
function startService(
  store: Store,
  env: NodeJS.ProcessEnv,
  { publicJwk }: Keys,
  folder: string | undefined,
): Promise<Service> {
  const issuer = {
    issuer: ISSUER,
    audience: AUDIENCE,
    algorithms: ['ES256' as const],
    jwks: { keys: [{ ...publicJwk }] },
  }
  const config = parseConfig(
    { issuers: [issuer], log: { level: 'warn' }, ...(folder === undefined ? {} : { dataDir: folder }) },
    { env },
  )
  return Service.start({ config, env, store })
}

function portOf(env: NodeJS.ProcessEnv): number {
  const text = env.PORT ?? ''
  if (text === '') return PORT_NORMAL
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new Refusal('PORT must be a whole number from 0 to 65535')
  return Number(text)
}

function printHelp(port: number, service: Service, folder: string | undefined): void {
  const url = `http://localhost:${port}`
  const logIn = `$(curl -s -X POST ${url}/login -H 'content-type: application/json' -d '{"user":"alice"}' | node -pe 'JSON.parse(fs.readFileSync(0)).access_token')`
  const { store } = service.parts
  const key = keyOf(service, folder)
  const where = store.kind === 'lmdb' ? (folder ?? 'the folder that RESCIND_DATA_DIR_FILE names') : 'memory'
  const kept =
    store.kind === 'redis' ? 'on Redis' : `on the embedded store in ${where} (set REDIS_URL for Redis)`
  console.log(`Rescind example API ${kept}, listening on ${url}

Log in, use the token, log out, and see it refused:

  TOKEN=${logIn}
  curl -i ${url}/me -H "authorization: Bearer $TOKEN"
  curl -i -X POST ${url}/logout -H "authorization: Bearer $TOKEN"
  curl -i ${url}/me -H "authorization: Bearer $TOKEN"

Log in on a phone and a laptop, log out everywhere from the laptop, and see the phone refused:

  PHONE=${logIn}
  LAPTOP=${logIn}
  curl -i -X POST ${url}/logout-everywhere -H "authorization: Bearer $LAPTOP"
  curl -i ${url}/me -H "authorization: Bearer $PHONE"

Health, open to all:  curl -i ${url}/healthz

The service, for every other language and for gateways, listens on ${service.url}. Stop a person by it, and see the API
refuse every token of theirs:

  TOKEN=${logIn}
  ${keyLine(service, folder)}
  curl -i ${service.url}/api/v1/revocations -H "authorization: Bearer $KEY" -H 'content-type: application/json' -d '{"target":{"sub":"alice"},"reason":"stolen phone","ack":"everywhere"}'
  curl -i ${url}/me -H "authorization: Bearer $TOKEN"

The same in a browser: ${service.url}/ui${key === undefined ? '' : `, with the key ${key}`}
`)
}

/** The line of a shell that knows the key of the admin. */
function keyLine({ firstAdmin, parts }: Service, folder: string | undefined): string {
  if (firstAdmin !== undefined && firstAdmin.path === undefined) return `KEY=${firstAdmin.key}`
  return `KEY=$(cat ${firstAdmin?.path ?? keyPath(parts.config.dataDir, folder)})`
}

/** An example prints it; a service tells only where it stands. */
function keyOf({ firstAdmin, parts }: Service, folder: string | undefined): string | undefined {
  if (firstAdmin !== undefined) return firstAdmin.key
  const path = keyPath(parts.config.dataDir, folder)
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined
}

function keyPath(dataDir: string, folder: string | undefined): string {
  return join(folder ?? dataDir, 'admin-key')
}
