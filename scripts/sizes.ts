/** `npm run sizes`: what a published package weighs, packed, unpacked and loaded. The packages must be built. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sizesOf } from './package-sizes.js'
import { pack, PUBLISHED } from './packed-package.js'

const folder = await mkdtemp(join(tmpdir(), 'rescind-sizes-'))
try {
  for (const name of PUBLISHED) {
    const { packed, unpacked, entries } = await sizesOf(await pack(name, folder))
    console.log(`${name}: ${kilobytes(packed)} packed, ${kilobytes(unpacked)} unpacked`)
    for (const [entry, bytes] of Object.entries(entries))
      console.log(`  ${entry.padEnd(12)}${kilobytes(bytes).padStart(9)} minified and gzipped`)
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} kB`
}
