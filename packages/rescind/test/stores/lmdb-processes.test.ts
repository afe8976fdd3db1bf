/** Several processes on one file: what one revokes, the others refuse; receipts wait for all of them. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { LmdbStore } from '../../src/stores/lmdb.js'
import { JwtVerifier } from '../../src/token/jwt-verifier.js'
import { TokenManager } from '../../src/token-manager.js'
import { rememberToken } from '../support/canary.js'
import { whenThisProcessEnds } from '../support/leash.js'
import { until } from '../support/until.js'

let path: string
let manager: TokenManager
const children: ChildProcess[] = []
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'rescind-processes-'))
  manager = new TokenManager({ store: LmdbStore.open({ path }), nodeName: 'main' })
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await manager.close()
  await rm(path, { recursive: true })
})

async function startNode(name: string): Promise<ChildProcess> {
  const child = fork(new URL('./lmdb-node.ts', import.meta.url), [path, name], {
    execArgv: ['--import', 'tsx'],
  })
  children.push(child)
  child.once(
    'exit',
    whenThisProcessEnds(() => child.kill('SIGKILL')),
  )
  await once(child, 'message')
  return child
}

async function ask(child: ChildProcess, message: { check?: string; revoke?: string }): Promise<string> {
  const answer = once(child, 'message')
  child.send(message)
  return ((await answer) as [string])[0]
}

it('a receipt waits for every process, and names one that stands still', async () => {
  const [one, two] = [await startNode('one'), await startNode('two')]
  await manager.ready()
  await until(async () => (await manager.nodes()).length === 3, { what: 'all nodes' })
  expect(await ask(one, { check: 'alice' })).toBe('clear')
  const receipt = await manager.revoke({ sub: 'alice' }, { ack: 'everywhere' })
  expect(receipt.nodes).toEqual(['main', 'one', 'two'])
  for (const child of [one, two]) expect(await ask(child, { check: 'alice' })).toBe('revoked')

  two.kill('SIGSTOP')
  await expect(manager.revoke({ sub: 'bob' }, { ack: 'everywhere', timeoutMs: 500 })).rejects.toMatchObject({
    code: 'ERR_ACK_NOT_REACHED',
    problems: ['two'],
  })
  two.kill('SIGCONT')
  await until(async () => (await ask(two, { check: 'bob' })) === 'revoked', { what: 'the node to go on' })

  one.kill('SIGKILL')
  await until(async () => (await manager.nodes()).length === 2, { what: 'the dead node to be forgotten' })
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
        await ask(one, { revoke: `person-${heard}` })
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
