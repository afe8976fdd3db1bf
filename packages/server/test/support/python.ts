/** A Python 3 that this machine can run: the one on the PATH, else Debian's own, fetched without root. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { debianPackage } from '../../../rescind/test/support/debian-package.js'

const run = promisify(execFile)

export interface Python {
  readonly path: string
  readonly env: NodeJS.ProcessEnv
}

export async function python(searched = 'python3'): Promise<Python> {
  const isThere = await run(searched, ['-c', 'import urllib.request']).then(
    () => true,
    () => false,
  )
  if (isThere) return { path: searched, env: process.env }
  const { root, env } = await debianPackage('python3')
  return { path: join(root, 'usr/bin/python3'), env: { ...env, PYTHONHOME: join(root, 'usr') } }
}
