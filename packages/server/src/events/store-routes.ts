/**
 * `/store/v1`: the contract of a store over HTTP, for nodes that cannot reach Redis (`RemoteStore` in the library). To
 * read takes the role `read`, to revoke and to restore `revoke:any`. All that a node sends is checked anew.
 */
import { type Context, Hono } from 'hono'
import { type Entry, type Held, RescindError, remoteFrame, remoteWire, scopeOf, type Shape } from 'rescind'
import { recordChange, recordGift } from '../audit.js'
import { requireRole } from '../api/client-guard.js'
import { failureProblem, rateProblem } from '../problem.js'
import { readBytes } from '../body.js'
import type { Client } from '../clients/client.js'
import type { Parts } from '../parts.js'
import { Bell } from './bell.js'
import { ClientNodes } from './client-nodes.js'
import { LogMemory } from './log-memory.js'
import { type Clock } from './moment.js'
import type { Streams } from './streams.js'

/** Digests of a check take up to 100 kB, a stretch that is given back as much. */
const BODY_BYTES_MAX = 512 * 1024
const NO_STORE = { 'cache-control': 'no-store' }
/** Client ids hold no colon: a node of one client cannot pass for that of another. */
const OWNER_END = ':'

type Variables = { client: Client }

export function storeRoutes(parts: Parts, streams: Streams, clock: Clock): Hono {
  const { feed, store } = parts
  const memory = new LogMemory({ store: feed, clock })
  const nodes = new ClientNodes()
  const bell = new Bell(feed, memory, parts.stopping)
  parts.stopping.addEventListener('abort', () => memory.close(), { once: true })
  const app = new Hono<{ Variables: Variables }>().basePath('/store/v1')
  app.onError((error, c) => failureProblem(c, error))
  const reads = requireRole(parts, 'read')
  const writes = requireRole(parts, 'revoke:any')

  app.get('/log', reads, async (c) => {
    const { after, shapes = '', nonce = '' } = c.req.query()
    const bytesMax = Math.min(numberOf(c, 'bytes', 1), remoteFrame.PAGE_BYTES_MAX)
    const asker = remoteFrame.askerOf(nonce)
    const page = await memory.read({ asker, after, bytesMax, maxAgeMs: numberOf(c, 'maxAgeMs', 0) })
    const frame = remoteFrame.writePage({ nonce, page }, shapes)
    return c.body(new Uint8Array(frame), 200, { ...NO_STORE, 'content-type': remoteFrame.FRAME_TYPE })
  })
  app.post('/find', reads, async (c) => {
    const { digests, tag: knownTag } = remoteWire.findFrom(await jsonOf(c))
    let shapes: readonly Shape[] = []
    const held: readonly Held[] = await store.find((inUse) => {
      shapes = inUse
      return digests
    })
    const tag = remoteFrame.tagOf(shapes)
    return c.json({ held, tag, ...(tag === knownTag ? {} : { shapes }) }, 200, NO_STORE)
  })
  app.get('/list', reads, async (c) => {
    const limit = Math.min(numberOf(c, 'limit', 1), remoteWire.ROWS_MAX)
    return c.json(
      await store.list({ now: numberOf(c, 'now', 0), limit, cursor: c.req.query('cursor') }),
      200,
      NO_STORE,
    )
  })
  app.get('/changes', reads, async (c) => {
    const limit = Math.min(numberOf(c, 'limit', 1), remoteWire.ROWS_MAX)
    return c.json(await store.changes(c.req.query('after') ?? '', limit), 200, NO_STORE)
  })
  app.get('/position', reads, async (c) => c.json({ position: await store.position() }, 200, NO_STORE))
  app.get('/ping', reads, async (c) => {
    await store.ping()
    return c.body(null, 204, NO_STORE)
  })
  app.get('/bell', reads, (c) => {
    const stream = streams.open(c, { heartbeat: () => bell.heartbeat(), onEnd: () => bell.leave(opened) })
    if (stream instanceof Response) return stream
    const opened = stream
    bell.follow(opened)
    return opened.response
  })
  app.get('/nodes', reads, async (c) => {
    const own = c.get('client').id + OWNER_END
    const live = (await store.nodes()).map((node) =>
      node.id.startsWith(own) ? { ...node, id: node.id.slice(own.length) } : node,
    )
    return c.json({ nodes: live }, 200, NO_STORE)
  })
  app.post('/nodes', reads, async (c) => {
    const node = remoteWire.nodeFrom(await jsonOf(c))
    const waitSeconds = nodes.announce(c.get('client').id, node.id)
    if (waitSeconds > 0) return rateProblem(c, waitSeconds)
    await store.announce({ ...node, id: c.get('client').id + OWNER_END + node.id })
    return c.body(null, 204, NO_STORE)
  })
  app.delete('/nodes/:id', reads, async (c) => {
    const { id } = c.get('client')
    await store.retire(id + OWNER_END + c.req.param('id'))
    nodes.retire(id, c.req.param('id'))
    return c.body(null, 204, NO_STORE)
  })
  app.post('/receipts', writes, async (c) => {
    await store.ringForReceipts()
    return c.body(null, 204, NO_STORE)
  })
  app.post('/put', writes, async (c) => {
    const { target, entry, now, ack } = remoteWire.putFrom(await jsonOf(c))
    assertClocks(parts, now, [entry])
    const stored = await store.put(target, entry, { now, ack })
    await record(parts, c.get('client'), 'revoke', target, entry.reason)
    return c.json(remoteWire.storedToJson(stored), 200, NO_STORE)
  })
  app.post('/restore', writes, async (c) => {
    const { target, now, known } = remoteWire.restoreFrom(await jsonOf(c))
    assertClocks(parts, now, known?.entries ?? [])
    const restored = await store.restore(target, { now, known })
    if (restored.changed) await record(parts, c.get('client'), 'restore', target)
    return c.json(restored, 200, NO_STORE)
  })
  app.post('/advance', writes, async (c) => {
    const { family, mark, now, end, ack } = remoteWire.advanceFrom(await jsonOf(c))
    assertClocks(parts, now, [])
    // No line in the audit trail: a client that is logged in makes a step every few minutes.
    const advancement = await store.advance(family, mark, { now, end, ack })
    return c.json(remoteWire.advancementToJson(advancement), 200, NO_STORE)
  })
  app.post('/reseed', writes, async (c) => {
    const { head, records } = remoteFrame.readReseed(await bytesOf(c))
    assertClocks(parts, head.now, [])
    const client = c.get('client')
    const options = { ...head, giver: client.id + OWNER_END + head.giver }
    const gift = remoteFrame.checkedGift({ records, options }, Math.floor(parts.now() / 1000))
    // A store that loses nothing takes nothing back.
    const taken = store.reseed === undefined ? 0 : await store.reseed(gift.records, gift.options)
    if (taken !== undefined && taken > 0) await recordGiven(parts, client, gift.records)
    return c.json({ taken: taken ?? null }, 200, NO_STORE)
  })
  return app as unknown as Hono
}

async function record(
  parts: Parts,
  client: Client,
  operation: 'revoke' | 'restore',
  target: remoteWire.PutRequest['target'],
  reason?: string,
): Promise<void> {
  const claims = Object.fromEntries(target.shape.map((name, i) => [name, target.values[i] as string]))
  const scope = scopeOf(target.shape)
  await recordChange(parts, {
    ...{ client, operation, scope, reason, via: 'api' },
    target: scope === 'everything' ? undefined : claims,
  })
}

async function recordGiven(parts: Parts, client: Client, records: Buffer): Promise<void> {
  const { readRecord, RECORD_BYTES } = remoteFrame
  const lines = Array.from({ length: records.length / RECORD_BYTES }, (_, i) =>
    readRecord(records, i * RECORD_BYTES),
  )
  const restored = lines.filter(({ operation }) => operation === 'restore').map(({ digest }) => digest)
  await recordGift(parts, { client, revoked: lines.length - restored.length, restored })
}

async function jsonOf(c: Context): Promise<unknown> {
  return remoteWire.jsonFrom(await bytesOf(c))
}

/** Throws `ERR_OPTION_INVALID` for a body that is too long, or was broken off. */
async function bytesOf(c: Context): Promise<Buffer> {
  const { bytes, failure } = await readBytes(c.req.raw, BODY_BYTES_MAX)
  if (failure === undefined) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const why = failure === 'too-large' ? `is longer than ${BODY_BYTES_MAX} bytes` : 'was broken off'
  throw new RescindError('ERR_OPTION_INVALID', `the request ${why}`)
}

function numberOf(c: Context, name: string, min: number): number {
  const text = c.req.query(name) ?? ''
  const value = Number(text)
  if (!/^\d{1,15}(\.\d{1,6})?$/.test(text) || value < min)
    throw new RescindError('ERR_OPTION_INVALID', `${name} must be a number from ${min} on`)
  return value
}

function assertClocks({ now }: Parts, nodeNow: number, entries: readonly Entry[]): void {
  const own = now() / 1000
  const { CLOCK_OFF_MAX_SECONDS } = remoteFrame
  const isOff = Math.abs(nodeNow - own) > CLOCK_OFF_MAX_SECONDS
  // A restore of a statement from the future would void what is revoked until then.
  if (!isOff && entries.every(({ at }) => at <= own + CLOCK_OFF_MAX_SECONDS)) return
  throw new RescindError(
    'ERR_OPTION_INVALID',
    'the clock of the node is an hour off that of the service, or more: set it, and try again',
  )
}
