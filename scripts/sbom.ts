/**
 * `npm run sbom [-- FOLDER]`: writes the bill of materials of each published package into FOLDER (default: `sbom`), as
 * `NAME-VERSION.cdx.json`. The packages must be built.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { billOfMaterials } from './bill-of-materials.js'
import { pack, PUBLISHED } from './packed-package.js'

const [folder = 'sbom'] = process.argv.slice(2)
await mkdir(folder, { recursive: true })
const work = await mkdtemp(join(tmpdir(), 'rescind-sbom-'))
try {
  const packages = await Promise.all(PUBLISHED.map((name) => pack(name, work)))
  for (const packed of packages) {
    const bill = await billOfMaterials(packed, packages)
    const path = join(folder, basename(packed.path).replace(/\.tgz$/, '.cdx.json'))
    await writeFile(path, `${JSON.stringify(bill, null, 2)}\n`)
    console.log(`${path}: ${packed.name} ${packed.version} and ${bill.components.length} packages it brings`)
  }
} finally {
  await rm(work, { recursive: true, force: true })
}
