/**
 * The documentation site: the pages of `docs`, as they stand in the repository, with a side bar, a search in the reader's
 * own browser, and the API reference. It asks no other server for anything.
 */
import { dirname, relative, resolve } from 'node:path'
import { defineConfig, type MarkdownRenderer } from 'vitepress'
import { slugOf } from './markdown.js'
import { sidebar } from './pages.js'
import { REPOSITORY } from './repository.js'

const DOCS = resolve(import.meta.dirname, '..')

export default defineConfig({
  title: 'Rescind',
  description:
    'Token revocation for TypeScript back ends: a signed token is revoked, and from then on refused.',
  lang: 'en',
  cleanUrls: true,
  cacheDir: '../.cache/vitepress',
  head: [
    ['link', { rel: 'icon', href: '/icon.svg', type: 'image/svg+xml' }],
    ['meta', { name: 'theme-color', content: '#0f6b5c' }],
  ],
  markdown: {
    anchor: { slugify: slugOf },
    languageAlias: { ndjson: 'json', conf: 'ini' },
    config: linkSources,
  },
  themeConfig: {
    logo: '/icon.svg',
    sidebar: sidebar(),
    nav: [
      { text: 'Start', link: '/start' },
      { text: 'Recipes', link: '/recipes/' },
      { text: 'Security', link: '/security' },
      { text: 'API', link: '/api/' },
    ],
    outline: { level: [2, 3] },
    search: { provider: 'local', options: { miniSearch: { searchOptions: { boostDocument: demote } } } },
    socialLinks: [{ icon: 'github', link: REPOSITORY }],
  },
  // The index of the search is one file, which is loaded when somebody searches.
  vite: { build: { chunkSizeWarningLimit: 4000 } },
  // The page itself is plain Markdown, so that it reads well in the repository too.
  transformPageData: (page) => {
    if (page.relativePath === 'index.md') page.frontmatter = { ...page.frontmatter, ...HOME }
  },
})

const HOME = {
  layout: 'home',
  hero: {
    name: 'Rescind',
    text: 'A signed token, revoked',
    tagline:
      'A log-out, a stolen phone, a leaked token: from then on every route of every node refuses that token.',
    image: { src: '/icon.svg', alt: '' },
    actions: [
      { theme: 'brand', text: 'Start in five minutes', link: '/start' },
      { theme: 'alt', text: 'Recipes', link: '/recipes/' },
      { theme: 'alt', text: 'How it works', link: '/concepts' },
    ],
  },
}

/** Pages for people come before the reference, which names every word there is. */
function demote(documentId: string): number {
  return documentId.startsWith('/api/') ? 0.5 : 1
}

/** Links to files outside of `docs` lead to the repository. */
function linkSources(markdown: MarkdownRenderer): void {
  markdown.core.ruler.push('link-sources', ({ tokens, env }) => {
    const { path } = env as { path: string }
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      const href = token.type === 'link_open' ? token.attrGet('href') : null
      if (href === null || !href.startsWith('../')) continue
      const file = relative(DOCS, resolve(dirname(path), href))
      if (file.startsWith('../')) token.attrSet('href', `${REPOSITORY}/blob/main/${file.slice('../'.length)}`)
    }
  })
}
