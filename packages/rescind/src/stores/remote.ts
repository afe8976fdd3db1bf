/**
 * The store of a service, over HTTP: for nodes that cannot reach Redis, or should not. It keeps the contract of a store,
 * and an answer from the memory of the service says how old it is, so that a node is never fresher than what it was told.
 *
 * @example
 * const manager = new TokenManager({ store: new RemoteStore({ url: 'https://revocation.example.com', key }) })
 */
import type { Environment } from '../config.js'
import type { Digest } from '../core/digest.js'
import type { Mark } from '../core/mark.js'
import type { Entry, Revocation } from '../core/revocation.js'
import type { ParsedTarget, Shape } from '../core/target.js'
import { RescindError } from '../errors.js'
import { MACHINE, type Surroundings } from '../surroundings.js'
import { RemoteBell } from './remote-bell.js'
import { corrupt, RemoteCalls } from './remote-calls.js'
import { flagIn, object, textIn, timeIn } from './remote-fields.js'
import {
  FRAME_BYTES_MAX,
  FRAME_TYPE,
  makeAsker,
  PAGE_BYTES_MAX,
  readPage,
  tagOf,
  writeReseed,
} from './remote-frame.js'
import { checkedRemoteOptions, remoteOptionsFromEnv, type RemoteStoreOptions } from './remote-options.js'
import {
  advancementFrom,
  changesFrom,
  DIGESTS_MAX,
  heldFrom,
  type Json,
  liveNodesFrom,
  pageFrom,
  POSITION_LENGTH_MAX,
  ROWS_MAX,
  shapesFrom,
  storedFrom,
  tagFrom,
  targetToJson,
} from './remote-wire.js'
import {
  type Advancement,
  type AdvanceOptions,
  type BellListener,
  type Changes,
  type Held,
  KNOWN_SHAPES_MAX,
  LIST_SCAN_MAX,
  type ListOptions,
  type LiveNode,
  type LogPage,
  type NodeStatus,
  type Page,
  type Probe,
  type PutOptions,
  type ReadLogOptions,
  type ReseedOptions,
  type Restored,
  type RestoreOptions,
  shapeKey,
  type Store,
  type Stored,
} from './store.js'

export type { RemoteStoreOptions } from './remote-options.js'

interface KnownShapes {
  readonly tag: string
  readonly shapes: readonly Shape[]
}

const UNKNOWN: KnownShapes = { tag: '', shapes: [] }

/** The store of a service, over HTTP: for nodes that cannot reach Redis, or should not. See {@link Store}. */
export class RemoteStore implements Store {
  readonly kind = 'remote'
  readonly #calls: RemoteCalls
  readonly #bell: RemoteBell
  readonly #surroundings: Surroundings
  readonly #timeoutMs: number
  readonly #writeTimeoutMs: number
  /** Kept while nothing comes into use, so that who holds it sees that at a glance. */
  #known = UNKNOWN
  /** Names each question about the log: an old answer that somebody kept on the way is seen. */
  readonly #asker = makeAsker()
  #questions = 0

  /** Throws `ERR_CONFIG_INVALID` with every problem. Connects when it is asked for something. */
  constructor(options: RemoteStoreOptions) {
    const { url, key, timeoutMs, writeTimeoutMs } = checkedRemoteOptions(options)
    const { fetch: fetchIt = fetch, surroundings = MACHINE } = options
    this.#timeoutMs = timeoutMs
    this.#writeTimeoutMs = writeTimeoutMs
    this.#calls = new RemoteCalls({ url, key, fetch: fetchIt })
    this.#surroundings = surroundings
    this.#bell = new RemoteBell({ calls: this.#calls, timeoutMs: writeTimeoutMs, surroundings })
  }

  /**
   * Reads `RESCIND_URL`, `RESCIND_KEY`, `RESCIND_ALLOW_HTTP`, `RESCIND_CHECK_TIMEOUT_MS` and `RESCIND_WRITE_TIMEOUT_MS`.
   */
  static fromEnv(env: Environment): RemoteStore {
    return new RemoteStore(remoteOptionsFromEnv(env))
  }

  async find(probe: Probe): Promise<readonly Held[]> {
    const { monotonic } = this.#surroundings
    const until = monotonic() + this.#timeoutMs
    // United, and not replaced: services behind one address may know of different shapes for a moment.
    let { shapes } = this.#known
    for (;;) {
      const known = this.#known
      const digests = [...probe(shapes)]
      const { held, told } = await this.#findUnder(digests, known, until - monotonic())
      const others = othersThan(shapes, told.shapes)
      // Whoever learned of a new shape just now, this check has not looked under it.
      if (others.length === 0) return held
      // The bound: shapes of long ago are given up for those that are told of.
      shapes = shapes.length + others.length > KNOWN_SHAPES_MAX ? told.shapes : [...shapes, ...others]
    }
  }

  async readLog(
    after: string | undefined,
    bytesMax: number,
    { maxAgeMs = 0 }: ReadLogOptions = {},
  ): Promise<LogPage> {
    const known = this.#known
    const nonce = `${this.#asker}${++this.#questions}`
    const query = {
      ...(after === undefined ? {} : { after }),
      bytes: String(Math.min(bytesMax, PAGE_BYTES_MAX)),
      maxAgeMs: String(Math.floor(maxAgeMs)),
      shapes: known.tag,
      nonce,
    }
    const call = { path: 'log', query, timeoutMs: this.#timeoutMs, bytesMax: FRAME_BYTES_MAX }
    const { head, records } = await this.#calls.bytes(call, readPage)
    if (head.nonce !== nonce) throw corrupt(undefined)
    const { shapes } = this.#learn(head.tag, head.shapes, known)
    const { position, isEnd, hasGap, recordsMax, ageMs = 0 } = head
    return {
      ...{ records, position, isEnd, hasGap, shapes, ageMs },
      ...(recordsMax === undefined ? {} : { recordsMax }),
    }
  }

  async put(target: ParsedTarget, entry: Entry, { ack = 'accepted', now }: PutOptions): Promise<Stored> {
    const json = { target: targetToJson(target), entry: entry as unknown as Json, ack, now }
    return this.#calls.json({ path: 'put', json, timeoutMs: this.#writeTimeoutMs }, storedFrom)
  }

  async advance(
    family: Digest,
    mark: Mark,
    { ack = 'accepted', now, end }: AdvanceOptions,
  ): Promise<Advancement> {
    const json = { family, mark: mark as unknown as Json, now, end, ack }
    return this.#calls.json({ path: 'advance', json, timeoutMs: this.#writeTimeoutMs }, advancementFrom)
  }

  async restore(target: ParsedTarget, { now, known }: RestoreOptions): Promise<Restored> {
    const json = {
      target: targetToJson(target),
      now,
      ...(known === undefined ? {} : { known: known as unknown as Json }),
    }
    return this.#calls.json({ path: 'restore', json, timeoutMs: this.#writeTimeoutMs }, (answer) => {
      const restored = object(answer, 'what was restored')
      return {
        changed: flagIn(restored, 'changed'),
        restoredAt: timeIn(restored, 'restoredAt'),
        ...(restored.keptUntil === undefined ? {} : { keptUntil: timeIn(restored, 'keptUntil') }),
      }
    })
  }

  async reseed(
    records: Buffer,
    { giver, now, shapes, end, isLast }: ReseedOptions,
  ): Promise<number | undefined> {
    const body = writeReseed({ giver, now, shapes, end, isLast }, records)
    const call = { path: 'reseed', bytes: { type: FRAME_TYPE, body }, timeoutMs: this.#writeTimeoutMs }
    return this.#calls.json(call, (answer) => {
      const given = object(answer, 'what was taken')
      return given.taken === null ? undefined : timeIn(given, 'taken')
    })
  }

  /** The filter is here and not there: pages are asked for that are no larger than what fits. */
  async list({ now, limit, cursor, filter = () => true }: ListOptions): Promise<Page> {
    const revocations: Revocation[] = []
    let at = cursor
    // So many always fit; of a rare kind few do, and the next pages are larger.
    let rows = limit
    for (let scanned = 0; scanned < LIST_SCAN_MAX;) {
      const room = limit - revocations.length
      const page = await this.#page(now, Math.min(rows, ROWS_MAX), at)
      const fitting = placesOf(page.revocations, filter)
      const next = fitting[room]
      if (next !== undefined) {
        // Asked again for what comes before the first that has no room: the cursor stands at the end of a page.
        rows = Math.max(room, next < rows ? next : rows - 1)
        continue
      }
      for (const place of fitting) revocations.push(page.revocations[place] as Revocation)
      at = page.cursor
      if (at === undefined) return { revocations }
      if (revocations.length >= limit) break
      scanned += Math.max(page.revocations.length, 1)
      rows = ROWS_MAX
    }
    return at === undefined ? { revocations } : { revocations, cursor: at }
  }

  async changes(after: string, limit: number): Promise<Changes> {
    const query = { after, limit: String(Math.min(limit, ROWS_MAX)) }
    return this.#calls.json({ path: 'changes', query, timeoutMs: this.#writeTimeoutMs }, changesFrom)
  }

  async position(): Promise<string> {
    return this.#calls.json({ path: 'position', timeoutMs: this.#writeTimeoutMs }, (answer) =>
      textIn(object(answer, 'a position'), 'position', POSITION_LENGTH_MAX),
    )
  }

  onBell(listener: BellListener): () => void {
    return this.#bell.listen(listener)
  }

  async ringForReceipts(): Promise<void> {
    await this.#do({ path: 'receipts', json: {} })
  }

  async announce(node: NodeStatus): Promise<void> {
    await this.#do({ path: 'nodes', json: { ...node } })
  }

  async retire(id: string): Promise<void> {
    await this.#do({ method: 'DELETE', path: `nodes/${encodeURIComponent(id)}` })
  }

  async nodes(): Promise<readonly LiveNode[]> {
    return this.#calls.json({ path: 'nodes', timeoutMs: this.#writeTimeoutMs }, liveNodesFrom)
  }

  async ping(): Promise<void> {
    await this.#do({ path: 'ping' }, this.#timeoutMs)
  }

  async close(): Promise<void> {
    this.#bell.close()
    this.#calls.close()
  }

  async #findUnder(digests: readonly Digest[], known: KnownShapes, leftMs: number) {
    if (digests.length > DIGESTS_MAX)
      throw new RescindError('ERR_OPTION_INVALID', `a check looks under ${DIGESTS_MAX} digests at the most`)
    const json = { digests, tag: known.tag }
    const call = { path: 'find', json, timeoutMs: Math.max(1, Math.ceil(leftMs)) }
    const { held, tag, shapes } = await this.#calls.json(call, (answer) => {
      const found = object(answer, 'what was found')
      return {
        held: heldFrom(found.held, digests),
        tag: tagFrom(found.tag),
        shapes: found.shapes === undefined ? undefined : shapesFrom(found.shapes),
      }
    })
    return { held, told: this.#learn(tag, shapes, known) }
  }

  /** The shapes of an answer: told with it, or those that were known when it was asked for. */
  #learn(tag: string, told: readonly Shape[] | undefined, known: KnownShapes): KnownShapes {
    if (tag === this.#known.tag) return this.#known
    if (tag === known.tag) return known
    if (told === undefined || tagOf(told) !== tag) throw corrupt(undefined)
    this.#known = { tag, shapes: told }
    return this.#known
  }

  #page(now: number, limit: number, cursor: string | undefined): Promise<Page> {
    const query = { now: String(now), limit: String(limit), ...(cursor === undefined ? {} : { cursor }) }
    return this.#calls.json({ path: 'list', query, timeoutMs: this.#writeTimeoutMs }, pageFrom)
  }

  async #do(
    call: { method?: 'DELETE'; path: string; json?: Json },
    timeoutMs = this.#writeTimeoutMs,
  ): Promise<void> {
    await this.#calls.bytes({ ...call, timeoutMs }, () => undefined)
  }
}

function placesOf(revocations: readonly Revocation[], filter: (revocation: Revocation) => boolean): number[] {
  return [...revocations.keys()].filter((place) => filter(revocations[place] as Revocation))
}

/** The shapes in use that were not looked under. */
function othersThan(probed: readonly Shape[], told: readonly Shape[]): readonly Shape[] {
  if (told === probed) return []
  const known = new Set(probed.map(shapeKey))
  return told.filter((shape) => !known.has(shapeKey(shape)))
}
