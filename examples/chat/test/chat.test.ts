/** Two nodes of the chat: who logs out on one is thrown out on the other. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { rememberToken } from '../../../packages/rescind/test/support/canary.js'
import { freePort } from '../../../packages/rescind/test/support/free-port.js'
import { spawnLeashed } from '../../../packages/rescind/test/support/leash.js'
import { RedisServer } from '../../../packages/rescind/test/support/redis-server.js'
import { until } from '../../../packages/rescind/test/support/until.js'

const START = join(import.meta.dirname, '../../start.ts')
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

function launch(env: Record<string, string>) {
  const { REDIS_URL: _, PORT: __, ...inherited } = process.env
  const child = spawnLeashed(process.execPath, ['--import', 'tsx', START, 'chat'], {
    env: { ...inherited, ...env },
  })
  children.push(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return { child, output: () => output, ended: once(child, 'close').then(([code]) => code as number | null) }
}

async function logIn(url: string, user: string): Promise<string> {
  const response = await fetch(`${url}/login`, { method: 'POST', body: JSON.stringify({ user }) })
  const { access_token } = (await response.json()) as { access_token: string }
  rememberToken(access_token)
  return access_token
}

const logOut = (url: string, token: string) =>
  fetch(`${url}/logout`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })

/** A person in the chat, with what was said and how it ended. */
async function enter(url: string, token: string, by: 'header' | 'query' = 'header') {
  const address = url.replace('http', 'ws')
  const socket =
    by === 'header'
      ? new WebSocket(address, { headers: { authorization: `Bearer ${token}` } })
      : new WebSocket(`${address}/?access_token=${token}`)
  const heard: unknown[] = []
  socket.on('message', (data: Buffer) => heard.push(JSON.parse(data.toString())))
  const closed = once(socket, 'close').then(([code, reason]) => [code, String(reason)] as const)
  closed.catch(() => undefined)
  await once(socket, 'open')
  return { socket, heard, closed, say: (text: string) => socket.send(text) }
}

describe.each(['the embedded store', 'Redis'])('the example chat on %s', (kind) => {
  it('throws a person out on node B who logs out on node A', async () => {
    const redis = kind === 'Redis' ? await RedisServer.start() : undefined
    try {
      const { child, output, ended } = launch({
        PORT: '0',
        ...(redis === undefined ? {} : { REDIS_URL: redis.url }),
      })
      await until(() => output().includes('node B'), { what: 'both nodes', timeoutMs: 20_000 })
      expect(output()).toContain(`Rescind example chat on ${kind}`)
      const [a, b] = [...output().matchAll(/node \w: (http:\S+)/g)].map(([, url]) => url) as [string, string]
      expect(await (await fetch(a)).text()).toContain('<title>Chat</title>')

      const [onA, onB, bobs] = [await logIn(a, 'alice'), await logIn(b, 'alice'), await logIn(b, 'bob')]
      // A token of one node is good on the other; a browser sends it in the query.
      const [aliceOnA, aliceOnB, bob] = [
        await enter(a, onA),
        await enter(b, onB, 'query'),
        await enter(a, bobs),
      ]
      aliceOnB.say('hello')
      const message = { from: 'alice', text: 'hello', via: 'B' }
      for (const { heard } of [aliceOnA, aliceOnB, bob])
        await until(() => heard.length === 1, { what: 'the message' })
      expect([aliceOnA.heard, bob.heard]).toEqual([[message], [message]])

      expect((await logOut(a, onA)).status).toBe(204)
      expect(await aliceOnA.closed).toEqual([4401, 'token revoked'])
      expect(await aliceOnB.closed).toEqual([4401, 'token revoked'])
      await expect(enter(b, onB)).rejects.toThrow('401')
      expect((await logOut(b, onB)).status).toBe(401)

      // The others stay, and the person may come back.
      const back = await enter(b, await logIn(b, 'alice'))
      bob.say('welcome back')
      await until(() => back.heard.length === 1, { what: 'the message' })
      expect(bob.socket.readyState).toBe(WebSocket.OPEN)
      await expect(enter(a, 'none')).rejects.toThrow('401')

      for (const body of ['{"user":""}', '{"user":5}', '{', 'null', `"${'x'.repeat(5000)}"`]) {
        expect((await fetch(`${a}/login`, { method: 'POST', body })).status).toBe(400)
      }
      if (redis !== undefined) {
        await redis.kill()
        expect((await logOut(a, bobs)).status).toBe(503)
      }
      child.kill('SIGTERM')
      expect(await ended).toBe(0)
    } finally {
      await redis?.stop()
    }
  })
})

it('the example chat ends with a clear line when Redis is set and cannot be reached', async () => {
  const { ended, output } = launch({ PORT: '0', REDIS_URL: `redis://:canary@127.0.0.1:${await freePort()}` })
  expect(await ended).toBe(1)
  expect(output()).toMatch(/^[^\n]*Redis[^\n]*\n$/)
  expect(output()).not.toContain('canary')
})
