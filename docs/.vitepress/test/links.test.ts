/** Every link of every page leads somewhere: the file is there, and so is the heading. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Link, readPage, slugOf } from '../markdown.js'
import { PAGES } from '../pages.js'

const ROOT = join(import.meta.dirname, '../../..')

/** Where pages are looked for. The reference (`docs/api`) is made anew by each build, which checks its links. */
const FOLDERS = ['docs', 'examples', 'packages', 'bench', 'deploy']
const NOT_OURS = /(^|\/)(node_modules|dist|\.cache|\.vitepress|docs\/api)(\/|$)/

const files = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...FOLDERS.flatMap((folder) => pagesUnder(join(ROOT, folder))),
]
const pages = new Map(
  files.map((file) => [join(ROOT, file), readPage(readFileSync(join(ROOT, file), 'utf8'))]),
)

describe('a link', () => {
  it('is found in Markdown and in HTML, with its line, and not in code', () => {
    const { links, anchors } = readPage(
      '---\ntitle: "[no](no.md)"\n---\n# One `two`: three\n\n[a](b.md#c) `[no](no.md)`\n![d](e.svg)\n\n' +
        '<a id="here" href="f.md">g</a>\n\n```md\n[no](no.md)\n```\n\n[h]: i.md\n\n[j][h]\n\n## One two three\n',
    )
    expect(links).toEqual([
      { target: 'b.md#c', line: 6 },
      { target: 'e.svg', line: 6 },
      { target: 'f.md', line: 9 },
      { target: 'i.md', line: 17 },
    ])
    expect([...anchors]).toEqual(['one-two-three', 'one-two-three-1', 'here'])
  })

  it('names a heading as GitHub does', () => {
    expect(slugOf('What a `check` costs: Redis 6.2 & (Valkey), “every” node’s')).toBe(
      'what-a-check-costs-redis-62--valkey-every-nodes',
    )
  })

  it.each([
    ['gone.md', 'there is no such file'],
    ['#gone', 'there is no such heading'],
    ['reliability.md#gone', 'there is no such heading'],
    ['/docs/errors.md', 'not relative'],
    ['../../outside.md', 'outside of the repository'],
    ['https://nowhere', 'not the address of a public page'],
    ['http://example.com/', 'not the address of a public page'],
    ['javascript:alert(1)', 'not the address of a public page'],
    ['reliability.md#clocks', undefined],
    ['../examples/gateways/nginx.conf', undefined],
    ['https://www.rfc-editor.org/rfc/rfc7009#section-2.1', undefined],
  ])('to %s is judged', (target, fault) => {
    expect(faultOf(join(ROOT, 'docs/errors.md'), { target, line: 1 })).toBe(fault)
  })
})

describe('the pages', () => {
  it('are all found', () => {
    expect(files).toEqual(expect.arrayContaining(['README.md', 'CHANGELOG.md', 'docs/architecture.md']))
    expect(files.filter((file) => file.includes('node_modules'))).toEqual([])
    expect([...pages.values()].flatMap(({ links }) => links).length).toBeGreaterThan(60)
  })

  it('of the site are all in its side bar', () => {
    const inDocs = files.filter((file) => file.startsWith('docs/')).map((file) => file.slice('docs/'.length))
    expect([...PAGES, 'index.md'].sort()).toEqual(inDocs.sort())
  })

  it('have no dead link', () => {
    const faults = [...pages].flatMap(([path, { links }]) =>
      links.flatMap((link) => {
        const fault = faultOf(path, link)
        return fault === undefined ? [] : [`${relative(ROOT, path)}:${link.line} ${link.target}: ${fault}`]
      }),
    )
    expect(faults).toEqual([])
  })
})

/** What is wrong with a link of the page at `path`; nothing where it is well. Nobody is asked about other sites. */
function faultOf(path: string, { target }: Link): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(target)) {
    return isPublicAddress(target) ? undefined : 'not the address of a public page'
  }
  if (target.startsWith('/')) return 'not relative'
  const [file = '', anchor] = target.split('#')
  const linked = file === '' ? path : resolve(dirname(path), file)
  if (relative(ROOT, linked).startsWith('..')) return 'outside of the repository'
  if (!existsSync(linked)) return 'there is no such file'
  if (anchor === undefined || !linked.endsWith('.md')) return undefined
  return pages.get(linked)?.anchors.has(anchor) === true ? undefined : 'there is no such heading'
}

function isPublicAddress(target: string): boolean {
  if (/^mailto:[^@\s]+@[^@\s]+\.[a-z]+$/.test(target)) return true
  if (!URL.canParse(target)) return false
  const { protocol, hostname } = new URL(target)
  // A service of the example, on the reader's machine.
  if (hostname === 'localhost' || hostname === '127.0.0.1') return true
  return protocol === 'https:' && hostname.includes('.')
}

function pagesUnder(folder: string): string[] {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .filter((path) => !NOT_OURS.test(relative(ROOT, path)))
    .flatMap((path) => {
      if (statSync(path).isDirectory()) return pagesUnder(path)
      return path.endsWith('.md') ? [relative(ROOT, path)] : []
    })
}
