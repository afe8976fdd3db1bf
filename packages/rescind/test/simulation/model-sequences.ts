/**
 * Random sequences of commands for the comparison of the model with a real server: scripts over few keys, so that they
 * meet, and between them the losses that a simulation brings about.
 */
import { digestFromBytes } from '../../src/core/digest.js'
import { OPERATION_RESTORE, OPERATION_REVOKE, RECORD_BYTES, writeRecord } from '../../src/core/record.js'
import { ANY_TIME } from '../../src/core/revocation.js'
import { packDetails, packTarget } from '../../src/redis/record.js'
import { changeArguments } from '../../src/redis/script.js'
import type { Chance } from './chance.js'
import type { Argument } from './model-commands.js'

export interface Command {
  readonly name: string
  readonly parameters: readonly Argument[]
}

const PREFIX = 'rescind:{compare.0}:'
const META = `${PREFIX}meta`
const SHAPES = `${PREFIX}shapes`
const LOG = `${PREFIX}log:`
const BELL = 'rescind:{compare}:bell'
const STEPS_MIN = 15
const STEPS_MAX = 60
/** Names of claims: some are digits, long, or of bytes that sort otherwise than characters. */
const NAMES = ['sub', 'sid', 'client_id', '1', 'é', '𝒳', 'z'.repeat(40)]
const GIVERS = ['one', 'two']

/** The first byte of a record of another version: of other bytes the script looks at less than `parseRecord`. */
const FOREIGN = Buffer.from([0x41])

const WEIGHTS = {
  revoke: 40,
  restore: 10,
  shape: 5,
  reseed: 12,
  read: 20,
  lose: 8,
  turn: 3,
  life: 2,
  nodes: 4,
  spoil: 1,
} as const

export function sequenceOf(chance: Chance, nowSeconds: number): Command[] {
  const makers = new Maker(chance, nowSeconds)
  return Array.from({ length: chance.whole(STEPS_MIN, STEPS_MAX) }, () => makers.command())
}

class Maker {
  readonly #chance: Chance
  readonly #nowSeconds: number
  readonly #digests: readonly Buffer[]
  readonly #epoch: string
  readonly #partitions: number

  constructor(chance: Chance, nowSeconds: number) {
    this.#chance = chance
    this.#nowSeconds = nowSeconds
    this.#digests = Array.from({ length: chance.whole(1, 6) }, () => chance.bytes(16))
    this.#epoch = chance.bytes(8).toString('hex')
    this.#partitions = chance.pick([1, 4])
  }

  command(): Command {
    const chance = this.#chance
    switch (chance.weighted(WEIGHTS)) {
      case 'revoke':
        return this.#change(OPERATION_REVOKE)
      case 'restore':
        return this.#change(OPERATION_RESTORE)
      case 'shape':
        return this.#shape()
      case 'reseed':
        return this.#reseed()
      case 'read':
        return this.#read()
      case 'lose':
        return { name: 'del', parameters: [this.#key()] }
      case 'turn':
        return {
          name: 'hset',
          parameters: [META, 'giverUntil', `${(this.#nowSeconds + this.#far()) * 1000}`],
        }
      case 'life':
        return { name: 'pexpire', parameters: [this.#recordKey(), chance.whole(60, 90_000) * 1000] }
      case 'nodes':
        return chance.is(0.7)
          ? { name: 'hset', parameters: [`${PREFIX}nodes`, chance.pick(GIVERS), String(chance.whole(0, 9))] }
          : { name: 'hdel', parameters: [`${PREFIX}nodes`, chance.pick(GIVERS), 'three'] }
      case 'spoil':
        return { name: 'set', parameters: [this.#recordKey(), Buffer.concat([FOREIGN, chance.bytes(9)])] }
    }
  }

  /** By the caller's clock, which may be five minutes off. */
  #now(): number {
    return this.#nowSeconds + this.#chance.pick([0, 0, 0, 1, -1, -300, 300])
  }

  /** Minutes or hours away, and never at the edge of anything: the two clocks are not the same. */
  #far(): number {
    return this.#chance.pick([-20_000, -7_300, -3_000, -90, 90, 600, 1800, 5000, 90_000])
  }

  #before(): number {
    return this.#chance.pick([ANY_TIME, this.#nowSeconds, this.#now(), this.#nowSeconds - 60, 0])
  }

  #recordKey(digest: Buffer = this.#chance.pick(this.#digests)): string {
    return `${PREFIX}r:${digestFromBytes(digest, 0)}`
  }

  #key(): string {
    const { pick, whole } = {
      pick: <T>(of: readonly T[]) => this.#chance.pick(of),
      whole: this.#chance.whole.bind(this.#chance),
    }
    return pick([META, SHAPES, `${LOG}${whole(1, 4)}`, `${LOG}${whole(1, 2)}`, this.#recordKey()])
  }

  #change(operation: number): Command {
    const chance = this.#chance
    const digest = chance.pick(this.#digests)
    const shape = [chance.pick(NAMES)]
    const now = this.#now()
    // What ended before it began has a life of a millisecond: it may end between the two servers' answers.
    const end = operation === OPERATION_REVOKE ? now + chance.whole(60, 9000) : this.#nowSeconds + this.#far()
    const texts = {
      ...(chance.is(0.3) ? { reason: chance.pick(['logout', 'wörter', 'x'.repeat(300)]) } : {}),
      ...(chance.is(0.3) ? { actor: chance.pick(['admin', 'a@example.com']) } : {}),
    }
    const known = chance.is(0.5) ? 0 : this.#nowSeconds + chance.whole(-100, 100)
    const parameters = changeArguments({
      operation,
      now,
      digest,
      end: operation === OPERATION_RESTORE && known === 0 ? 0 : end,
      issuedBefore: operation === OPERATION_REVOKE ? this.#before() : known,
      epoch: this.#nextEpoch(),
      shape: chance.is(0.2) ? '' : JSON.stringify(shape),
      target: packTarget({ shape, values: ['value'] }),
      details: packDetails({ at: now, end, issuedBefore: 0, ...texts }),
      partitions: chance.is(0.95) ? this.#partitions : 2,
      bell: BELL,
      isWaited: chance.is(0.2),
      at: chance.is(0.7) ? now : this.#nowSeconds + chance.whole(-100, 400),
    })
    const keys = [this.#recordKey(digest), META, SHAPES, LOG]
    return { name: 'rescindChangeBuffer', parameters: [...keys, ...parameters] }
  }

  #shape(): Command {
    const chance = this.#chance
    // Many of them, so that the limit is met.
    const name = chance.is(0.3) ? chance.pick(NAMES) : `claim-${chance.whole(0, 60)}`
    const end = this.#nowSeconds + this.#far()
    return {
      name: 'rescindShape',
      parameters: [
        META,
        SHAPES,
        this.#now(),
        end,
        this.#nextEpoch(),
        JSON.stringify([name]),
        this.#partitions,
        chance.whole(0, 1),
      ],
    }
  }

  #reseed(): Command {
    const chance = this.#chance
    const lines = Array.from({ length: chance.whole(0, 6) }, () => this.#line())
    const keys = lines.map((line) => this.#recordKey(line.subarray(0, 16)))
    return {
      name: 'rescindReseed',
      parameters: [
        keys.length + 2,
        META,
        LOG,
        ...keys,
        this.#now(),
        this.#nextEpoch(),
        BELL,
        Buffer.concat(lines),
        chance.pick(GIVERS),
        chance.whole(0, 1),
      ],
    }
  }

  #line(): Buffer {
    const chance = this.#chance
    const line = Buffer.alloc(RECORD_BYTES)
    const operation = chance.is(0.7) ? OPERATION_REVOKE : OPERATION_RESTORE
    const at = this.#nowSeconds + chance.whole(-400, 400)
    const digest = digestFromBytes(chance.pick(this.#digests), 0)
    const end = this.#nowSeconds + chance.whole(400, 9000)
    writeRecord(line, 0, { operation, digest, end, issuedBefore: this.#before(), at })
    return line
  }

  #read(): Command {
    const chance = this.#chance
    const start = chance.whole(0, 9) * RECORD_BYTES
    return chance.pick<Command>([
      { name: 'mgetBuffer', parameters: [SHAPES, this.#recordKey(), this.#recordKey(), META] },
      { name: 'get', parameters: [SHAPES] },
      { name: 'hget', parameters: [META, 'epoch'] },
      { name: 'hmget', parameters: [META, 'epoch', 'segment', 'size', 'nothing'] },
      { name: 'hgetall', parameters: [META] },
      { name: 'hgetall', parameters: [`${PREFIX}nodes`] },
      { name: 'hgetall', parameters: [SHAPES] },
      { name: 'getrangeBuffer', parameters: [`${LOG}${chance.whole(1, 3)}`, start, start + 255] },
      { name: 'strlen', parameters: [`${LOG}1`] },
      { name: 'exists', parameters: [`${LOG}1`, `${LOG}2`, META, META] },
      { name: 'pttl', parameters: [this.#key()] },
      { name: 'publish', parameters: [BELL, 'receipt'] },
    ])
  }

  /** The same for most: a log that was lost begins with another. */
  #nextEpoch(): string {
    return this.#chance.is(0.8) ? this.#epoch : this.#chance.bytes(8).toString('hex')
  }
}
