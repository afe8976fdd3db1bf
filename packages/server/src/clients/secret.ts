/**
 * Secrets of clients: made at random, shown once, kept as scrypt hashes (RFC 7914), compared in constant time.
 *
 * A key that was made here is `rsk_ID_SECRET`: the id finds its hash among those of a client, and is no secret. Whoever
 * has it may use it as an OAuth client secret and as a bearer API key.
 */
import { randomBytes, scrypt, type ScryptOptions, timingSafeEqual } from 'node:crypto'

const KEY = /^rsk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/
const KEY_ID_BYTES = 6
const SECRET_BYTES = 32
const SALT_BYTES = 16
const HASH_BYTES = 32
/** A secret that is longer is refused before anything is looked up. */
export const SECRET_LENGTH_MAX = 512

/** log2 of N, r, p: about 50 ms and 16 MiB a hash. */
const COST = { ln: 14, r: 8, p: 1 }
/** What a hash of a configuration may ask for at most: 256 MiB. */
const COST_MAX = { ln: 18, r: 8, p: 4 }
const HASH =
  /^scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d)\$([A-Za-z0-9_-]{16,64})\$([A-Za-z0-9_-]{43})(?:\$([0-9a-f]{12}))?$/

interface ParsedHash {
  readonly options: ScryptOptions
  readonly salt: Buffer
  readonly hash: Buffer
  /** The id of the key, where it was made by `makeKey`. */
  readonly keyId: string | undefined
}

/** A new key, 256 random bits. */
export function makeKey(): string {
  return `rsk_${randomBytes(KEY_ID_BYTES).toString('hex')}_${randomBytes(SECRET_BYTES).toString('base64url')}`
}

/** The id in a key that was made here; undefined for another secret. */
export function keyIdOf(secret: string): string | undefined {
  return KEY.exec(secret)?.[1]
}

/** The id of the key whose hash this is, where it has one. */
export function keyIdOfHash(hash: string): string | undefined {
  return HASH.exec(hash)?.[6]
}

/** `scrypt$ln=14,r=8,p=1$SALT$HASH`, and `$ID` for a key that was made here. */
export async function hashSecret(secret: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await derive(secret, salt, optionsOf(COST))
  const id = keyIdOf(secret)
  const cost = `ln=${COST.ln},r=${COST.r},p=${COST.p}`
  return `scrypt$${cost}$${salt.toString('base64url')}$${hash.toString('base64url')}${id === undefined ? '' : `$${id}`}`
}

/** False for a hash that cannot be read, too. */
export async function verifySecret(secret: string, hash: string): Promise<boolean> {
  const parsed = parseHash(hash)
  if (parsed === undefined) return false
  return timingSafeEqual(await derive(secret, parsed.salt, parsed.options), parsed.hash)
}

/** Takes as long as `verifySecret`, for a client that does not exist: nobody shall learn which do. */
export async function verifyNothing(secret: string): Promise<false> {
  await derive(secret, randomBytes(SALT_BYTES), optionsOf(COST))
  return false
}

export function isHash(text: string): boolean {
  return parseHash(text) !== undefined
}

function parseHash(text: string): ParsedHash | undefined {
  const [, ln, r, p, salt, hash, keyId] = HASH.exec(text) ?? []
  if (salt === undefined || hash === undefined) return undefined
  const cost = { ln: Number(ln), r: Number(r), p: Number(p) }
  const isWithin = (['ln', 'r', 'p'] as const).every(
    (name) => cost[name] >= 1 && cost[name] <= COST_MAX[name],
  )
  if (!isWithin) return undefined
  return {
    options: optionsOf(cost),
    salt: Buffer.from(salt, 'base64url'),
    hash: Buffer.from(hash, 'base64url'),
    keyId,
  }
}

function optionsOf({ ln, r, p }: typeof COST): ScryptOptions {
  const N = 2 ** ln
  return { N, r, p, maxmem: 256 * N * r }
}

function derive(secret: string, salt: Buffer, options: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(secret.normalize('NFKC'), salt, HASH_BYTES, options, (error, key) =>
      error ? reject(error) : resolve(key),
    )
  })
}
