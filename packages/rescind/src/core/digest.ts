/**
 * Digests: the only names under which anything is stored. SHA-256 over length-prefixed parts, cut to 128
 * bits, so that `a:b` + `c` never meets `a` + `b:c`, no raw token or claim stands in a key, and any language
 * can compute the same.
 */
import { hash } from 'node:crypto'

/** 16 bytes in base64url: 22 characters. */
export type Digest = string & { readonly __digest?: never }

export const DIGEST_BYTES = 16

const DOMAIN = 'rescind/target/1'
/** Room for the largest target that `target.ts` admits: 8 claims of 128 + 1,024 UTF-16 units. */
const SCRATCH_BYTES = 32 * 1024
const scratch = Buffer.allocUnsafe(SCRATCH_BYTES)
const domainBytes = scratch.write(DOMAIN, 0, 'latin1')

/**
 * The digest of a target: SHA-256 of `rescind/target/1`, then for every claim, in the order of its name's
 * UTF-8 bytes, the name and the value, each as a 32-bit big-endian byte count and its UTF-8 bytes.
 * `names` are sorted; `values` stand in the same order.
 */
export function targetDigest(names: readonly string[], values: readonly string[]): Digest {
  let end = domainBytes
  for (let i = 0; i < names.length; i++) {
    end = writePart(names[i] as string, end)
    end = writePart(values[i] as string, end)
  }
  return hash('sha256', scratch.subarray(0, end), 'buffer').toString('base64url', 0, DIGEST_BYTES)
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

function writePart(text: string, at: number): number {
  const length = scratch.write(text, at + 4, 'utf8')
  scratch.writeUInt32BE(length, at)
  return at + 4 + length
}
