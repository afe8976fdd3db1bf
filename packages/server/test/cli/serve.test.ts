import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { until } from '../../../rescind/test/support/until.js'
import { run, runJson, start } from './support/command.js'

it('a service that is started with nothing is asked with the key that it made, and beside it its own store', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rescind-serve-'))
  try {
    const serving = start(['serve'], { cwd: folder, env: { RESCIND_PORT: '0' } })
    try {
      const url = await until(() => /"url":"([^"]+)"/.exec(serving.out)?.[1], {
        what: 'the address of the service',
        timeoutMs: 20_000,
      })
      const keyFile = join(folder, '.rescind', 'admin-key')
      expect(existsSync(keyFile)).toBe(true)
      await until(() => serving.err.includes(keyFile), { what: 'where the key stands' })
      expect(serving.out + serving.err).not.toContain(readFileSync(keyFile, 'utf8').trim())

      const env = { RESCIND_URL: url, RESCIND_KEY_FILE: keyFile }
      await runJson(['revoke', '--claim', 'sub=alice'], { env })
      // The folder is found where the service was started.
      expect((await run(['check', '--claim', 'sub=alice'], { cwd: folder })).code).toBe(3)
      await runJson(['restore', '--claim', 'sub=alice'], { cwd: folder })
      expect((await run(['check', '--claim', 'sub=alice'], { env })).code).toBe(0)
      const { clients } = (await runJson(['clients', 'list'], { cwd: folder })) as {
        clients: { id: string }[]
      }
      expect(clients.map(({ id }) => id)).toEqual(['admin'])
      const trail = await fetch(`${url}/api/v1/audit`, {
        headers: { authorization: `Bearer ${readFileSync(keyFile, 'utf8').trim()}` },
      })
      expect(await trail.json()).toMatchObject({
        entries: [
          {
            operation: 'restore',
            via: 'command',
            client: expect.stringContaining('@'),
            target: { sub: 'alice' },
          },
          { operation: 'revoke', via: 'api', client: 'admin', target: { sub: 'alice' } },
        ],
      })
      const last = await run(['clients', 'remove', 'admin'], { env })
      expect(last.code).toBe(2)
      expect(last.err).toContain('another admin')

      const wrong = await run(['list', '--json'], { env: { RESCIND_URL: url, RESCIND_KEY: 'rsk_wrong' } })
      expect(wrong.code).toBe(1)
      expect(JSON.parse(wrong.err)).toMatchObject({ error: { code: 'ERR_STORE_REFUSED' } })
      const { key } = await runJson(['clients', 'make', 'viewer', '--role', 'read'], { env })
      const viewer = { RESCIND_URL: url, RESCIND_KEY: key as string }
      expect((await run(['list'], { env: viewer })).code).toBe(0)
      const notAllowed = await run(['revoke', '--claim', 'sub=a'], { env: viewer })
      expect(notAllowed.code).toBe(1)
      expect(notAllowed.err).toContain('revoke:any')
      const notOurs = await run(['list', '--url', `${url}/metrics`], { env })
      expect(notOurs.code).toBe(2)
      expect(notOurs.err).toContain('no Rescind service')
    } finally {
      serving.child.kill('SIGTERM')
    }
    expect(await serving.ended).toMatchObject({ code: 0, signal: null })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it('a watch goes on over a restart of the service, without a gap', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rescind-restart-'))
  const starting = async (port: string) => {
    const serving = start(['serve'], { cwd: folder, env: { RESCIND_PORT: port } })
    const url = await until(() => /"url":"([^"]+)"/.exec(serving.out)?.[1], {
      what: 'the address of the service',
      timeoutMs: 20_000,
    })
    return { serving, url }
  }
  try {
    const first = await starting('0')
    const { url } = first
    let { serving } = first
    const env = { RESCIND_URL: url, RESCIND_KEY_FILE: join(folder, '.rescind', 'admin-key') }
    const watching = start(['watch', '--json'], { env })
    try {
      let n = 0
      await until(
        async () => {
          await runJson(['revoke', '--claim', `sub=before-${n++}`], { env })
          return watching.out.includes('before-')
        },
        { what: 'the first change', timeoutMs: 20_000 },
      )
      serving.child.kill('SIGTERM')
      await serving.ended
      // While nobody serves, the store is changed by itself.
      await runJson(['revoke', '--claim', 'sub=meanwhile'], { cwd: folder })
      ;({ serving } = await starting(new URL(url).port))
      await runJson(['revoke', '--claim', 'sub=after'], { env })
      await until(() => watching.out.includes('"after"'), { what: 'the change after', timeoutMs: 20_000 })
      const subs = watching.out
        .trim()
        .split('\n')
        .map(
          (line) => (JSON.parse(line) as { revocation: { target: { sub: string } } }).revocation.target.sub,
        )
      expect(subs.slice(-2)).toEqual(['meanwhile', 'after'])
      expect(new Set(subs).size).toBe(subs.length)
    } finally {
      watching.child.kill('SIGINT')
      serving.child.kill('SIGTERM')
    }
    expect((await watching.ended).code).toBe(0)
    expect((await serving.ended).code).toBe(0)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
