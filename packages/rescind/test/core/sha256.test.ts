import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { block, BLOCK_BYTES, compress, compressBytes, INITIAL_STATE } from '../../src/core/sha256.js'

/** A whole message, padded as FIPS 180-4 §5.1.1 says, by the functions that are tested. */
function sha256(message: Buffer): string {
  const size = Math.ceil((message.length + 9) / BLOCK_BYTES) * BLOCK_BYTES
  const padded = Buffer.alloc(size)
  message.copy(padded)
  padded[message.length] = 0x80
  padded.writeUInt32BE(message.length * 8, size - 4)
  const state = new Int32Array(8)
  compressBytes(INITIAL_STATE, padded, size, state)
  return hex(state)
}

function hex(state: Int32Array): string {
  const bytes = Buffer.alloc(32)
  state.forEach((word, i) => bytes.writeInt32BE(word, 4 * i))
  return bytes.toString('hex')
}

describe('sha256', () => {
  it('gives the examples of FIPS 180-4 (NIST CSRC)', () => {
    expect(sha256(Buffer.from('abc'))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
    expect(sha256(Buffer.from('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'))).toBe(
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    )
    expect(sha256(Buffer.alloc(0))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  })

  it('agrees with node:crypto for every length from 0 to 300 bytes, and for bytes of every kind', () => {
    let bytes = createHash('sha512').update('seed').digest()
    for (let length = 0; length <= 300; length++) {
      while (bytes.length < length)
        bytes = Buffer.concat([bytes, createHash('sha512').update(bytes).digest()])
      for (const message of [bytes.subarray(0, length), Buffer.alloc(length, 0xff), Buffer.alloc(length)]) {
        expect(sha256(message), `${length}`).toBe(createHash('sha256').update(message).digest('hex'))
      }
    }
  })

  it('goes on from a state that was kept, which stays as it is, also in place', () => {
    const [first, second] = [Buffer.alloc(64, 1), Buffer.alloc(64, 2)]
    const kept = new Int32Array(8)
    compressBytes(INITIAL_STATE, first, 64, kept)
    const before = [...kept]
    const both = new Int32Array(8)
    compressBytes(INITIAL_STATE, Buffer.concat([first, second]), 128, both)
    const onwards = new Int32Array(8)
    compressBytes(kept, second, 64, onwards)
    expect([...onwards]).toEqual([...both])
    expect([...kept]).toEqual(before)
    for (let i = 0; i < 16; i++) block[i] = second.readInt32BE(4 * i)
    compress(kept, kept)
    expect([...kept]).toEqual([...both])
  })

  it('leaves the initial state alone', () => {
    expect(hex(INITIAL_STATE)).toBe('6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19')
  })
})
