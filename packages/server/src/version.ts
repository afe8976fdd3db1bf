/** The version of this package. */
import { readFileSync } from 'node:fs'

// The sources and what is built of them stand one folder below.
const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string
}

export const VERSION = manifest.version
