/** The key that signs tokens: of this run, or, where a folder is named, the one that is kept there. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'

export interface Keys {
  readonly publicKey: CryptoKey
  readonly privateKey: CryptoKey
  /** The public one as others are told it (RFC 7517). */
  readonly publicJwk: JWK
}

const ALGORITHM = 'ES256'
/** An example: a real issuer keeps its key in a vault. */
const KEY_FILE = 'example-signing-key.json'

/** With the folder, a restart forgets neither who is logged in nor who is logged out. */
export async function makeKeys(folder?: string): Promise<Keys> {
  if (folder === undefined) {
    const { publicKey, privateKey } = await generateKeyPair(ALGORITHM)
    return { publicKey, privateKey, publicJwk: await exportJWK(publicKey) }
  }
  const path = join(folder, KEY_FILE)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await keep(path)
  const jwk = JSON.parse(await readFile(path, 'utf8')) as JWK
  const { d: _, ...publicJwk } = jwk
  const [publicKey, privateKey] = await Promise.all([
    importJWK(publicJwk, ALGORITHM),
    importJWK(jwk, ALGORITHM),
  ])
  return { publicKey: publicKey as CryptoKey, privateKey: privateKey as CryptoKey, publicJwk }
}

/** Makes a key where there is none. */
async function keep(path: string): Promise<void> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true })
  const text = JSON.stringify(await exportJWK(privateKey))
  await writeFile(path, text, { flag: 'wx', mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
}
