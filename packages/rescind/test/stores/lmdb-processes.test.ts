/** Several processes on one file: what one revokes, the others refuse; receipts wait for all of them. */
import { copyFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { LmdbStore } from '../../src/stores/lmdb.js'
import { NODE_LIFE_MS } from '../../src/stores/store.js'
import { JwtVerifier } from '../../src/token/jwt-verifier.js'
import { TokenManager } from '../../src/token-manager.js'
import { Agent } from '../support/agent.js'
import { rememberToken } from '../support/canary.js'
import { until } from '../support/until.js'
import type { LmdbNodeAnswers } from './lmdb-node.js'

let path: string
let manager: TokenManager
const nodes: Node[] = []
type Node = Agent<LmdbNodeAnswers>
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'rescind-processes-'))
  manager = new TokenManager({ store: LmdbStore.open({ path }), nodeName: 'main' })
})
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.stop()
  await manager.close()
  await rm(path, { recursive: true })
})

async function startNode(name: string): Promise<Node> {
  const node = await Agent.start<LmdbNodeAnswers>(new URL('./lmdb-node.ts', import.meta.url), {
    args: [path, name],
  })
  nodes.push(node)
  return node
}

/** What it says from memory, once it is fresh: a process that was held up for a second is not. */
function check(node: Node, sub: string): Promise<string> {
  return until(() => node.call('check', sub), { what: 'a node that is fresh' })
}

it('a receipt waits for every process, and names one that stands still', async () => {
  const [one, two] = [await startNode('one'), await startNode('two')]
  await manager.ready()
  await until(async () => (await manager.nodes()).length === 3, { what: 'all nodes' })
  expect(await check(one, 'alice')).toBe('clear')
  const receipt = await manager.revoke({ sub: 'alice' }, { ack: 'everywhere' })
  expect(receipt.nodes).toEqual(['main', 'one', 'two'])
  for (const node of [one, two]) expect(await check(node, 'alice')).toBe('revoked')

  process.kill(two.pid, 'SIGSTOP')
  // Enough for the other one; the line of the one that stands still lives for as long again.
  const timeoutMs = NODE_LIFE_MS / 2
  await expect(manager.revoke({ sub: 'bob' }, { ack: 'everywhere', timeoutMs })).rejects.toMatchObject({
    code: 'ERR_ACK_NOT_REACHED',
    problems: ['two'],
  })
  process.kill(two.pid, 'SIGCONT')
  await until(async () => (await two.call('check', 'bob')) === 'revoked', { what: 'the node to go on' })

  await one.stop()
  await until(async () => (await manager.nodes()).length === 2, { what: 'the dead node to be forgotten' })
})

it('a node is told of once, though its line is just being written anew', async () => {
  await manager.ready()
  await until(async () => (await manager.nodes()).length === 1, { what: 'the node' })
  const folder = join(path, 'nodes')
  const [line] = await readdir(folder)
  // As a process leaves it between writing and renaming.
  await copyFile(join(folder, line as string), join(folder, `${line as string}.4711`))
  expect((await manager.nodes()).map(({ name }) => name)).toEqual(['main'])
})

it('the doorbell rings in other processes', async () => {
  const one = await startNode('one')
  const store = LmdbStore.open({ path })
  try {
    let heard = 0
    const stop = store.onBell(() => heard++)
    // This store writes nothing and polls nothing: what it hears comes from the other process.
    await until(
      async () => {
        await one.call('revoke', `person-${heard}`)
        return heard > 0
      },
      { what: 'the doorbell' },
    )
    stop()
  } finally {
    await store.close()
  }
})

it('no part of a token is in the file', async () => {
  const secret = new TextEncoder().encode('a secret of at least thirty-two bytes')
  const verifier = new JwtVerifier({
    issuer: 'https://as.example',
    audience: 'api',
    algorithms: ['HS256'],
    secret,
  })
  const withVerifier = new TokenManager({ store: LmdbStore.open({ path }), verifier, replica: false })
  for (const jti of ['id-of-the-token', 'id-of-another']) {
    const token = await new SignJWT({ client_id: 'app', sub: 'canary-person' })
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
      .setIssuer('https://as.example')
      .setAudience('api')
      .setIssuedAt()
      .setExpirationTime('15m')
      .setJti(jti)
      .sign(secret)
    rememberToken(token)
    await withVerifier.revokeToken(token, { reason: 'log-out' })
    const text = (await readFile(join(path, 'rescind.mdb'))).toString('latin1')
    for (const part of token.split('.')) expect(text).not.toContain(part)
    expect(text).not.toContain('canary-person')
    expect(text).toContain(jti)
  }
  await withVerifier.close()
})
