/** Where the source can be read: what the pages of the site link to outside of `docs`. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const { repository } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../packages/rescind/package.json'), 'utf8'),
) as { readonly repository: { readonly url: string } }

export const REPOSITORY = repository.url.replace(/^git\+/, '').replace(/\.git$/, '')
