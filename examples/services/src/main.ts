/**
 * Several services: one issues tokens, two take them, in TypeScript and in Python, and a log-out at one is a log-out at
 * both. This starts the revocation service, makes a client of it for each of the two, and starts them all.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseConfig, Service } from '@rescind/server'
import { MemoryStore } from 'rescind'
import { python } from '../../../packages/server/test/support/python.js'

const ISSUER = 'https://accounts.example'
const AUDIENCE = 'https://api.example'
const { PORT = '3000' } = process.env
const base = Number(PORT)

const children: ChildProcess[] = []
// Also where the start of a later one fails.
process.once('exit', () => children.forEach((child) => child.kill()))
const tokens = { ISSUER, AUDIENCE }
const typescript = (file: string) => [process.execPath, '--import', 'tsx', join(import.meta.dirname, file)]

const login = await start(typescript('login.ts'), 1, tokens)
const jwksUrl = `${login}/jwks.json`

// What `rescind serve` reads from rescind.yaml.
const config = parseConfig({
  listen: { port: base },
  issuers: [{ issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], jwksUrl }],
  log: { level: 'warn' },
})
const service = await Service.start({ config, store: new MemoryStore() })
const { url } = service

const orders = await start(typescript('orders.ts'), 2, {
  ...tokens,
  JWKS_URL: jwksUrl,
  RESCIND_URL: url,
  RESCIND_KEY: await makeClient('orders', { roles: ['read', 'revoke:any'] }),
})
const { path, env } = await python()
const reports = await start([path, join(import.meta.dirname, 'reports.py')], 3, {
  ...env,
  RESCIND_URL: url,
  RESCIND_KEY: await makeClient('reports', { roles: ['introspect', 'revoke:any'], audiences: [AUDIENCE] }),
})

console.log(`The revocation service listens on ${url}, the log-in on ${login}, orders (TypeScript) on ${orders}, and
reports (Python) on ${reports}. Log out at one, and be refused by the other:

  ALICE=$(curl -s -X POST ${login}/login/alice)
  BOB=$(curl -s -X POST ${login}/login/bob)
  curl -i ${orders} -H "authorization: Bearer $ALICE"
  curl -i ${reports} -H "authorization: Bearer $ALICE"
  curl -i -X POST ${orders}/logout -H "authorization: Bearer $ALICE"
  curl -i ${reports} -H "authorization: Bearer $ALICE"
  curl -i -X POST ${reports}/logout -H "authorization: Bearer $BOB"
  curl -i ${orders} -H "authorization: Bearer $BOB"
`)

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of children) child.kill('SIGTERM')
    void service.stop()
  })
}

/** Starts a program on a port above that of the service, or on a free one where that is 0; resolves with its address. */
async function start([command = '', ...args]: string[], offset: number, env: NodeJS.ProcessEnv) {
  const port = base === 0 ? 0 : base + offset
  const child = spawn(command, args, {
    env: { ...process.env, ...env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${args.at(-1)} ended with ${code} before it listened`)
  })
  const line = once(child.stdout, 'data').then(([chunk]) => String(chunk))
  return /http:\S+/.exec(await Promise.race([line, ended]))?.[0] ?? ''
}

/** A client of the revocation service, by its API; the key is told once. */
async function makeClient(id: string, rights: { roles: string[]; audiences?: string[] }): Promise<string> {
  const response = await fetch(`${url}/api/v1/clients`, {
    method: 'POST',
    headers: { authorization: `Bearer ${service.firstAdmin?.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ id, ...rights }),
  })
  if (!response.ok) throw new Error(`no client could be made: ${response.status}`)
  return ((await response.json()) as { key: string }).key
}
