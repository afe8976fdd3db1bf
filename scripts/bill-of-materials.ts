/**
 * The bill of materials of a packed package in CycloneDX: the package, and all that npm installs with it, resolved anew, as
 * for a user who installs it now. Peers are the application's own and not in it.
 */
import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import type { PackedPackage } from './packed-package.js'
import { strangerEnvironment } from './stranger-environment.js'

const run = promisify(execFile)
const NPM_TIMEOUT_MS = 120_000
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024

export interface Component {
  readonly name: string
  readonly version: string
  /** `pkg:npm/NAME@VERSION`. */
  readonly purl: string
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[]
  readonly licenses?: readonly unknown[]
  readonly externalReferences?: readonly { readonly type: string; readonly url: string }[]
}

export interface BillOfMaterials {
  readonly bomFormat: 'CycloneDX'
  readonly specVersion: string
  readonly metadata: { readonly component: Component }
  readonly components: readonly Component[]
}

/** `others`: packages of this repository that it needs and that may not be published yet. */
export async function billOfMaterials(
  packed: PackedPackage,
  others: readonly PackedPackage[],
): Promise<BillOfMaterials> {
  const folder = await mkdtemp(join(tmpdir(), 'rescind-bill-'))
  try {
    await writeManifest(folder, packed, others)
    const options = { timeout: NPM_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX }
    const npm = (...args: string[]) =>
      run('npm', args, { cwd: folder, env: strangerEnvironment(), ...options })
    await npm('install', '--package-lock-only', '--ignore-scripts', '--no-audit', '--no-fund')
    const { stdout } = await npm('sbom', '--package-lock-only', '--sbom-format', 'cyclonedx')
    return publicForm(JSON.parse(stdout) as BillOfMaterials, packed.name)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** As published, but for what a user does not install; what is not published yet comes from its tarball. */
async function writeManifest(
  folder: string,
  packed: PackedPackage,
  others: readonly PackedPackage[],
): Promise<void> {
  const {
    devDependencies: _dev,
    peerDependencies: _peers,
    scripts: _scripts,
    ...manifest
  } = JSON.parse(await readFile(join(packed.folder, 'package.json'), 'utf8')) as Record<string, unknown>
  const dependencies = { ...(manifest.dependencies as Record<string, string>) }
  for (const other of others.filter((each) => each.name in dependencies)) {
    const file = basename(other.path)
    await copyFile(other.path, join(folder, file))
    dependencies[other.name] = `file:${file}`
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify({ ...manifest, dependencies }))
}

/** npm names the whole after its folder, and a tarball by its path. */
function publicForm(bill: BillOfMaterials, name: string): BillOfMaterials {
  return {
    ...bill,
    metadata: { ...bill.metadata, component: { ...bill.metadata.component, name } },
    components: bill.components.map((component) => ({
      ...component,
      externalReferences: (component.externalReferences ?? []).filter(({ url }) => !url.startsWith('file:')),
    })),
  }
}
