import type { Browser } from 'playwright-core'
import type { Revocation } from 'rescind'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../../rescind/test/support/until.js'
import { openBrowser } from './browser.js'
import { APP_NODE, Stage, type StoreKind, Visit } from './stage.js'

const TEST_TIMEOUT_MS = 90_000
const YEAR_SECONDS = 31_536_000

let browser: Browser
beforeAll(async () => {
  browser = await openBrowser()
}, 300_000)
afterAll(() => browser?.close())

describe.each<StoreKind>(['lmdb', 'redis'])('The dashboard on %s', (kind) => {
  let stage: Stage
  beforeAll(async () => {
    stage = await Stage.open(kind)
  })
  afterAll(() => stage[Symbol.asyncDispose]())

  it(
    'revokes a pasted token, names both nodes that have it, and the app refuses it; restored, it is let in',
    async () => {
      const { world, app } = stage
      const token = await world.issuer.sign({ sub: 'mallory', sid: 'session-1' })
      expect(await app.ask(token)).toBe(200)
      // What was restored is not found any more.
      await using visit = await Visit.open(browser, world.url, { mayFail: true })
      const { page } = visit
      await visit.signIn(world.keys.admin)
      await visit.goTo('Revoke')
      await page.getByLabel('Token', { exact: true }).fill(`Authorization: Bearer ${token}`)
      const said = page.getByRole('region', { name: 'What the token says of itself' })
      await said.getByText('mallory').waitFor()
      await page.getByRole('button', { name: 'See what it covers' }).click()
      await page.getByText('One token').waitFor()
      expect(await app.ask(token)).toBe(200)
      await page.getByLabel('Reason').fill('phone was stolen')
      await page.getByRole('button', { name: 'Revoke', exact: true }).click()
      const nodes = page.getByRole('list', { name: 'Nodes that have it' })
      await nodes.waitFor()
      const told = await nodes.getByRole('listitem').allTextContents()
      expect(told).toEqual([0, 1].map(() => expect.stringMatching(/after (< 1|\d+) ms$|after \d+\.\d+ s$/)))
      expect(await nodes.getByText(APP_NODE).count()).toBe(1)
      // Every node has it: no waiting any more.
      expect(await app.ask(token)).toBe(401)

      await page.getByRole('link', { name: 'See it in the list' }).click()
      await page.getByRole('button', { name: 'Restore…' }).click()
      await page.getByRole('dialog').getByLabel('Reason').fill('was found again')
      await page.getByRole('dialog').getByRole('button', { name: 'Restore', exact: true }).click()
      await page.getByText('Nothing is revoked under this id').waitFor()
      await page.getByText('Restored by admin').waitFor()
      await until(async () => (await app.ask(token)) === 200, { what: 'the app to let it in again' })

      await visit.goTo('Audit')
      const trail = page.getByRole('table')
      await trail.getByText('was found again').waitFor()
      await trail.getByText('phone was stolen').waitFor()
    },
    TEST_TIMEOUT_MS,
  )

  it(
    'makes a ban that lasts for years, tells the bounds before they are hit, and what a short life would do',
    async () => {
      const { world } = stage
      await using visit = await Visit.open(browser, world.url)
      const { page } = visit
      await visit.signIn(world.keys.admin)
      await visit.goTo('Revoke')
      await page.getByLabel('By claims').check()
      await page.getByLabel('Value of claim 1').fill('banned')
      await page.getByRole('button', { name: 'See what it covers' }).click()
      const revoke = page.getByRole('button', { name: 'Revoke', exact: true })
      await page.getByText('no such token lives longer').waitFor()
      await page.getByLabel('For some time').check()
      const bounds = page.getByText('From a minute to 10 years.')
      await page.getByLabel('It lasts').fill('5')
      await page.getByLabel('Unit').selectOption('minutes')
      await page.getByText('Some of these tokens may live longer').waitFor()
      await page.getByLabel('Unit').selectOption('years')
      await page.getByLabel('It lasts').fill('11')
      expect(await bounds.allTextContents()).toHaveLength(2)
      expect(await revoke.isDisabled()).toBe(true)
      await page.getByLabel('It lasts').fill('2')
      await page.getByLabel('Also tokens that are issued later').check()
      await page.getByText('later sign-ins are refused until then').waitFor()
      expect(await bounds.allTextContents()).toHaveLength(1)
      await revoke.click()
      await page.getByRole('heading', { name: 'Revoked' }).waitFor()
      const answer = await world.ask('/api/v1/revocations?claim=sub%3Dbanned', { key: world.keys.viewer })
      const { revocations } = (await answer.json()) as { revocations: Revocation[] }
      expect(revocations).toMatchObject([{ target: { sub: 'banned' }, issuedBefore: null }])
      const [{ expiresAt, revokedAt }] = revocations as [Revocation]
      expect(Math.abs(expiresAt - revokedAt - 2 * YEAR_SECONDS)).toBeLessThan(60)
    },
    TEST_TIMEOUT_MS,
  )

  it(
    'shows a revocation that somebody else makes without being asked, and finds it by what is looked for',
    async () => {
      const { world } = stage
      await using visit = await Visit.open(browser, world.url)
      const { page } = visit
      await visit.signIn(world.keys.viewer)
      await page.getByText('Live', { exact: true }).waitFor()
      await visit.goTo('Revocations')
      await world.ask('/api/v1/revocations', {
        key: world.keys.revoker,
        json: { target: { sub: `guest-of-${kind}` }, reason: 'left the company' },
      })
      await page.getByText(`guest-of-${kind}`).waitFor()
      await page.getByLabel('Look for').fill('LEFT the comp')
      await page.getByRole('button', { name: 'Look' }).click()
      await page.getByText(`guest-of-${kind}`).waitFor()
      await page.getByLabel('Look for').fill('nobody of this name')
      await page.getByRole('button', { name: 'Look' }).click()
      await page.getByText('Nothing that is revoked fits').waitFor()
    },
    TEST_TIMEOUT_MS,
  )

  it(
    'tells whether a token is dead, and why',
    async () => {
      const { world } = stage
      const token = await world.issuer.sign({ sub: `checked-on-${kind}` })
      await using visit = await Visit.open(browser, world.url)
      const { page } = visit
      await visit.signIn(world.keys.viewer)
      await visit.goTo('Check')
      await page.getByLabel('Token', { exact: true }).fill(token)
      await page.getByRole('button', { name: 'Check', exact: true }).click()
      await page.getByText('It is not revoked').waitFor()
      await world.ask('/api/v1/revocations', {
        key: world.keys.revoker,
        json: { target: { sub: `checked-on-${kind}` }, reason: 'ticket 4711' },
      })
      await page.getByRole('button', { name: 'Check', exact: true }).click()
      await page.getByRole('heading', { name: 'Why' }).waitFor()
      await page.getByText('ticket 4711').waitFor()
      // Of claims nobody knows when their tokens were issued.
      await page.getByLabel('Claims').check()
      await page.getByLabel('Value of claim 1').fill(`checked-on-${kind}`)
      await page.getByRole('button', { name: 'Check', exact: true }).click()
      await page.getByText('tokens with these claims that were issued up to the time below').waitFor()
      // An answer stands beside nothing but its question.
      await page.getByLabel('Value of claim 1').fill('somebody-else')
      await page.getByText('ticket 4711').waitFor({ state: 'detached' })
      await page.getByLabel('A token').check()
      await page.getByLabel('Token', { exact: true }).fill(`${token.slice(0, -6)}AAAAAA`)
      await page.getByRole('button', { name: 'Check', exact: true }).click()
      await page.getByText('Dead, whatever is revoked').waitFor()
    },
    TEST_TIMEOUT_MS,
  )

  it(
    'names the nodes, and says how fresh they are and how the store is',
    async () => {
      await using visit = await Visit.open(browser, stage.world.url)
      const { page } = visit
      await visit.signIn(stage.world.keys.viewer)
      await page.getByText(/The store is well|It works, and something should be looked at/).waitFor()
      await visit.goTo('Nodes')
      const row = page.getByRole('row').filter({ hasText: APP_NODE })
      await row.getByText(/^fresh/).waitFor()
    },
    TEST_TIMEOUT_MS,
  )
})
