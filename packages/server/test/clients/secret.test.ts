import { describe, expect, it } from 'vitest'
import {
  hashSecret,
  isHash,
  keyIdOf,
  keyIdOfHash,
  makeKey,
  verifyNothing,
  verifySecret,
} from '../../src/clients/secret.js'

describe('a key', () => {
  it('is accepted by its own hash and by no other', async () => {
    const [key, other] = [makeKey(), makeKey()]
    const hash = await hashSecret(key)
    expect(await verifySecret(key, hash)).toBe(true)
    expect(await verifySecret(other, hash)).toBe(false)
    expect(await verifySecret(`${key}x`, hash)).toBe(false)
    expect(await verifyNothing(key)).toBe(false)
  })

  it('has an id that its hash tells too, and the hash nothing else of it', async () => {
    const key = makeKey()
    const hash = await hashSecret(key)
    expect(keyIdOf(key)).toMatch(/^[0-9a-f]{12}$/)
    expect(keyIdOfHash(hash)).toBe(keyIdOf(key))
    // The secret itself may begin with an underscore, or have one in it.
    expect(hash).not.toContain(key.slice('rsk_'.length + 12 + 1))
  })

  it('that somebody has thought of has a hash without an id', async () => {
    const hash = await hashSecret('correct horse battery staple')
    expect(keyIdOfHash(hash)).toBeUndefined()
    expect(await verifySecret('correct horse battery staple', hash)).toBe(true)
    expect(await verifySecret('correct horse battery stapl', hash)).toBe(false)
  })
})

describe('a hash', () => {
  it('differs each time', async () => {
    expect(await hashSecret('a secret of somebody')).not.toBe(await hashSecret('a secret of somebody'))
  })

  it.each([
    ['', 'nothing'],
    ['scrypt$', 'no parts'],
    [`scrypt$ln=30,r=8,p=1$${'a'.repeat(22)}$${'a'.repeat(43)}`, 'a cost that would stop the machine'],
    [`scrypt$ln=0,r=8,p=1$${'a'.repeat(22)}$${'a'.repeat(43)}`, 'no cost'],
    [`scrypt$ln=14,r=8,p=1$${'a'.repeat(22)}$short`, 'a short digest'],
    ['$2b$10$abcdefghijklmnopqrstuv', 'another function'],
  ])('%s (%s) is none, and lets nobody in', async (hash) => {
    expect(isHash(hash)).toBe(false)
    expect(await verifySecret('x', hash)).toBe(false)
  })
})
