import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startWorld } from '../support/service.js'
import { openBrowser } from './browser.js'
import { Visit } from './stage.js'

const TEST_TIMEOUT_MS = 180_000
const FIRST_LOAD_BYTES_MAX = 60_000
const MANY = 100_000
/** Seven answers are all of them. */
const SLOW_ANSWER_MS = 300
const CHANGES_A_SECOND = 1000
const CHANGES_SECONDS = 5
/** Above what this page does at once, below what a person feels as a standstill. */
const LONGEST_TASK_MS = 400

let browser: Browser
beforeAll(async () => {
  browser = await openBrowser()
}, 300_000)
afterAll(() => browser?.close())

it(
  'loads less than 60 kB in all, from this service alone, kept for ever by name, under a strict policy',
  async () => {
    await using world = await startWorld()
    await using visit = await Visit.open(browser, 'about:blank')
    const { page } = visit
    const loaded: Promise<{ path: string; bytes: number; cache: string; policy: string }>[] = []
    page.on('response', (response) => {
      loaded.push(
        (async () => {
          await response.finished()
          const { responseBodySize, responseHeadersSize } = await response.request().sizes()
          const headers = response.headers()
          return {
            path: new URL(response.url()).pathname,
            bytes: responseBodySize + responseHeadersSize,
            cache: headers['cache-control'] ?? '',
            policy: headers['content-security-policy'] ?? '',
          }
        })(),
      )
    })
    visit.isAt(world.url)
    await page.goto(`${world.url}/ui/`)
    await page.getByLabel('Key').waitFor()
    const files = await Promise.all(loaded)
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    expect(bytes).toBeLessThan(FIRST_LOAD_BYTES_MAX)
    expect(bytes).toBeGreaterThan(FIRST_LOAD_BYTES_MAX / 10)
    const assets = files.filter(({ path }) => path.startsWith('/ui/assets/'))
    expect(assets.length).toBeGreaterThanOrEqual(2)
    for (const { cache } of assets) expect(cache).toContain('immutable')
    const index = files.find(({ path }) => path === '/ui/')
    expect(index?.cache).toBe('no-cache')
    expect(index?.policy).toContain("default-src 'none'")
    expect(index?.policy).not.toContain('unsafe')
  },
  TEST_TIMEOUT_MS,
)

it(
  'turns the pages of 100,000, orders them all, and finds one of them while others come in',
  async () => {
    await using world = await startWorld()
    const { manager } = world.service.parts
    const now = Math.floor(Date.now() / 1000)
    await manager.revoke({ sub: 'needle' }, { reason: 'the one', expiresAt: now + 1800 })
    for (let i = 0; i < MANY; i++) {
      const lifeSeconds = i === MANY / 2 ? 7200 : 3600
      await manager.revoke({ sub: `person-${i}` }, { expiresAt: now + lifeSeconds })
    }
    await using visit = await Visit.open(browser, world.url)
    const { page } = visit
    await visit.signIn(world.keys.viewer)
    await visit.goTo('Revocations')
    const rows = page.getByRole('row')
    await page.getByText('Page 1').waitFor()
    expect(await rows.count()).toBe(51)
    await page.getByRole('button', { name: 'Next' }).click()
    await page.getByText('Page 2').waitFor()
    await page.getByRole('button', { name: 'Previous' }).click()
    await page.getByText('Page 1').waitFor()
    const order = page.getByLabel('Order of the whole list')
    await order.selectOption('Ends last')
    await rows
      .nth(1)
      .getByText(`person-${MANY / 2}`)
      .waitFor()
    await order.selectOption('Ends first')
    await rows.nth(1).getByText('needle').waitFor()
    expect(await rows.count()).toBe(51)
    await order.selectOption('Newest first')
    await rows
      .nth(1)
      .getByText(`person-${MANY - 1}`)
      .waitFor()

    // A look through the whole list takes longer than the page waits before it looks again.
    await page.route(/search=needle/, async (route) => {
      await sleep(SLOW_ANSWER_MS)
      await route.continue()
    })
    const others = setInterval(() => void manager.revoke({ sub: 'another' }), SLOW_ANSWER_MS)
    try {
      await page.getByLabel('Look for').fill('needle')
      await page.getByRole('button', { name: 'Look' }).click()
      await page.getByText('the one').waitFor({ timeout: 20_000 })
      expect(await rows.count()).toBe(2)
    } finally {
      clearInterval(others)
    }
  },
  TEST_TIMEOUT_MS,
)

it(
  'stays smooth while 1,000 changes a second come in',
  async () => {
    await using world = await startWorld()
    const { manager } = world.service.parts
    await using visit = await Visit.open(browser, world.url)
    const { page } = visit
    await visit.signIn(world.keys.viewer)
    await page.getByText('Live', { exact: true }).waitFor()
    await page.evaluate(`
      globalThis.tasks = []
      new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)))
        .observe({ type: 'longtask' })
    `)
    const startedAt = performance.now()
    const total = CHANGES_A_SECOND * CHANGES_SECONDS
    for (let i = 0; i < total; i++) {
      await manager.revoke({ sub: `busy-${i}` })
      const aheadMs = (i / CHANGES_A_SECOND) * 1000 - (performance.now() - startedAt)
      if (aheadMs > 10) await sleep(aheadMs)
    }
    const figure = page.locator('.figure').filter({ hasText: 'Revocations in force' })
    await figure.getByText(total.toLocaleString('en'), { exact: true }).waitFor()
    await page.getByText('Live', { exact: true }).waitFor()
    const tasks = await page.evaluate<number[]>('tasks')
    expect(Math.max(0, ...tasks)).toBeLessThan(LONGEST_TASK_MS)
    const busyMs = tasks.reduce((sum, ms) => sum + ms, 0)
    expect(busyMs).toBeLessThan((performance.now() - startedAt) / 3)
  },
  TEST_TIMEOUT_MS,
)
