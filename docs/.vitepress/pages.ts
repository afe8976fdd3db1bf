/** The side bar: every page of `docs`, in the order in which it may be read, under its own first heading. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { DefaultTheme } from 'vitepress'
import { readPage } from './markdown.js'

const DOCS = join(import.meta.dirname, '..')
/** Which the build of the reference has left; empty before the first one. */
const REFERENCE = join(DOCS, 'api/typedoc-sidebar.json')

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  'Start here': ['start.md', 'concepts.md', 'examples.md'],
  'In your code': [
    'revoking.md',
    'routes.md',
    'verifying.md',
    'freshness.md',
    'live-connections.md',
    'configuration.md',
    'errors.md',
  ],
  Recipes: recipes(),
  'The service': [
    'service.md',
    'service-oauth.md',
    'service-gateways.md',
    'service-api.md',
    'service-events.md',
    'command.md',
    'dashboard.md',
  ],
  'In operation': ['redis.md', 'redis-acl.md', 'doctor.md', 'scale.md'],
  'Why to trust it': ['security.md', 'reliability.md', 'hostile-input.md', 'simulation.md', 'benchmarks.md'],
  Inside: ['architecture.md', 'dependencies.md', 'releasing.md'],
}

/** The pages, as files in `docs`. */
export const PAGES: readonly string[] = Object.values(GROUPS).flat()

/** The reference has a side bar of its own: it names every word there is. */
export function sidebar(): DefaultTheme.SidebarMulti {
  const groups = Object.entries(GROUPS).map(([text, files]) => ({
    text,
    collapsed: false,
    items: files.map((file) => ({ text: titleOf(file), link: `/${file.replace(/(index)?\.md$/, '')}` })),
  }))
  return {
    '/': [...groups, { text: 'API reference', link: '/api/' }],
    '/api/': [{ text: 'API reference', link: '/api/', items: reference() }],
  }
}

/** In the order in which the table of recipes names them. */
function recipes(): string[] {
  const folder = join(DOCS, 'recipes')
  if (!existsSync(folder)) return []
  const order = pageOf('recipes/index.md').links.map(({ target }) => target.replace(/#.*$/, ''))
  const place = (file: string) => (order.includes(file) ? order.indexOf(file) : order.length)
  const files = readdirSync(folder).filter((file) => file.endsWith('.md') && file !== 'index.md')
  return ['index.md', ...files.sort((a, b) => place(a) - place(b))].map((file) => `recipes/${file}`)
}

function reference(): DefaultTheme.SidebarItem[] {
  if (!existsSync(REFERENCE)) return []
  return JSON.parse(readFileSync(REFERENCE, 'utf8')) as DefaultTheme.SidebarItem[]
}

function titleOf(file: string): string {
  return pageOf(file).title
}

function pageOf(file: string) {
  return readPage(readFileSync(join(DOCS, file), 'utf8'))
}
