/**
 * The pictures of `docs/dashboard.md`. They are taken again only when somebody asks for it, by RESCIND_SCREENSHOTS=1
 * (otherwise `vitest.config.ts` passes over this file): everything else that the dashboard does is tried in the other files.
 */
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { BrowserContextOptions } from 'playwright-core'
import { openStore } from 'rescind'
import { it } from 'vitest'
import { makeIssuer } from '../../../rescind/test/support/issuer.js'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { until } from '../../../rescind/test/support/until.js'
import { startWorld, type World } from '../support/service.js'
import { openBrowser } from './browser.js'
import { NodeApp, Visit } from './stage.js'

const FOLDER = fileURLToPath(new URL('../../../../docs/screenshots', import.meta.url))
const MINUTES = 60
const LOOKS: Readonly<Record<string, BrowserContextOptions>> = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 },
}
const REASONS = ['phone was stolen', 'left the company', 'ticket 4711', 'key found in a public repository']

it('takes the pictures of the documentation', async () => {
  mkdirSync(FOLDER, { recursive: true })
  await using redis = await RedisServer.start({ persistence: true })
  const env = { REDIS_URL: redis.url }
  const issuer = await makeIssuer()
  const clock = { behindMs: MINUTES * 60_000 }
  await using world = await startWorld({
    store: null,
    env,
    issuer,
    now: () => Date.now() - clock.behindMs,
    config: { limits: { failuresPerMinute: 1000 } },
  })
  await liveThroughAnHour(world, clock)
  await changeThings(world)
  const app = await NodeApp.start(openStore(env), issuer, false)
  const browser = await openBrowser()
  try {
    for (const [look, options] of Object.entries(LOOKS)) {
      await using visit = await Visit.open(browser, world.url, options)
      await takeAll(visit, look, world, await issuer.sign({ sub: 'mallory', sid: 'b1946ac9' }))
    }
  } finally {
    await browser.close()
    await app.stop()
  }
}, 300_000)

/** A clock that goes faster, and what happens in an hour. */
async function liveThroughAnHour(world: World, clock: { behindMs: number }): Promise<void> {
  const { manager, metrics } = world.service.parts
  let made = 0
  for (let minute = 0; minute < MINUTES; minute++) {
    const count = 2 + Math.round(3 * Math.sin(minute / 7) ** 2) + (minute % 5) + (minute === 41 ? 22 : 0)
    for (let i = 0; i < count; i++, made++) {
      const session = { sid: `b19${made}ac9`, iss: 'https://id.example.com' }
      await manager.revoke(made % 4 === 3 ? session : { sub: `person-${1000 + made}` }, {
        reason: made % 3 === 0 ? REASONS[made % REASONS.length] : undefined,
        actor: made % 2 === 0 ? 'night-watch' : 'billing',
        expiresAt: Date.now() / 1000 + 3600,
      })
    }
    const checks = 60 * (420 + 160 * Math.sin(minute / 9) + 25 * (minute % 3))
    metrics.checks.inc({ answer: 'allowed' }, Math.round(checks))
    metrics.checks.inc({ answer: 'token_revoked' }, Math.round(checks * (minute > 40 ? 0.16 : 0.03)))
    metrics.checks.inc({ answer: 'token_expired' }, Math.round(checks * 0.06))
    await until(async () => (await countedBy(world)) >= made, { what: 'a minute to be counted' })
    clock.behindMs = (MINUTES - 1 - minute) * 60_000
  }
}

/** For the audit trail. */
async function changeThings(world: World): Promise<void> {
  const post = async (path: string, json: unknown) => {
    const answer = await world.ask(`/api/v1/${path}`, { key: world.keys.admin, json })
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
  }
  await post('clients', { id: 'night-watch', name: 'Who is called at night', roles: ['read', 'revoke:any'] })
  await post('clients', { id: 'billing', name: 'Billing', roles: ['revoke:own'] })
  await post('revocations', { target: { client_id: 'old-app' }, reason: 'key found in a public repository' })
  await post('revocations', { target: { sub: 'person-1003' }, reason: 'ticket 4711' })
  await post('restorations', { target: { sub: 'person-1003' }, reason: 'it was somebody else' })
  await post('clients/billing/keys', { keepSeconds: 3600 })
}

async function countedBy(world: World): Promise<number> {
  const answer = await world.ask(`/api/v1/statistics?minutes=${2 * MINUTES}`, { key: world.keys.admin })
  const { totals } = (await answer.json()) as { totals: { revoked: number } }
  return totals.revoked
}

async function takeAll(visit: Visit, look: string, world: World, token: string): Promise<void> {
  const { page } = visit
  const take = async (name: string) => {
    await page
      .getByText(/^Reading /)
      .first()
      .waitFor({ state: 'detached' })
    await page.mouse.move(0, 0)
    await page.screenshot({ path: `${FOLDER}/${name}-${look}.png`, animations: 'disabled' })
  }
  await page.getByLabel('Key').waitFor()
  await take('sign-in')
  await visit.signIn(world.keys.admin)
  await visit.goTo('Revoke')
  await page.getByLabel('By claims').check()
  await page.getByLabel('Value of claim 1').fill('mallory')
  await page.getByRole('button', { name: 'See what it covers' }).click()
  await page.getByLabel('Also tokens that are issued later').check()
  await page.getByLabel('For some time').check()
  await page.getByText('later sign-ins are refused until then').waitFor()
  await take('ban')
  await page.getByRole('button', { name: 'Back' }).click()
  await page.getByLabel('One token').check()
  await page.getByLabel('Token', { exact: true }).fill(token)
  await take('revoke')
  await page.getByRole('button', { name: 'See what it covers' }).click()
  await page.getByRole('heading', { name: 'What it covers' }).waitFor()
  await page.getByLabel('Reason').fill('Phone was stolen')
  await take('preview')
  await page.getByRole('button', { name: 'Revoke', exact: true }).click()
  await page.getByRole('heading', { name: 'Revoked' }).waitFor()
  await take('receipt')
  await page.getByRole('link', { name: 'See it in the list' }).click()
  await page.getByRole('heading', { name: 'History' }).waitFor()
  await take('revocation')
  await visit.goTo('Check')
  await page.getByLabel('Token', { exact: true }).fill(token)
  await page.getByRole('button', { name: 'Check', exact: true }).click()
  await page.getByRole('heading', { name: 'Why' }).waitFor()
  await take('check')
  for (const name of ['Revocations', 'Nodes', 'Audit', 'Clients', 'Overview']) {
    await visit.goTo(name)
    if (name === 'Overview') await page.getByText(/^median of/).waitFor()
    await take(name.toLowerCase())
  }
}
