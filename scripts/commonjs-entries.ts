/**
 * The entries for CommonJS, beside those for ES modules. There is one build, and so one state and one class of each name:
 * an entry for CommonJS requires the ES module, as Node.js 20.19 and newer can, and hands on its types.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * TypeScript's `node16` and `node18` do not know that such a module can be required (TS1479); `node20`, `nodenext`,
 * `commonjs` and `bundler` do, or do not ask.
 */
const types = (name: string) => `// @ts-ignore TS1479: Node.js 20.19 and newer can require this ES module
export * from './${name}.mjs'
`

const code = (name: string) => `'use strict'
module.exports = require('./${name}.mjs')
`

/** Writes `NAME.cjs` and `NAME.d.cts` into `folder`, for each name. */
export async function writeCommonjsEntries(folder: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await writeFile(join(folder, `${name}.cjs`), code(name))
    await writeFile(join(folder, `${name}.d.cts`), types(name))
  }
}
