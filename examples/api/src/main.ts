/**
 * Starts the example API on the embedded store, in the folder `.rescind` or what `RESCIND_DATA_DIR` names, or on Redis
 * where `REDIS_URL` (or another `REDIS_…`) is set. `RESCIND_STORE=memory` keeps nothing.
 */
import type { AddressInfo } from 'node:net'
import { openStore, RescindError, type Store } from 'rescind'
import { makeApp } from './app.js'
import { makeKeys } from './keys.js'

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
  const { app } = await makeApp(store, env, await makeKeys(store.kind === 'lmdb' ? folder : undefined))
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
  printHelp((server.address() as AddressInfo).port, store, folder)

  const stop = () => {
    setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref()
    server.close(() => void store.close())
    server.closeIdleConnections()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
}

function portOf(env: NodeJS.ProcessEnv): number {
  const text = env.PORT ?? ''
  if (text === '') return PORT_NORMAL
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new Refusal('PORT must be a whole number from 0 to 65535')
  return Number(text)
}

function printHelp(port: number, store: Store, folder: string | undefined): void {
  const url = `http://localhost:${port}`
  const where = store.kind === 'lmdb' ? (folder ?? 'the folder that RESCIND_DATA_DIR_FILE names') : 'memory'
  const kept =
    store.kind === 'redis' ? 'on Redis' : `on the embedded store in ${where} (set REDIS_URL for Redis)`
  console.log(`Rescind example API ${kept}, listening on ${url}

Log in, use the token, log out, and see it refused:

  TOKEN=$(curl -s -X POST ${url}/login -H 'content-type: application/json' -d '{"user":"alice"}' | node -pe 'JSON.parse(fs.readFileSync(0)).access_token')
  curl -i ${url}/me -H "authorization: Bearer $TOKEN"
  curl -i -X POST ${url}/logout -H "authorization: Bearer $TOKEN"
  curl -i ${url}/me -H "authorization: Bearer $TOKEN"

Log a person out everywhere:  curl -i -X POST ${url}/logout-everywhere -H "authorization: Bearer $TOKEN"
Health, open to all:          curl -i ${url}/healthz
`)
}
