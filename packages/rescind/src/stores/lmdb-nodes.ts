/**
 * Live nodes and the doorbell of the embedded store, among the processes of one machine: small files beside the
 * data. A line is written every second by every node; in the data file each would cost a flush of the disk.
 *
 * The doorbell is `fs.watch` on the folder: the data file changes with every change, and `bell` when somebody waits
 * for receipts. Where watching does not work, nodes poll.
 */
import { createHash } from 'node:crypto'
import { type FSWatcher, mkdirSync, watch } from 'node:fs'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DATA_FILE } from './lmdb-file.js'
import {
  assertCountable,
  type Bell,
  type LiveNode,
  NODE_LIFE_MS,
  NODES_MAX,
  type NodeStatus,
} from './store.js'

const BELL_FILE = 'bell'
/** The name of a line; one that is being written has an end besides. */
const LINE_NAME = /^[0-9a-f]{32}$/
const FILE_MODE = 0o600
/** Changes within so many milliseconds are one ring: a commit touches its file several times. */
const BELL_PAUSE_MS = 5
/** Lines of nodes that were killed are removed when they are so old. */
const LINE_KEPT_MS = 10 * NODE_LIFE_MS

export class LmdbNodes {
  readonly #folder: string
  readonly #lines: string
  readonly #bells = new Set<(bell: Bell) => void>()
  readonly #pending = new Set<Bell>()
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(folder: string) {
    this.#folder = folder
    this.#lines = join(folder, 'nodes')
    mkdirSync(this.#lines, { recursive: true, mode: 0o700 })
  }

  async announce(node: NodeStatus): Promise<void> {
    const path = this.#lineOf(node.id)
    const written = `${path}.${process.pid}`
    await writeFile(written, JSON.stringify({ ...node, seenMs: uptimeMs() }), { mode: FILE_MODE })
    await rename(written, path)
  }

  async retire(id: string): Promise<void> {
    await rm(this.#lineOf(id), { force: true })
  }

  async live(): Promise<LiveNode[]> {
    const names = await readdir(this.#lines)
    const nodes = await Promise.all(
      names.slice(0, NODES_MAX).map(async (name) => {
        // Old ones are removed, whatever they are.
        const node = await this.#read(join(this.#lines, name))
        return LINE_NAME.test(name) ? node : undefined
      }),
    )
    assertCountable(names.length)
    return nodes.filter((node) => node !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  onBell(listener: (bell: Bell) => void): () => void {
    this.#bells.add(listener)
    this.#watch()
    return () => {
      this.#bells.delete(listener)
      if (this.#bells.size === 0) this.#stopWatching()
    }
  }

  /** Rings here; other stores see their files change. */
  ring(bell: Bell): void {
    for (const listener of this.#bells) listener(bell)
  }

  async ringForReceipts(): Promise<void> {
    this.ring('receipt')
    await writeFile(join(this.#folder, BELL_FILE), String(uptimeMs()), { mode: FILE_MODE })
  }

  close(): void {
    this.#bells.clear()
    this.#stopWatching()
  }

  async #read(path: string): Promise<LiveNode | undefined> {
    let line: NodeStatus & { seenMs: number }
    try {
      line = JSON.parse(await readFile(path, 'utf8')) as typeof line
    } catch {
      // Retired meanwhile, or half written.
      return undefined
    }
    const { seenMs, ...node } = line
    const ageMs = uptimeMs() - seenMs
    if (ageMs >= 0 && ageMs <= NODE_LIFE_MS) return { ...node, ageMs }
    // From before the machine was started again, or of a node that was killed.
    if (!(ageMs >= 0 && ageMs <= LINE_KEPT_MS)) await rm(path, { force: true })
    return undefined
  }

  #lineOf(id: string): string {
    return join(this.#lines, createHash('sha256').update(id).digest('hex').slice(0, 32))
  }

  #watch(): void {
    if (this.#watcher !== undefined) return
    try {
      this.#watcher = watch(this.#folder, { persistent: false }, (_event, name) => {
        if (name === BELL_FILE) this.#ringSoon('receipt')
        else if (name === DATA_FILE || name === null) this.#ringSoon('change')
      })
      this.#watcher.on('error', () => this.#stopWatching())
    } catch {
      // The bounds of the system for watches are reached, or there are none: a hint is missing, polls go on.
      this.#watcher = undefined
    }
  }

  #ringSoon(bell: Bell): void {
    this.#pending.add(bell)
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const bells = [...this.#pending]
      this.#pending.clear()
      for (const each of bells) this.ring(each)
    }, BELL_PAUSE_MS).unref()
  }

  #stopWatching(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#pending.clear()
    this.#watcher?.close()
    this.#watcher = undefined
  }
}

/** Milliseconds since the machine was started: one clock for all its processes, which nobody sets. */
function uptimeMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n)
}
