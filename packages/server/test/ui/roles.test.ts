import { readFileSync } from 'node:fs'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readBulkLine } from '../../src/cli/bulk-line.js'
import { openBrowser } from './browser.js'
import { Stage, Visit } from './stage.js'

const TEST_TIMEOUT_MS = 90_000

let browser: Browser
beforeAll(async () => {
  browser = await openBrowser()
}, 300_000)
afterAll(() => browser?.close())

describe('In the dashboard, a client of each role', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await Stage.open('lmdb')
  })
  afterAll(() => stage[Symbol.asyncDispose]())

  it(
    'refuses a wrong key and a client without a role for it, in words',
    async () => {
      const { world } = stage
      await using visit = await Visit.open(browser, world.url, { mayFail: true })
      const { page } = visit
      const enter = async (key: string | undefined) => {
        await page.getByLabel('Key').fill(key ?? '')
        await page.getByRole('button', { name: 'Sign in' }).click()
      }
      await enter('rsk_000000000000_0000000000000000000000000000000000000000000')
      await page.getByText('This key is not accepted').waitFor()
      await enter(world.keys.app)
      await page.getByText('its client may not use the dashboard').waitFor()
      await enter(world.keys.viewer)
      await page.getByRole('heading', { name: 'Overview' }).waitFor()
    },
    TEST_TIMEOUT_MS,
  )

  it(
    'lets a viewer look and change nothing, neither by the page nor beside it',
    async () => {
      const { world } = stage
      await world.ask('/api/v1/revocations', { key: world.keys.revoker, json: { target: { sub: 'seen' } } })
      await using visit = await Visit.open(browser, world.url, { mayFail: true })
      const { page } = visit
      await visit.signIn(world.keys.viewer)
      await visit.goTo('Revoke')
      await page.getByText('Your role may look, but not revoke').waitFor()
      await visit.goTo('Clients')
      await page.getByRole('table').waitFor()
      expect(await page.getByRole('button', { name: 'Make a client…' }).count()).toBe(0)
      await visit.goTo('Revocations')
      await page.getByRole('link', { name: 'Detail of seen' }).click()
      await page.getByText('What stands').waitFor()
      expect(await page.getByRole('button', { name: 'Restore…' }).count()).toBe(0)
      const statuses = await page.evaluate(async () => {
        const post = (path: string, body: unknown) =>
          fetch(path, {
            method: 'POST',
            headers: { 'content-type': 'application/json', 'x-rescind-ui': '1' },
            body: JSON.stringify(body),
          }).then(({ status }) => status)
        return [
          await post('/api/v1/revocations', { target: { sub: 'seen' } }),
          await post('/api/v1/restorations', { target: { sub: 'seen' } }),
          await post('/api/v1/clients', { id: 'mine', roles: ['admin'] }),
        ]
      })
      expect(statuses).toEqual([403, 403, 403])
    },
    TEST_TIMEOUT_MS,
  )

  it(
    'gives out what the filter finds, as lines that the command imports, and looks for no token',
    async () => {
      const { world } = stage
      for (const sub of ['export-1', 'export-2'])
        await world.ask('/api/v1/revocations', { key: world.keys.revoker, json: { target: { sub } } })
      await using visit = await Visit.open(browser, world.url)
      const { page } = visit
      await visit.signIn(world.keys.viewer)
      await visit.goTo('Revocations')
      await page.getByText('More filters').click()
      await page.getByLabel('Claim').fill('sub=export-1')
      await page.getByRole('button', { name: 'Look' }).click()
      await page.getByText('export-2').waitFor({ state: 'detached' })
      const downloading = page.waitForEvent('download')
      await page.getByRole('button', { name: 'Export' }).click()
      const lines = readFileSync(await (await downloading).path(), 'utf8')
        .trimEnd()
        .split('\n')
      expect(lines).toHaveLength(1)
      const read = readBulkLine({ number: 1, text: lines[0] ?? '', bytes: 0 }, Date.now() / 1000)
      expect(read).toMatchObject({ wish: { target: { sub: 'export-1' }, actor: 'revoker' } })

      // That no address has a token in it, every visit looks after.
      await page.getByLabel('Look for').fill(await world.issuer.sign())
      await page.getByRole('button', { name: 'Look' }).click()
      await page.getByText('This looks like a token').waitFor()
    },
    TEST_TIMEOUT_MS,
  )

  it(
    'tells the figures of its charts as a table',
    async () => {
      const { world } = stage
      await world.ask('/api/v1/revocations', {
        key: world.keys.revoker,
        json: { target: { sub: 'counted' } },
      })
      await using visit = await Visit.open(browser, world.url)
      const { page } = visit
      await visit.signIn(world.keys.viewer)
      await page.getByText('Figures as a table').first().click()
      const table = page.getByRole('table', { name: 'Revocations a minute' })
      await table.waitFor()
      const cells = await table.getByRole('row').getByRole('cell').allTextContents()
      const revoked = cells.filter((_, i) => i % 3 === 1).map(Number)
      expect(revoked).toHaveLength(60)
      expect(revoked.reduce((sum, count) => sum + count)).toBeGreaterThan(0)
    },
    TEST_TIMEOUT_MS,
  )

  it(
    'lets a client that may only revoke do so, and tells it what it may not see',
    async () => {
      const { world, app } = stage
      const token = await world.issuer.sign({ sub: 'somebody-else', client_id: 'lost-laptop' })
      await using visit = await Visit.open(browser, world.url)
      const { page } = visit
      await visit.signIn(world.keys.revoker)
      for (const name of ['Overview', 'Revocations', 'Nodes', 'Audit', 'Clients']) {
        await visit.goTo(name)
        await page.getByText('Your role may revoke, but not read').waitFor()
      }
      await visit.goTo('Revoke')
      await page.getByLabel('Token', { exact: true }).fill(token)
      // What the token says is offered in its place.
      await page.getByRole('button', { name: 'Everything of this application' }).click()
      await page.getByRole('button', { name: 'See what it covers' }).click()
      await page.getByText('Every token that carries these claims').waitFor()
      await page.getByLabel('Reason').fill(`it was ${token}`)
      expect(await page.getByRole('button', { name: 'Revoke', exact: true }).isDisabled()).toBe(true)
      await page.getByLabel('Reason').fill('laptop was lost')
      await page.getByRole('button', { name: 'Revoke', exact: true }).click()
      await page.getByRole('heading', { name: 'Revoked' }).waitFor()
      expect(await app.ask(token)).toBe(401)
    },
    TEST_TIMEOUT_MS,
  )

  it(
    'makes a client, shows its key this once, gives it another, and shuts it out',
    async () => {
      const { world } = stage
      await using visit = await Visit.open(browser, world.url)
      const { page } = visit
      const dialog = page.getByRole('dialog')
      await visit.signIn(world.keys.admin)
      await visit.goTo('Clients')
      await page.getByRole('button', { name: 'Make a client…' }).click()
      await dialog.getByLabel('Id', { exact: true }).fill('billing')
      await dialog.getByLabel(/revoke:any/).check()
      await dialog.getByRole('button', { name: 'Make it' }).click()
      const key = await dialog.getByLabel('Key').textContent()
      expect((await world.ask('/api/v1/nodes', { key: key ?? '' })).status).toBe(200)
      // No accident closes it: browsers hold a dialog open at the first Escape alone.
      for (let i = 0; i < 3; i++) await page.keyboard.press('Escape')
      expect(await dialog.getByLabel('Key').textContent()).toBe(key)
      await dialog.getByRole('button', { name: 'I have it' }).click()
      await page.getByRole('row').filter({ hasText: 'billing' }).waitFor()
      expect(await page.content()).not.toContain(key)

      await page.getByRole('button', { name: 'New key for billing' }).click()
      await dialog.getByLabel('end now').check()
      await dialog.getByRole('button', { name: 'Make the key' }).click()
      const next = await dialog.getByLabel('Key').textContent()
      expect(next).not.toBe(key)
      expect((await world.ask('/api/v1/nodes', { key: key ?? '' })).status).toBe(401)
      expect((await world.ask('/api/v1/nodes', { key: next ?? '' })).status).toBe(200)
      await dialog.getByRole('button', { name: 'I have it' }).click()

      await page.getByRole('button', { name: 'Disable billing' }).click()
      await dialog.getByRole('button', { name: 'Disable', exact: true }).click()
      await page.getByRole('row').filter({ hasText: 'billing' }).getByText('disabled').waitFor()
      expect((await world.ask('/api/v1/nodes', { key: next ?? '' })).status).toBe(401)
    },
    TEST_TIMEOUT_MS,
  )

  it(
    'asks for the word before everything is revoked; then it asks who is there, and keeps what it shows',
    async () => {
      const { world, app } = stage
      const token = await world.issuer.sign({ sub: 'somebody' })
      await using visit = await Visit.open(browser, world.url, { mayFail: true })
      const { page } = visit
      await visit.signIn(world.keys.admin)
      await visit.goTo('Revoke')
      await page.getByLabel('Everything', { exact: true }).check()
      await page.getByRole('button', { name: 'See what it covers' }).click()
      const confirm = page.getByRole('button', { name: 'Revoke everything' })
      expect(await confirm.isDisabled()).toBe(true)
      await page.getByLabel(/Type the word/).fill('everythin')
      expect(await confirm.isDisabled()).toBe(true)
      await page.getByLabel(/Type the word/).fill('everything')
      await confirm.click()
      await page.getByRole('heading', { name: 'Revoked' }).waitFor()
      expect(await app.ask(token)).toBe(401)
      const dialog = page.getByRole('dialog', { name: 'The session has ended' })
      await dialog.waitFor({ timeout: 20_000 })
      await dialog.getByLabel('Key').fill(world.keys.admin ?? '')
      await dialog.getByRole('button', { name: 'Sign in' }).click()
      await dialog.waitFor({ state: 'detached' })
      await page.getByRole('heading', { name: 'Revoked' }).waitFor()
    },
    TEST_TIMEOUT_MS,
  )

  it(
    'signs out, and the page of before is closed to whoever comes next',
    async () => {
      const { world } = stage
      await using visit = await Visit.open(browser, world.url)
      const { page } = visit
      await visit.signIn(world.keys.admin)
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.getByRole('heading', { name: 'Sign in' }).waitFor()
      await page.reload()
      await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    },
    TEST_TIMEOUT_MS,
  )
})
