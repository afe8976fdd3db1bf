import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TokenManager } from 'rescind'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../../rescind/test/support/until.js'
import { type Place, PLACES } from './support/backends.js'
import { run, runJson, start } from './support/command.js'

describe.each(Object.keys(PLACES))('on %s the command', (name) => {
  let place: Place
  beforeAll(async () => {
    place = await (PLACES[name] as () => Promise<Place>)()
  })
  afterAll(async () => {
    await place[Symbol.asyncDispose]()
  })
  const ask = (...args: string[]) => run(args, { env: place.env })
  const askJson = (...args: string[]) => runJson(args, { env: place.env })

  it('revokes by claims, says so by its exit code, and restores', async () => {
    const claims = ['--claim', 'sub=alice', '--claim', 'client_id=app']
    expect((await ask('check', ...claims)).code).toBe(0)
    const made = await askJson('revoke', ...claims, '--reason', 'lost laptop')
    expect(Object.keys(made).sort()).toEqual(
      ['ack', 'actor', 'expiresAt', 'id', 'issuedBefore', 'reason', 'revokedAt', 'target'].sort(),
    )
    expect(made).toMatchObject({
      target: { sub: 'alice', client_id: 'app' },
      reason: 'lost laptop',
      ack: 'accepted',
    })
    const checked = await run(['check', ...claims, '--json'], { env: place.env })
    expect(checked.code).toBe(3)
    expect(JSON.parse(checked.out)).toMatchObject({
      status: 'revoked',
      revocation: { id: made.id, reason: 'lost laptop', expiresAt: made.expiresAt },
    })
    // Issued later, it is another matter.
    expect((await ask('check', ...claims, '--issued-at', String(Number(made.issuedBefore) + 1))).code).toBe(0)
    expect((await ask('check', ...claims, '--issued-at', String(made.issuedBefore))).code).toBe(3)
    expect((await ask('check', '--claim', 'sub=alice')).code).toBe(0)
    expect(await askJson('restore', ...claims)).toEqual({ restored: true })
    expect(await askJson('restore', ...claims)).toEqual({ restored: false })
    expect((await ask('check', ...claims)).code).toBe(0)
  })

  it('revokes a token from the standard input or a file, and none that is not genuine', async () => {
    const { issuer, env } = place
    const [first, second] = [await issuer.sign({ sub: 'bob' }), await issuer.sign({ sub: 'bob' })]
    expect((await run(['check'], { env, input: `${first}\n` })).code).toBe(0)
    const revoked = await run(['revoke', '--json'], { env, input: `Bearer ${first}\n` })
    expect(JSON.parse(revoked.out)).toMatchObject({ issuedBefore: null, target: { jti: expect.any(String) } })
    expect((await run(['check'], { env, input: first })).code).toBe(3)
    expect((await run(['check'], { env, input: second })).code).toBe(0)

    const folder = mkdtempSync(join(tmpdir(), 'rescind-token-'))
    try {
      const file = join(folder, 'token')
      writeFileSync(file, second)
      expect((await ask('revoke', '--token-file', file)).code).toBe(0)
      expect((await ask('check', '--token-file', file)).code).toBe(3)
      expect(await askJson('restore', '--token-file', file)).toEqual({ restored: true })
      expect((await ask('check', '--token-file', file)).code).toBe(0)
    } finally {
      rmSync(folder, { recursive: true })
    }

    const expired = await issuer.sign({ exp: Math.floor(Date.now() / 1000) - 60 })
    for (const token of ['abc', `${second.slice(0, -4)}AAAA`, expired]) {
      for (const command of ['revoke', 'check']) {
        const refused = await run([command, '--json'], { env, input: token })
        expect(refused.code).toBe(5)
        expect(JSON.parse(refused.err)).toMatchObject({
          error: { code: expect.stringMatching(/^ERR_TOKEN_/) },
        })
      }
    }
    expect((await run(['revoke'], { env, input: '' })).code).toBe(2)
  })

  it('says what it would do, and does nothing', async () => {
    const claims = ['--claim', 'sub=carol', '--lifetime', '1h']
    const preview = await askJson('revoke', ...claims, '--dry-run')
    expect(preview).toMatchObject({ dryRun: true, scope: 'claims', effect: 'new', standing: [] })
    expect((await ask('check', '--claim', 'sub=carol')).code).toBe(0)
    await askJson('revoke', ...claims)
    expect(await askJson('revoke', '--claim', 'sub=carol', '--lifetime', '2h', '--dry-run')).toMatchObject({
      effect: 'extends',
      standing: [{ target: { sub: 'carol' } }],
    })
    const token = await place.issuer.sign()
    const ofToken = await run(['revoke', '--dry-run', '--json'], { env: place.env, input: token })
    expect(JSON.parse(ofToken.out)).toMatchObject({ scope: 'token', effect: 'new', issuedBefore: null })
    await askJson('restore', '--claim', 'sub=carol')
  })

  it('revokes everything only where it is told twice, and takes it back', async () => {
    const refused = await ask('revoke', '--everything')
    expect(refused.code).toBe(2)
    expect(refused.err).toContain('--yes')
    expect((await ask('check', '--claim', 'sub=anybody')).code).toBe(0)
    expect(await askJson('revoke', '--everything', '--yes', '--reason', 'leak')).toMatchObject({ target: {} })
    expect((await ask('check', '--claim', 'sub=anybody')).code).toBe(3)
    expect(await askJson('restore', '--everything')).toEqual({ restored: true })
    expect((await ask('check', '--claim', 'sub=anybody')).code).toBe(0)
  })

  it('lists in pages, by claims, by who did it and since when', async () => {
    for (const sub of ['p1', 'p2', 'p3', 'p4', 'p5'])
      await askJson('revoke', '--claim', `sub=${sub}`, '--claim', 'tenant=pages')
    const subs = (page: Record<string, unknown>) =>
      (page.revocations as { target: { sub: string } }[]).map(({ target }) => target.sub)
    const first = await askJson('list', '--claim', 'tenant=pages', '--limit', '2')
    expect(subs(first)).toEqual(['p5', 'p4'])
    const second = await askJson(
      'list',
      '--claim',
      'tenant=pages',
      '--limit',
      '3',
      '--cursor',
      String(first.cursor),
    )
    expect(subs(second)).toEqual(['p3', 'p2', 'p1'])
    const all = await run(['list', '--claim', 'tenant=pages', '--all', '--json'], { env: place.env })
    expect(all.out.trim().split('\n')).toHaveLength(5)
    expect(subs(await askJson('list', '--actor', 'nobody-of-this-name'))).toEqual([])
    expect(subs(await askJson('list', '--claim', 'tenant=pages', '--since', '-1h'))).toHaveLength(5)
    const human = await ask('list', '--claim', 'tenant=pages', '--limit', '2')
    expect(human.out).toMatch(/^TARGET +ISSUED UNTIL +REVOKED +DEAD UNTIL +BY +REASON\n/)
    expect(human.out).toContain('sub=p5 tenant=pages')
    expect(human.err).toContain('--cursor')
    expect(human.out + human.err).not.toContain('\u001b')
  })

  it('tells what does not fit from what is not there', async () => {
    await askJson('revoke', '--claim', 'sub=there')
    for (const filter of [
      ['--actor', 'nobody-of-this-name'],
      ['--claim', 'sub=nobody'],
      ['--search', 'no such text'],
    ])
      for (const all of [[], ['--all']])
        expect((await ask('list', ...filter, ...all)).out).toBe('Nothing that stands fits.\n')
  })

  it('lists in every order, in pages, and what holds a text', async () => {
    const HOURS = { o1: 5, o2: 1, o3: 3, o4: 4, o5: 2 }
    for (const [sub, hours] of Object.entries(HOURS))
      await askJson('revoke', '--claim', `sub=${sub}`, '--lifetime', `${hours}h`, '--reason', `Order ${sub}`)
    const nodes = JSON.stringify((await askJson('nodes')).nodes)
    type Page = { cursor?: string; revocations: { target: { sub: string }; revokedAt: number }[] }
    const page = async (...args: string[]) =>
      (await askJson('list', '--search', 'ORDER O', '--limit', '3', ...args)) as unknown as Page
    for (const [order, subs] of Object.entries({
      newest: ['o5', 'o4', 'o3', 'o2', 'o1'],
      oldest: undefined,
      'ending-first': ['o2', 'o5', 'o3', 'o4', 'o1'],
      'ending-last': ['o1', 'o4', 'o3', 'o5', 'o2'],
    })) {
      const first = await page('--order', order)
      expect(first.revocations).toHaveLength(3)
      const second = await page('--order', order, '--cursor', first.cursor as string)
      const found = [...first.revocations, ...second.revocations]
      // Those of one second are in the order of their ends.
      if (subs === undefined) expect(found).toEqual(found.toSorted((a, b) => a.revokedAt - b.revokedAt))
      else expect(found.map(({ target }) => target.sub)).toEqual(subs)
      expect(found.map(({ target }) => target.sub).sort()).toEqual(Object.keys(HOURS))
      const all = await run(['list', '--search', 'order o', '--order', order, '--all', '--json'], {
        env: place.env,
      })
      expect(
        all.out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as unknown),
      ).toEqual(found)
    }
    const human = await ask('list', '--search', 'Order o', '--order', 'oldest', '--limit', '2')
    expect(human.err).toMatch(/--order oldest --cursor oldest:\S+/)
    if (name !== 'a service') expect(JSON.stringify((await askJson('nodes')).nodes)).toBe(nodes)
  })

  it('watches changes in order, ends with a signal, and goes on where it ended', async () => {
    const watching = start(['watch', '--json'], { env: place.env })
    const lines = () => watching.out.trim().split('\n').filter(Boolean)
    // What is changed before it has begun is not told.
    await until(
      async () => {
        await askJson('revoke', '--claim', 'sub=warm-up', '--lifetime', `${1000 + lines().length}s`)
        return lines().length > 0
      },
      { what: 'the first change', timeoutMs: 20_000 },
    )
    await askJson('revoke', '--claim', 'sub=watched', '--reason', 'seen')
    // What is over before it is read has no more to tell than that.
    await until(() => lines().some((line) => line.includes('"seen"')), { what: 'the revocation' })
    await askJson('restore', '--claim', 'sub=watched')
    await until(() => lines().some((line) => line.includes('"restored"')), { what: 'the restore' })
    const changes = lines().map(
      (line) =>
        JSON.parse(line) as {
          type: string
          position: string
          revocation?: { target: object; reason?: string }
        },
    )
    const at = changes.findIndex(({ revocation }) => revocation?.reason === 'seen')
    expect(changes[at]).toMatchObject({ type: 'revoked', revocation: { target: { sub: 'watched' } } })
    expect(changes[at + 1]).toMatchObject({ type: 'restored', target: { sub: 'watched' } })
    watching.child.kill('SIGINT')
    expect((await watching.ended).code).toBe(0)

    const again = start(['watch', '--json', '--after', changes[at]?.position as string], { env: place.env })
    await until(() => again.out.includes('\n'), { what: 'the change after' })
    again.child.kill('SIGTERM')
    expect(JSON.parse((await again.ended).out.split('\n')[0] as string)).toMatchObject({
      type: 'restored',
      target: { sub: 'watched' },
    })
  })

  it('names the nodes, waits for them, and counts', async () => {
    await using node = disposable(
      new TokenManager({ store: place.openStore(), nodeName: 'edge-7' }),
      name !== 'a service',
    )
    await node.manager.ready()
    await until(async () => JSON.stringify(await askJson('nodes')).includes('edge-7'), { what: 'the node' })
    const receipt = await askJson('revoke', '--claim', 'sub=far', '--everywhere', '--timeout', '10s')
    expect(receipt).toMatchObject({ ack: 'everywhere', nodes: expect.arrayContaining(['edge-7']) })
    expect(node.manager.checkNow({ sub: 'far' })?.status).toBe('revoked')
    const { out } = await ask('nodes')
    expect(out).toMatch(/^NODE +REVOCATIONS +HEARD FROM THE STORE +SEEN\n/)
    expect(out).toMatch(/edge-7 +\d+ +\d+ ms ago +\d+ ms ago/)
    const counted = await askJson('stats')
    expect(counted).toMatchObject({ nodes: expect.any(Number), byClaims: { sub: expect.any(Number) } })
    expect(counted.standing).toBeGreaterThan(0)
    expect((await ask('stats')).out).toMatch(/^standing +\d+/)
  })

  it('makes clients whose keys are shown once, rotates, disables and removes them', async () => {
    const made = await run(
      ['clients', 'make', 'ci', '--role', 'revoke:any', '--role', 'read', '--name', 'Pipeline'],
      {
        env: place.env,
      },
    )
    expect(made.out).toMatch(/^rsk_[0-9a-f]{12}_[A-Za-z0-9_-]{43}\n$/)
    const twice = await ask('clients', 'make', 'ci', '--role', 'read')
    expect(twice.code).not.toBe(0)
    expect(twice.err).toContain('rotate')
    const rotated = await askJson('clients', 'rotate', 'ci')
    expect(rotated.key).toMatch(/^rsk_/)
    const listed = async () =>
      ((await askJson('clients', 'list')).clients as { id: string }[]).find(
        ({ id }) => id === 'ci',
      ) as Record<string, unknown>
    expect(await listed()).toMatchObject({
      name: 'Pipeline',
      roles: ['revoke:any', 'read'],
      isDisabled: false,
      source: 'records',
      keys: [{ expiresAt: expect.any(Number) }, { id: String(rotated.key).split('_')[1] }],
    })
    await askJson('clients', 'disable', 'ci')
    expect(await listed()).toMatchObject({ isDisabled: true })
    await askJson('clients', 'enable', 'ci')
    expect(await listed()).toMatchObject({ isDisabled: false })
    const { out } = await run(['clients', 'list'], { env: place.env })
    expect(out).toMatch(/ci +revoke:any read/)
    expect(out + JSON.stringify(await listed())).not.toContain('scrypt')
    await askJson('clients', 'remove', 'ci')
    expect(await listed()).toBeUndefined()
    const missing = await ask('clients', 'rotate', 'ci')
    expect(missing.code).not.toBe(0)
    expect(missing.err).toContain('clients list')
  })

  it('tells how it is doing by the exit code of doctor, and measures', async () => {
    const found = await run(['doctor', '--json'], { env: place.env })
    const { worst, findings } = JSON.parse(found.out) as { worst: string; findings: object[] }
    expect(found.code).toBe({ critical: 8, warning: 7, info: 0, none: 0 }[worst])
    for (const finding of findings)
      expect(finding).toMatchObject({
        code: expect.any(String),
        severity: expect.any(String),
        action: expect.any(String),
      })
    expect((await ask('doctor')).out).toMatch(/\d+ critical, \d+ warnings, \d+ to know\n$/)
    const bench = await askJson('bench', '--seconds', '1')
    expect(bench).toMatchObject({
      strict: { checksPerSecond: expect.any(Number), p99Ms: expect.any(Number) },
    })
    expect((bench.strict as { checksPerSecond: number }).checksPerSecond).toBeGreaterThan(10)
  })
})

function disposable(manager: TokenManager, ownsStore: boolean) {
  return {
    manager,
    [Symbol.asyncDispose]: async () => {
      if (ownsStore) await manager.close()
      else await manager.replica?.close()
    },
  }
}
