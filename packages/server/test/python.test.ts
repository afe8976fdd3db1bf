/** Another language: Python's standard library revokes by HTTP, and a route of a Node application refuses at once. */
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { Gate, RedisConnection, RedisStore, TokenManager } from 'rescind'
import { protect } from 'rescind/node'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeIssuer } from '../../rescind/test/support/issuer.js'
import { RedisServer } from '../../rescind/test/support/redis-server.js'
import { python } from './support/python.js'
import { startWorld } from './support/service.js'

const run = promisify(execFile)
const WITHIN_MS = 100

/** Reads its orders from the standard input: a token on a command line is seen by everybody on the machine. */
const PROGRAM = `
import base64, json, sys, time, urllib.error, urllib.parse, urllib.request
order = json.load(sys.stdin)

def status(url):
    request = urllib.request.Request(url, headers={"authorization": "Bearer " + order["token"]})
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code

before = status(order["route"])
form = urllib.parse.urlencode({"token": order["token"]}).encode()
basic = base64.b64encode((order["client"] + ":" + order["secret"]).encode()).decode()
request = urllib.request.Request(order["service"] + "/revoke", data=form, headers={"authorization": "Basic " + basic})
revoked = urllib.request.urlopen(request).status
start = time.monotonic()
while status(order["route"]) == 200 and time.monotonic() - start < 5:
    pass
print(json.dumps({"before": before, "revoked": revoked, "ms": (time.monotonic() - start) * 1000, "after": status(order["route"])}))
`

let redis: RedisServer
beforeAll(async () => {
  redis = await RedisServer.start()
})
afterAll(() => redis.stop())

it(`a token that Python revokes is refused by a Node route within ${WITHIN_MS} ms`, async () => {
  const issuer = await makeIssuer()
  const env = { REDIS_URL: `redis://127.0.0.1:${redis.port}` }
  await using world = await startWorld({ issuer, env, store: null })
  const store = RedisStore.fromEnv(env, RedisConnection.fromEnv(env))
  const manager = new TokenManager({ store, verifier: issuer.verifier })
  const gate = new Gate({ manager })
  const route = protect(gate, (_request, response) => {
    response.end('hello')
  })
  const server = createServer((request, response) => void route(request, response)).listen(0, '127.0.0.1')
  try {
    await manager.ready()
    const { port } = server.address() as AddressInfo
    const order = {
      token: await issuer.sign({ client_id: 'app' }),
      route: `http://127.0.0.1:${port}/`,
      service: world.url,
      client: 'app',
      secret: world.keys.app,
    }
    const { path, env: pythonEnv } = await python()
    const running = run(path, ['-c', PROGRAM], { env: pythonEnv, timeout: 20_000 })
    running.child.stdin?.end(JSON.stringify(order))
    const answer = JSON.parse((await running).stdout) as Record<string, number>
    expect(answer).toMatchObject({ before: 200, revoked: 200, after: 401 })
    expect(answer.ms).toBeLessThan(WITHIN_MS)
  } finally {
    server.close()
    await manager.close()
  }
})
