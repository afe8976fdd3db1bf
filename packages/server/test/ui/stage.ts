/**
 * What the dashboard is tried on: a running service, a Node app on the same store with a protected route, and a page of
 * a real browser. Everything that a page does which it must not do is a failure: an error in its console, a request to
 * somebody else, a token in an address or in its storage.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { Gate, openStore, type Store, TokenManager } from 'rescind'
import { requireToken } from 'rescind/express'
import { expect } from 'vitest'
import { containsToken } from '../../../rescind/test/support/canary.js'
import { type Issuer, makeIssuer } from '../../../rescind/test/support/issuer.js'
import { RedisServer } from '../../../rescind/test/support/redis-server.js'
import { startWorld, type World } from '../support/service.js'

export type StoreKind = 'lmdb' | 'redis'

/** The name of the app among the nodes. */
export const APP_NODE = 'orders-api'
const WIDE = { width: 1280, height: 860 }

export class Stage implements AsyncDisposable {
  private constructor(
    private current: World,
    readonly app: NodeApp,
    private readonly restartWorld: () => Promise<World>,
    private readonly leave: () => Promise<void>,
  ) {}

  static async open(kind: StoreKind): Promise<Stage> {
    const folder = mkdtempSync(join(tmpdir(), 'rescind-ui-'))
    const redis = kind === 'redis' ? await RedisServer.start() : undefined
    const env = redis === undefined ? { RESCIND_STORE: 'lmdb' } : { REDIS_URL: redis.url }
    const issuer = await makeIssuer()
    const start = (port: number) =>
      startWorld({ store: null, env, issuer, config: { dataDir: folder, listen: { port } } })
    const world = await start(0)
    const { port } = new URL(world.url)
    // Of an embedded file one process has one.
    const isShared = redis === undefined
    const store = isShared ? world.service.parts.store : openStore(env)
    const app = await NodeApp.start(store, issuer, isShared)
    return new Stage(
      world,
      app,
      () => start(Number(port)),
      async () => {
        await app.stop()
        await redis?.stop()
        rmSync(folder, { recursive: true })
      },
    )
  }

  get world(): World {
    return this.current
  }

  /** Ends the service, and starts it again on the same port and the same store. */
  async endService(): Promise<void> {
    await this.current.service.stop()
  }

  async startService(): Promise<void> {
    this.current = await this.restartWorld()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.current[Symbol.asyncDispose]()
    await this.leave()
  }
}

/** A protected route, as an application has it. */
export class NodeApp {
  private constructor(
    readonly url: string,
    private readonly server: Server,
    private readonly manager: TokenManager,
    private readonly isShared: boolean,
  ) {}

  static async start(store: Store, issuer: Issuer, isShared: boolean): Promise<NodeApp> {
    const manager = new TokenManager({ store, verifier: issuer.verifier, nodeName: APP_NODE })
    await manager.ready()
    const gate = new Gate({ manager, realm: 'orders' })
    const app = express()
    app.get('/orders', requireToken(gate), (_request, response) => {
      response.json({ orders: [] })
    })
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return new NodeApp(`http://127.0.0.1:${port}`, server, manager, isShared)
  }

  /** The status of the protected route for a token. */
  async ask(token: string): Promise<number> {
    const answer = await fetch(`${this.url}/orders`, { headers: { authorization: `Bearer ${token}` } })
    await answer.arrayBuffer()
    return answer.status
  }

  async stop(): Promise<void> {
    this.server.close()
    this.server.closeAllConnections()
    await (this.isShared ? this.manager.replica?.close() : this.manager.close())
  }
}

export class Visit implements AsyncDisposable {
  readonly #faults: string[] = []
  #origin: string

  private constructor(
    readonly page: Page,
    origin: string,
  ) {
    this.#origin = origin
  }

  /** `mayFail`: the service will refuse something, or be away, which a browser tells in its console. */
  static async open(
    browser: Browser,
    url: string,
    options: BrowserContextOptions & { mayFail?: boolean } = {},
  ): Promise<Visit> {
    const { mayFail = false, ...rest } = options
    const context = await browser.newContext({ viewport: WIDE, reducedMotion: 'reduce', ...rest })
    context.setDefaultTimeout(10_000)
    const visit = new Visit(await context.newPage(), new URL(url).origin)
    visit.#listen(mayFail)
    if (url !== 'about:blank') await visit.page.goto(`${url}/ui`)
    return visit
  }

  /** For a visit that has begun nowhere: whom it may ask. */
  isAt(url: string): void {
    this.#origin = new URL(url).origin
  }

  async signIn(key: string | undefined): Promise<void> {
    await this.page.getByLabel('Key').fill(key ?? '')
    await this.page.getByRole('button', { name: 'Sign in' }).click()
    await this.page.getByRole('navigation', { name: 'Pages' }).waitFor()
  }

  async goTo(name: string): Promise<void> {
    const pages = this.page.getByRole('navigation', { name: 'Pages' })
    await pages.getByRole('link', { name, exact: true }).click()
    await this.page.getByRole('heading', { name, level: 1 }).waitFor()
  }

  #listen(mayFail: boolean): void {
    this.page.on('pageerror', (error) => this.#faults.push(error.message))
    this.page.on('console', (message) => {
      if (message.type() !== 'error') return
      // What the browser itself says of an answer that is no success.
      if (mayFail && message.text().startsWith('Failed to load resource')) return
      this.#faults.push(message.text())
    })
    this.page.on('request', (request) => {
      const url = request.url()
      if (!url.startsWith(this.#origin) && !url.startsWith('blob:')) this.#faults.push(`asked ${url}`)
      if (containsToken(url)) this.#faults.push('a token stands in an address')
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const kept = String(
      await this.page
        .evaluate('JSON.stringify([localStorage, sessionStorage, document.cookie, location.href])')
        .catch(() => ''),
    )
    await this.page.context().close()
    expect(this.#faults).toEqual([])
    expect(containsToken(kept)).toBe(false)
    // The cookie is not for scripts.
    expect(kept).not.toContain('rescind-session')
  }
}
