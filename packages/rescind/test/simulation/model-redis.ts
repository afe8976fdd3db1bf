/**
 * A model of a Redis server: strings and hashes with expiry by its own clock, a role, memory that may be full, and the
 * commands that the library sends. Values are never changed but replaced, so that a copy of a server shares them.
 */
import type { MachineClock } from './scheduler.js'

export type Hash = ReadonlyMap<string, string>
export type Value = Buffer | Hash

export interface Slot {
  readonly value: Value
  /** By the clock of the server; `Infinity`: it stays. */
  readonly expiresAtMs: number
}

/** What a command did to a key; without a slot, it is gone. */
export interface Effect {
  readonly key: string
  readonly slot: Slot | undefined
}

/** The error replies that the model knows, as the server words them. */
export class ReplyError extends Error {
  override readonly name = 'ReplyError'
}

const READONLY = "READONLY You can't write against a read only replica."
const OOM = "OOM command not allowed when used memory > 'maxmemory'."
const WRONGTYPE = 'WRONGTYPE Operation against a key holding the wrong kind of value'

export class ModelRedis {
  role: 'master' | 'slave' = 'master'
  /** No command that may need memory is taken. */
  isFull = false
  /** Told of each change, for replicas. */
  onEffect: (effect: Effect) => void = () => undefined
  /** Delivers a message; returns how many listen. */
  onPublish: (channel: string, message: string) => number = () => 0
  /** For each replica that follows: seconds since it last said how far it is. */
  replicas: () => readonly number[] = () => []
  readonly #slots = new Map<string, Slot>()
  readonly #nowMs: () => number
  /** The script that runs: one that has begun to write goes on, whatever the memory. */
  #script: { isWriting: boolean } | undefined

  /** `nowMs`: milliseconds since 1970, to which the skew of the server's own clock is added. */
  constructor(
    nowMs: () => number,
    readonly clock: MachineClock = { skewMs: 0 },
  ) {
    this.#nowMs = () => nowMs() + clock.skewMs
  }

  get nowMs(): number {
    return this.#nowMs()
  }

  /** A script: all or nothing of it is seen by others. */
  script<T>(work: () => T): T {
    this.#script = { isWriting: false }
    try {
      return work()
    } finally {
      this.#script = undefined
    }
  }

  time(): [number, number] {
    const now = this.nowMs
    return [Math.floor(now / 1000), Math.floor((now % 1000) * 1000)]
  }

  get(key: string): Buffer | undefined {
    const value = this.#slot(key)?.value
    if (value !== undefined && !Buffer.isBuffer(value)) throw new ReplyError(WRONGTYPE)
    return value
  }

  /** `MGET` has nothing where another kind of value stands. */
  mget(keys: readonly string[]): (Buffer | undefined)[] {
    return keys.map((key) => {
      const value = this.#slot(key)?.value
      return Buffer.isBuffer(value) ? value : undefined
    })
  }

  /** `SET` without an option: what stood there has no life any more. */
  set(key: string, value: Buffer, lifeMs = Infinity): void {
    this.#beginWrite(true)
    this.#put(key, { value, expiresAtMs: this.nowMs + lifeMs })
  }

  append(key: string, bytes: Buffer): number {
    this.#beginWrite(true)
    const value = Buffer.concat([this.get(key) ?? Buffer.alloc(0), bytes])
    this.#put(key, { value, expiresAtMs: this.#slot(key)?.expiresAtMs ?? Infinity })
    return value.length
  }

  strlen(key: string): number {
    return this.get(key)?.length ?? 0
  }

  /** Both ends included, as `GETRANGE` counts; not below 0 here. */
  getrange(key: string, start: number, end: number): Buffer {
    return Buffer.from((this.get(key) ?? Buffer.alloc(0)).subarray(start, end + 1))
  }

  exists(...keys: readonly string[]): number {
    return keys.filter((key) => this.#slot(key) !== undefined).length
  }

  /** Milliseconds; -1 without an expiry, -2 without the key. */
  pttl(key: string): number {
    const slot = this.#slot(key)
    if (slot === undefined) return -2
    return slot.expiresAtMs === Infinity ? -1 : Math.ceil(slot.expiresAtMs - this.nowMs)
  }

  pexpire(key: string, lifeMs: number): number {
    this.#beginWrite(false)
    const slot = this.#slot(key)
    if (slot === undefined) return 0
    this.#put(key, { value: slot.value, expiresAtMs: this.nowMs + lifeMs })
    return 1
  }

  del(...keys: readonly string[]): number {
    this.#beginWrite(false)
    const present = keys.filter((key) => this.#slot(key) !== undefined)
    for (const key of present) this.#put(key, undefined)
    return present.length
  }

  hget(key: string, field: string): string | undefined {
    return this.#hash(key).get(field)
  }

  hgetall(key: string): Hash {
    return this.#hash(key)
  }

  /** Returns how many fields are new. */
  hset(key: string, fields: Readonly<Record<string, string>>): number {
    this.#beginWrite(true)
    const before = this.#hash(key)
    const value = new Map([...before, ...Object.entries(fields)])
    this.#put(key, { value, expiresAtMs: this.#slot(key)?.expiresAtMs ?? Infinity })
    return value.size - before.size
  }

  hdel(key: string, ...fields: readonly string[]): number {
    this.#beginWrite(false)
    const before = this.#hash(key)
    const value = new Map([...before].filter(([field]) => !fields.includes(field)))
    if (value.size < before.size) {
      const expiresAtMs = this.#slot(key)?.expiresAtMs ?? Infinity
      this.#put(key, value.size === 0 ? undefined : { value, expiresAtMs })
    }
    return before.size - value.size
  }

  publish(channel: string, message: string): number {
    return this.onPublish(channel, message)
  }

  /** All keys that have not ended. */
  keys(): string[] {
    return [...this.#slots.keys()].filter((key) => this.#slot(key) !== undefined)
  }

  /** What it holds, as a snapshot has it. */
  snapshot(): ReadonlyMap<string, Slot> {
    return new Map(this.#slots)
  }

  /** Holds what a snapshot has, and nothing else. Nobody is told. */
  load(snapshot: ReadonlyMap<string, Slot>): void {
    this.#slots.clear()
    for (const [key, slot] of snapshot) this.#slots.set(key, slot)
  }

  /** Takes over what its primary did. */
  apply({ key, slot }: Effect): void {
    if (slot === undefined) this.#slots.delete(key)
    else this.#slots.set(key, slot)
  }

  #hash(key: string): Hash {
    const value = this.#slot(key)?.value
    if (Buffer.isBuffer(value)) throw new ReplyError(WRONGTYPE)
    return value ?? NO_FIELDS
  }

  #slot(key: string): Slot | undefined {
    const slot = this.#slots.get(key)
    return slot === undefined || slot.expiresAtMs <= this.nowMs ? undefined : slot
  }

  #put(key: string, slot: Slot | undefined): void {
    const effect = { key, slot }
    this.apply(effect)
    this.onEffect(effect)
  }

  /** Whatever it then does: a command that writes is refused before it looks. */
  #beginWrite(needsMemory: boolean): void {
    if (this.role !== 'master') throw new ReplyError(READONLY)
    if (needsMemory && this.isFull && this.#script?.isWriting !== true) throw new ReplyError(OOM)
    if (this.#script !== undefined) this.#script.isWriting = true
  }
}

const NO_FIELDS: Hash = new Map()
