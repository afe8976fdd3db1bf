/** One direction of a proxied connection: takes from one socket and gives to the other, in order, as its mode says. */
import type { Socket } from 'node:net'

/**
 * What a direction does with what comes.
 *
 * - `pass`: delivers.
 * - `delay`: delivers everything `ms` after it came, FIN and RST too.
 * - `hold`: delivers nothing until the mode changes, and then everything: a cut that TCP outlives.
 * - `swallow`: takes everything and delivers nothing, neither FIN nor RST; what came is lost.
 * - `reset`: sends the receiver a RST at once, on each new connection too. The sender is not told.
 * - `halfClose`: sends the receiver a FIN after what came before; what comes later is lost.
 * - `split`: delivers in pieces of `bytes`, each a write of its own in a turn of its own.
 * - `truncate`: delivers `bytes` more of each connection, and then resets both of its sides.
 * - `garble`: delivers with one bit of each `every`th byte changed.
 */
export type LaneMode =
  | { readonly kind: 'pass' | 'hold' | 'swallow' | 'reset' | 'halfClose' }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'split' | 'truncate'; readonly bytes: number }
  | { readonly kind: 'garble'; readonly every: number }

export interface LaneCount {
  /** Bytes that were given to the receiver. */
  delivered: number
  /** Bytes that came and will never be delivered. */
  lost: number
}

export interface LaneOptions {
  readonly from: Socket
  readonly to: Socket
  readonly mode: LaneMode
  /** Added to. */
  readonly count: LaneCount
  /** The connection cannot go on: both of its sides are to be reset. */
  onBroken(): void
}

/** What came from the sender. */
type Item =
  | { readonly kind: 'bytes'; readonly bytes: Buffer; readonly cameAtMs: number }
  | { readonly kind: 'end' | 'reset'; readonly cameAtMs: number }

/** With so much waiting the sender is not read any more, as by a receiver whose window is full. */
const QUEUE_MAX_BYTES = 1024 * 1024
/** Between the last bytes and the RST of `truncate`: a RST may keep a receiver from reading what came before. */
const READ_MS = 5
/** The bit that `garble` changes: letters and digits become others, and CR and LF no line ends. */
const GARBLED_BIT = 0x01

export class Lane {
  readonly #options: LaneOptions
  #mode: LaneMode
  #queue: Item[] = []
  #queuedBytes = 0
  /** Bytes of `#queue[0]` that were delivered, and bytes delivered since the mode was set. */
  #headBytes = 0
  #modeBytes = 0
  /** Nothing of what comes from now on is delivered. */
  #isCut = false
  /** The stream that the receiver got is not the one that was sent: the connection must not outlive the mode. */
  #isDamaged = false
  #isPumping = false
  #wake: (() => void) | undefined

  constructor(options: LaneOptions) {
    this.#options = options
    this.#mode = options.mode
    const { from, to } = options
    from.on('data', (bytes) => this.#take({ kind: 'bytes', bytes, cameAtMs: performance.now() }))
    from.on('end', () => this.#take({ kind: 'end', cameAtMs: performance.now() }))
    from.on('close', (hadError) => {
      if (hadError) this.#take({ kind: 'reset', cameAtMs: performance.now() })
    })
    to.on('drain', () => this.#wake?.())
    to.on('close', () => this.#wake?.())
    this.#enter()
  }

  /** A connection that lost or changed something is reset when its mode is left. */
  set mode(mode: LaneMode) {
    const isLeft = mode.kind !== this.#mode.kind
    this.#mode = mode
    this.#modeBytes = 0
    if (isLeft && this.#isDamaged) {
      this.#options.onBroken()
      return
    }
    this.#enter()
    this.#wake?.()
    void this.#pump()
  }

  /** What a mode does by itself, before anything comes. */
  #enter(): void {
    const { from, to } = this.#options
    if (this.#mode.kind === 'swallow') this.#loseQueue()
    if (this.#mode.kind === 'halfClose') {
      this.#take({ kind: 'end', cameAtMs: performance.now() })
      this.#isDamaged = true
    }
    if (this.#mode.kind === 'reset') {
      this.#loseQueue()
      this.#isCut = true
      this.#isDamaged = true
      to.resetAndDestroy()
      from.resume()
    }
  }

  #take(item: Item): void {
    const isEndless = item.kind === 'reset' && this.#mode.kind !== 'swallow'
    if ((this.#isCut && !isEndless) || this.#mode.kind === 'swallow') return this.#lose(item)
    this.#queue.push(item)
    if (item.kind === 'bytes') this.#queuedBytes += item.bytes.length
    else this.#isCut = true
    if (this.#queuedBytes >= QUEUE_MAX_BYTES) this.#options.from.pause()
    void this.#pump()
  }

  #lose(item: Item): void {
    this.#isDamaged = true
    this.#isCut = true
    if (item.kind === 'bytes') this.#options.count.lost += item.bytes.length
  }

  #loseQueue(): void {
    const lost = this.#queue
    this.#queue = []
    this.#options.count.lost -= this.#headBytes
    this.#headBytes = 0
    this.#queuedBytes = 0
    for (const item of lost) this.#lose(item)
    this.#options.from.resume()
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return
    this.#isPumping = true
    for (let item = this.#queue[0]; item !== undefined; item = this.#queue[0]) {
      if (this.#options.to.destroyed) this.#loseQueue()
      else if (this.#mode.kind === 'hold') await this.#sleep()
      else if (this.#mode.kind === 'delay' && item.cameAtMs + this.#mode.ms > performance.now())
        await this.#sleep(item.cameAtMs + this.#mode.ms - performance.now())
      else if (item.kind === 'bytes') await this.#deliver(item.bytes)
      else this.#finish(item.kind)
    }
    this.#isPumping = false
  }

  #finish(kind: 'end' | 'reset'): void {
    this.#queue.shift()
    if (kind === 'end') this.#options.to.end()
    else this.#options.to.resetAndDestroy()
  }

  /** Delivers as much of the first item as the mode gives in one write. */
  async #deliver(bytes: Buffer): Promise<void> {
    const { to, count, onBroken } = this.#options
    const mode = this.#mode
    const rest = bytes.subarray(this.#headBytes)
    const size =
      mode.kind === 'split' || mode.kind === 'truncate'
        ? Math.min(rest.length, mode.kind === 'split' ? mode.bytes : mode.bytes - this.#modeBytes)
        : rest.length
    const piece = mode.kind === 'garble' ? this.#garbled(rest, mode.every) : rest.subarray(0, size)
    this.#headBytes += size
    this.#modeBytes += size
    count.delivered += size
    if (size === rest.length) this.#shift(bytes)
    const isFlowing = to.write(piece)
    if (mode.kind === 'split') await new Promise((resolve) => setImmediate(resolve))
    if (mode.kind === 'truncate' && this.#modeBytes >= mode.bytes) {
      await flushed(to)
      return onBroken()
    }
    if (!isFlowing && to.writableNeedDrain && !to.destroyed) await this.#sleep()
  }

  #shift(bytes: Buffer): void {
    this.#queue.shift()
    this.#headBytes = 0
    this.#queuedBytes -= bytes.length
    if (this.#queuedBytes < QUEUE_MAX_BYTES) this.#options.from.resume()
  }

  #garbled(bytes: Buffer, every: number): Buffer {
    const copy = Buffer.from(bytes)
    for (let at = every - 1 - (this.#modeBytes % every); at < copy.length; at += every) {
      copy[at] = (copy[at] as number) ^ GARBLED_BIT
      this.#isDamaged = true
    }
    return copy
  }

  /** Until the mode changes, the receiver takes more or is gone, or the time has passed. */
  async #sleep(ms?: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = undefined
  }
}

/** What was written has gone to the kernel, or never will; and a receiver in this process could read it. */
async function flushed(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => socket.write('', () => resolve()))
  await new Promise((resolve) => setTimeout(resolve, READ_MS))
}
