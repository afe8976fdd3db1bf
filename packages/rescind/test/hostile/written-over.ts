/** A real Redis with some revocations, for tests that write over its keys. */
import { Redis } from 'ioredis'
import { expect } from 'vitest'
import { RescindError } from '../../src/errors.js'
import type { RedisClient } from '../../src/redis/client.js'
import { RedisConnection } from '../../src/redis/connection.js'
import { Partition, type Stretch } from '../../src/redis/partition.js'
import { RedisStore } from '../../src/redis/store.js'
import { ORIGIN, type Position } from '../../src/stores/position.js'
import { TokenManager } from '../../src/token-manager.js'
import { RedisServer } from '../support/redis-server.js'

/** Who was revoked. */
export const PERSONS = Array.from({ length: 40 }, (_, i) => `person-${i}`)
export const RECORD_KEYS = 'rescind:{main.0}:r:*'
export const LOG = 'rescind:{main.0}:log:1'
export const META = 'rescind:{main.0}:meta'
export const SHAPES = 'rescind:{main.0}:shapes'

const PAGE_BYTES = 512
const PAGES_MAX = 100

export class WrittenOver {
  readonly redis: Redis
  readonly partition = new Partition('main', 0)
  /** The bytes of the log's only segment, and where it ends. */
  log: Buffer = Buffer.alloc(0)
  end = ORIGIN
  /** What the keys held before anybody wrote over them. */
  readonly #kept = new Map<string, Buffer>()
  readonly #server: RedisServer

  private constructor(server: RedisServer) {
    this.#server = server
    this.redis = new Redis(server.url)
  }

  static async start(): Promise<WrittenOver> {
    const scene = new WrittenOver(await RedisServer.start())
    const { redis } = scene
    const manager = scene.open({ replica: false })
    for (const sub of PERSONS) await manager.revoke({ sub }, { issuedBefore: null, reason: 'test' })
    await manager.close()
    for (const key of [LOG, META, SHAPES, ...(await redis.keys(RECORD_KEYS))])
      scene.#kept.set(key, await redis.dumpBuffer(key))
    scene.log = (await redis.getBuffer(LOG)) as Buffer
    scene.end = (await scene.readAll(ORIGIN)).position
    return scene
  }

  async stop(): Promise<void> {
    this.redis.disconnect()
    await this.#server.stop()
  }

  /** Everything is again as it was. */
  async restore(): Promise<void> {
    await this.redis.flushall()
    const pipeline = this.redis.pipeline()
    for (const [key, dump] of this.#kept) pipeline.restore(key, 0, dump)
    await pipeline.exec()
  }

  open(options: { replica?: boolean } = {}): TokenManager {
    const connection = new RedisConnection({
      url: this.#server.url,
      checkTimeoutMs: 1000,
      writeTimeoutMs: 2000,
    })
    return new TokenManager({ store: new RedisStore(connection), stalenessMaxMs: 200, ...options })
  }

  /** Reads the log from a place to the end, in pages. */
  async readAll(from: Position): Promise<{ records: Buffer; position: Position }> {
    const pages: Buffer[] = []
    let position = from
    for (let page = 0; page < PAGES_MAX; page++) {
      const client = this.redis as unknown as RedisClient
      const stretch: Stretch = await this.partition.read(client, position, PAGE_BYTES)
      pages.push(stretch.records)
      position = stretch.position
      if (stretch.isEnd) return { records: Buffer.concat(pages), position }
    }
    throw new Error('the log does not end')
  }

  /** A node that comes new, fresh or not, lets nobody in who was revoked. */
  async expectNoneClear(): Promise<void> {
    const manager = this.open()
    try {
      await manager
        .ready({ timeoutMs: 300 })
        .catch((error: unknown) => expect(error).toBeInstanceOf(RescindError))
      for (const sub of PERSONS)
        expect([sub, (await manager.check({ sub })).status]).not.toEqual([sub, 'clear'])
    } finally {
      await manager.close()
    }
  }
}
