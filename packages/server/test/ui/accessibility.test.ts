import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openBrowser } from './browser.js'
import { Stage, Visit } from './stage.js'

const TEST_TIMEOUT_MS = 90_000
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
const PAGES = ['Overview', 'Revoke', 'Revocations', 'Check', 'Nodes', 'Audit', 'Clients']
const PHONE = { width: 360, height: 740 }

interface AxeResult {
  readonly violations: readonly { id: string; impact: string; nodes: readonly { target: unknown }[] }[]
}

let browser: Browser
let stage: Stage
beforeAll(async () => {
  browser = await openBrowser()
  stage = await Stage.open('lmdb')
  for (const sub of ['alice', 'bob'])
    await stage.world.ask('/api/v1/revocations', {
      key: stage.world.keys.admin,
      json: { target: { sub }, reason: 'stolen phone' },
    })
}, 300_000)
afterAll(async () => {
  await browser?.close()
  await stage?.[Symbol.asyncDispose]()
})

/** What axe-core finds. The page's policy lets no script in, so it comes by the browser's own way. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(AXE)
  const found = await page.evaluate<AxeResult>(`axe.run(document, { runOnly: ${JSON.stringify(TAGS)} })`)
  return found.violations.map(
    ({ id, impact, nodes }) => `${impact}: ${id} at ${JSON.stringify(nodes.map(({ target }) => target))}`,
  )
}

describe.each(['light', 'dark'] as const)('In %s colours', (colorScheme) => {
  it(
    'axe-core finds nothing on any page, wide or narrow, and no page is wider than a phone',
    async () => {
      const { world } = stage
      await using visit = await Visit.open(browser, world.url, { colorScheme })
      const { page } = visit
      await page.getByLabel('Key').waitFor()
      const found: Record<string, string[]> = { 'Sign in': await violations(page) }
      await visit.signIn(world.keys.admin)
      for (const viewport of [{ width: 1280, height: 800 }, PHONE]) {
        await page.setViewportSize(viewport)
        for (const name of PAGES) {
          await visit.goTo(name)
          await page
            .getByText(/^Reading /)
            .first()
            .waitFor({ state: 'detached' })
          found[`${name} at ${viewport.width}`] = await violations(page)
          const width = await page.evaluate('document.documentElement.scrollWidth')
          expect(width, name).toBeLessThanOrEqual(viewport.width)
        }
      }
      await visit.goTo('Revoke')
      await page.getByLabel('By claims').check()
      await page.getByLabel('Value of claim 1').fill('carol')
      await page.getByRole('button', { name: 'See what it covers' }).click()
      await page.getByLabel('For some time').check()
      await page.getByLabel('It lasts').fill('0')
      found['A ban'] = await violations(page)
      await page.getByLabel('Until a time').check()
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(PHONE.width)
      found['A ban until a time'] = await violations(page)
      await page.getByRole('button', { name: 'Back' }).click()
      await page.getByLabel('One token').check()
      await page.getByLabel('Token', { exact: true }).fill(await world.issuer.sign({ sub: 'carol' }))
      found['A token'] = await violations(page)
      await page.getByRole('button', { name: 'See what it covers' }).click()
      await page.getByRole('heading', { name: 'What it covers' }).waitFor()
      found['A preview'] = await violations(page)
      await page.getByRole('button', { name: 'Revoke', exact: true }).click()
      await page.getByRole('heading', { name: 'Revoked' }).waitFor()
      found['A receipt'] = await violations(page)
      await page.getByRole('link', { name: 'See it in the list' }).click()
      await page.getByRole('button', { name: 'Restore…' }).click()
      found['A dialog'] = await violations(page)
      const clean = Object.fromEntries(Object.keys(found).map((name) => [name, []]))
      expect(found).toEqual(clean)
    },
    TEST_TIMEOUT_MS,
  )
})

it(
  'is used with the keyboard alone: signed in, to the page, a person revoked, and back where the focus was',
  async () => {
    const { world } = stage
    await using visit = await Visit.open(browser, world.url)
    const { page } = visit
    const { keyboard } = page
    const focused = () =>
      page.evaluate<string>(
        '(document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent).trim()',
      )
    // The first field has the focus.
    await page.getByLabel('Key').waitFor()
    await keyboard.type(world.keys.admin ?? '')
    await keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Overview' }).waitFor()

    expect(await focused()).toBe('Overview')

    await page.reload()
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await keyboard.press('Tab')
    expect(await focused()).toBe('Skip to the page')
    await keyboard.press('Enter')
    await keyboard.press('Tab')
    expect(await focused()).toBe('Revoke…')
    await page.reload()
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    const tabTo = async (name: string, key = 'Tab') => {
      for (let i = 0; i < 40 && (await focused()) !== name; i++) await keyboard.press(key)
      expect(await focused()).toBe(name)
    }
    await tabTo('Revoke')
    await keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Revoke', level: 1 }).waitFor()
    // The new page is told by its heading.
    expect(await focused()).toBe('Revoke')
    await keyboard.press('Tab')
    await keyboard.press('ArrowRight')
    await tabTo('Value of claim 1')
    await keyboard.type('dave')
    await keyboard.press('Enter')
    await page.getByRole('heading', { name: 'What it covers' }).waitFor()
    expect(await focused()).toBe('What it covers')
    await tabTo('Revoke')
    await keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Revoked' }).waitFor()
    expect(await focused()).toBe('Revoked')

    await tabTo('See it in the list')
    await keyboard.press('Enter')
    await page.getByRole('button', { name: 'Restore…' }).waitFor()
    await tabTo('Restore…')
    await keyboard.press('Enter')
    await page.getByRole('dialog').waitFor()
    await keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await focused()).toBe('Restore…')
  },
  TEST_TIMEOUT_MS,
)
