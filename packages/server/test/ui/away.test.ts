import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, it } from 'vitest'
import { openBrowser } from './browser.js'
import { Stage, Visit } from './stage.js'

const TEST_TIMEOUT_MS = 90_000

let browser: Browser
beforeAll(async () => {
  browser = await openBrowser()
}, 300_000)
afterAll(() => browser?.close())

it(
  'says so at once when the service is gone, and reads everything again when it is back',
  async () => {
    // On Redis: the app keeps its own way to the store.
    await using lost = await Stage.open('redis')
    await using visit = await Visit.open(browser, lost.world.url, { mayFail: true })
    const { page } = visit
    await visit.signIn(lost.world.keys.viewer)
    await page.getByText('Live', { exact: true }).waitFor()
    await visit.goTo('Revocations')
    await lost.endService()
    await page.getByText('Not live', { exact: true }).waitFor({ timeout: 2000 })
    await lost.startService()
    await lost.world.ask('/api/v1/revocations', {
      key: lost.world.keys.revoker,
      json: { target: { sub: 'made-meanwhile' } },
    })
    await page.getByText('Live', { exact: true }).waitFor({ timeout: 20_000 })
    await page.getByText('made-meanwhile').waitFor()
  },
  TEST_TIMEOUT_MS,
)

it(
  'tells who signs out while the service is away that it has not heard of it',
  async () => {
    await using lost = await Stage.open('redis')
    await using visit = await Visit.open(browser, lost.world.url, { mayFail: true })
    const { page } = visit
    await visit.signIn(lost.world.keys.viewer)
    await lost.endService()
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByText('The service has not heard that you sign out').waitFor()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  },
  TEST_TIMEOUT_MS,
)
