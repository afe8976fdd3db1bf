/** Gateway: Caddy asks the service about each request, and an application that knows nothing of tokens is guarded. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parseConfig, Service } from '@rescind/server'
import { exportJWK, generateKeyPair } from 'jose'
import { MemoryStore } from 'rescind'
import { debianPackage } from '../../../packages/rescind/test/support/debian-package.js'
import { AUDIENCE, ISSUER, makeApp } from './app.js'

const CADDYFILE = join(import.meta.dirname, '../Caddyfile')
/** Of what Caddy has written, the end is kept: it says why it does not start. */
const LOG_LENGTH_MAX = 2000
const { PORT = '3000' } = process.env

const { publicKey, privateKey } = await generateKeyPair('ES256')

const app = makeApp(privateKey).listen(0, '127.0.0.1')
await once(app, 'listening')

// What `rescind serve` reads from rescind.yaml.
const config = parseConfig({
  listen: { port: 0 },
  issuers: [
    {
      issuer: ISSUER,
      audience: AUDIENCE,
      algorithms: ['ES256'],
      jwks: { keys: [{ ...(await exportJWK(publicKey)) }] },
    },
  ],
  profiles: {
    api: {
      scope: 'orders',
      routes: [
        { path: '/login/*', public: true },
        { path: '/admin/*', scope: 'admin' },
      ],
    },
  },
  log: { level: 'warn' },
})
const service = await Service.start({ config, store: new MemoryStore() })

const caddy = await findCaddy()
const gateway = spawn(caddy.path, ['run', '--adapter', 'caddyfile', '--config', CADDYFILE], {
  env: {
    ...caddy.env,
    GATEWAY_PORT: PORT,
    SERVICE_PORT: new URL(service.url).port,
    APP_PORT: String((app.address() as AddressInfo).port),
  },
  stdio: ['ignore', 'ignore', 'pipe'],
})
const gone = once(gateway, 'exit')
let written = ''
const serving = new Promise<void>((resolve) => {
  gateway.stderr.on('data', (chunk: Buffer) => {
    written = (written + chunk.toString()).slice(-LOG_LENGTH_MAX)
    if (written.includes('serving initial configuration')) resolve()
  })
})
await Promise.race([serving, gone])
if (gateway.exitCode !== null) throw new Error(`Caddy ended: ${written}`)
const url = `http://127.0.0.1:${PORT}`

console.log(`Caddy listens on ${url}, the service on ${service.url}. Call yourself somebody else, then be revoked:

  ALICE=$(curl -s -X POST ${url}/login/alice)
  KEY=${service.firstAdmin?.key}
  curl -i ${url}/orders
  curl -i ${url}/orders -H "authorization: Bearer $ALICE" -H 'x-auth-subject: root'
  curl -i ${url}/admin/users -H "authorization: Bearer $ALICE"
  curl -i ${service.url}/api/v1/revocations -H "authorization: Bearer $KEY" -H 'content-type: application/json' -d '{"target":{"sub":"alice"},"reason":"stolen phone","ack":"everywhere"}'
  curl -i ${url}/orders -H "authorization: Bearer $ALICE"
`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    gateway.kill()
    void gone.then(async () => {
      app.close()
      await service.stop()
    })
  })
}

/** The one that is installed, else Debian's, unpacked beside this repository's caches. */
async function findCaddy(): Promise<{ path: string; env: NodeJS.ProcessEnv }> {
  if (spawnSync('caddy', ['version']).status === 0) return { path: 'caddy', env: process.env }
  const { root, env } = await debianPackage('caddy')
  return { path: join(root, 'usr/bin/caddy'), env }
}
