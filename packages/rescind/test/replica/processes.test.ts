/** One replica a process, and one a worker thread that checks; managers of a process cost no connection of their own. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { SignJWT } from 'jose'
import { expect, it } from 'vitest'
import { RedisStore } from '../../src/redis/store.js'
import { TokenManager } from '../../src/token-manager.js'
import { rememberToken } from '../support/canary.js'
import { AUDIENCE, ISSUER } from '../support/issuer.js'
import { patientConnection } from '../support/patient.js'
import { RedisServer } from '../support/redis-server.js'
import { until } from '../support/until.js'

const TSX = ['--import', 'tsx']
/** A thread loads TypeScript only when told so from within. */
const LOAD_TS = `import('tsx/esm/api').then(({ register }) => {
  register()
  return import(require('node:worker_threads').workerData.file)
})`
const SECRET = 'a secret of at least thirty-two bytes'

async function clientsOf(server: RedisServer, role: string): Promise<number> {
  return (await server.command<string>('CLIENT', 'LIST'))
    .split('\n')
    .filter((line) => line.includes(`name=rescind-${role} `)).length
}

it('on node:cluster every worker is a node, the primary is none, and a log-out on one counts on all', async () => {
  const server = await RedisServer.start()
  const outside = new TokenManager({
    store: new RedisStore(patientConnection({ url: server.url })),
    replica: false,
  })
  const app = fork(new URL('../support/cluster-app.ts', import.meta.url), [server.url, '3', SECRET], {
    execArgv: TSX,
  })
  const hasEnded = once(app, 'exit')
  try {
    const [{ port }] = (await once(app, 'message')) as [{ port: number }]
    // A node that is ready may still be on its way to the list: until then no receipt waits for it.
    await until(async () => (await outside.nodes()).length === 3, { what: 'all nodes' })
    // One socket a process for the log: following costs Redis nothing more than that.
    expect(await clientsOf(server, 'log')).toBe(3 + 1)
    const now = Math.floor(Date.now() / 1000)
    const token = await new SignJWT({ sub: 'alice', client_id: 'app', jti: '1', iat: now, exp: now + 600 })
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .sign(new TextEncoder().encode(SECRET))
    rememberToken(token)
    const ask = async (path: string) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        headers: { authorization: `Bearer ${token}` },
      })
      return { status: response.status, body: await response.text() }
    }
    const pids = new Set<string>()
    const statuses = new Set<number>()
    await until(
      async () => {
        const { status, body } = await ask('/')
        statuses.add(status)
        return pids.add(body).size === 3
      },
      { what: 'all workers to have served', timeoutMs: 10_000 },
    )
    expect([...statuses]).toEqual([200])
    expect((await ask('/logout')).status).toBe(200)
    for (let i = 0; i < 30; i++) expect((await ask('/')).status).toBe(401)
  } finally {
    if (app.connected) app.disconnect()
    await hasEnded
    await outside.close()
    await server.stop()
  }
})

it('worker threads that check are nodes of their own', async () => {
  const server = await RedisServer.start()
  const main = new TokenManager({
    store: new RedisStore(patientConnection({ url: server.url })),
    nodeName: 'main',
  })
  const threads = ['one', 'two'].map(
    (nodeName) =>
      new Worker(LOAD_TS, {
        eval: true,
        workerData: {
          url: server.url,
          nodeName,
          file: new URL('../support/thread-node.ts', import.meta.url).href,
        },
      }),
  )
  /** From its memory, once it is fresh: a thread that was held up for a second is not. */
  const ask = (thread: Worker) => {
    const answer = async () => {
      thread.postMessage({ sub: 'alice' })
      const [said] = (await once(thread, 'message')) as [string]
      return said !== 'stale' && said
    }
    return until(answer, { what: 'a thread that is fresh' })
  }
  try {
    const ready = threads.map((thread) => once(thread, 'message'))
    await main.ready()
    expect(await Promise.all(ready)).toEqual([['ready'], ['ready']])
    await until(async () => (await main.nodes()).length === 3, { what: 'all nodes' })
    for (const thread of threads) expect(await ask(thread)).toBe('clear')
    const receipt = await main.revoke({ sub: 'alice' }, { ack: 'everywhere' })
    expect(receipt.nodes).toEqual(['main', 'one', 'two'])
    for (const thread of threads) expect(await ask(thread)).toBe('revoked')
    for (const thread of threads) thread.postMessage('close')
    await until(async () => (await main.nodes()).length === 1, { what: 'the threads to retire' })
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()))
    await main.close()
    await server.stop()
  }
})

it.each([
  { name: 'a manager follows the log from its first revocation on', replica: true, count: 1 },
  { name: 'a manager without a replica opens no socket for the log', replica: false, count: 0 },
])('$name', async ({ replica, count }) => {
  const server = await RedisServer.start()
  const manager = new TokenManager({
    store: new RedisStore(patientConnection({ url: server.url })),
    replica,
  })
  try {
    await manager.store.ping()
    expect(await clientsOf(server, 'log')).toBe(0)
    await manager.revoke({ sub: 'alice' })
    expect((await manager.check({ sub: 'bob', iat: 1 })).status).toBe('clear')
    const isFollowing = async () => (await clientsOf(server, 'bell')) === count
    await until(isFollowing, { what: 'the doorbell' })
    expect(await clientsOf(server, 'writes')).toBe(1)
    expect(await clientsOf(server, 'log')).toBe(count)
  } finally {
    await manager.close()
    await server.stop()
  }
})
