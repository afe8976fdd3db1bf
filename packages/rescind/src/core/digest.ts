/**
 * Digests: the only names under which anything is stored. SHA-256 over length-prefixed parts, cut to 128
 * bits, so that `a:b` + `c` never meets `a` + `b:c`, no raw token or claim stands in a key, and any language
 * can compute the same. In stores they are text, in a replica four words of 32 bits.
 */
import { hash } from 'node:crypto'
import { TargetHasher } from './target-hash.js'

/** 16 bytes in base64url: 22 characters. */
export type Digest = string & { readonly __digest?: never }

export const DIGEST_BYTES = 16

const scratchWords = new Int32Array(DIGEST_BYTES / 4)
const scratchBytes = Buffer.from(scratchWords.buffer)
/** The hashers of shapes: made once for each list of names that lives. */
const hashers = new WeakMap<readonly string[], TargetHasher>()

/** The digest of a target, as `target-hash` defines it. `names` are sorted; `values` stand in the same order. */
export function targetDigest(names: readonly string[], values: readonly string[]): Digest {
  let hasher = hashers.get(names)
  if (hasher === undefined) hashers.set(names, (hasher = new TargetHasher(names)))
  hasher.digestInto(values, scratchWords, 0)
  return digestFromBytes(scratchBytes, 0)
}

/** SHA-256 of a text in base64url (43 characters): names a token that has no `jti`. */
export function textDigest(text: string): string {
  return hash('sha256', text, 'base64url')
}

export function digestToBytes(digest: Digest): Buffer {
  return Buffer.from(digest, 'base64url')
}

export function digestFromBytes(bytes: Buffer, offset: number): Digest {
  return bytes.toString('base64url', offset, offset + DIGEST_BYTES)
}

/** Four words, as a replica holds them. */
export function digestToWords(digest: Digest): Int32Array {
  const words = new Int32Array(DIGEST_BYTES / 4)
  Buffer.from(words.buffer).set(digestToBytes(digest))
  return words
}

/** The digest whose words begin at `offset`. */
export function digestFromWords(words: Int32Array, offset: number): Digest {
  return digestFromBytes(Buffer.from(words.buffer, words.byteOffset + offset * 4, DIGEST_BYTES), 0)
}
