/**
 * What a page of Markdown links to, and what can be linked to in it. Anchors are those of GitHub, and the site uses the
 * same, so a link works in both places.
 */
import MarkdownIt from 'markdown-it'

export interface Link {
  /** As it is written: `redis.md#sizing`, `https://…`, `#sizing`. */
  readonly target: string
  /** In which it begins, from 1. */
  readonly line: number
}

export interface Page {
  /** Its first heading. */
  readonly title: string
  /** What may stand after `#` in a link to it. */
  readonly anchors: ReadonlySet<string>
  readonly links: readonly Link[]
}

type Token = ReturnType<MarkdownIt['parse']>[number]

const parser = new MarkdownIt({ html: true })

export function readPage(markdown: string): Page {
  const tokens = parser.parse(withoutFrontmatter(markdown), {})
  const headings = tokens.flatMap((token, i) =>
    token.type === 'heading_open' ? [textOf(tokens[i + 1]?.children ?? [])] : [],
  )
  return {
    title: headings[0] ?? '',
    anchors: new Set([...anchorsOf(headings), ...identifiers(tokens)]),
    links: tokens.flatMap(linksOf),
  }
}

/** The anchor of a heading, as GitHub makes it. */
export function slugOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
    .replaceAll(' ', '-')
}

/** Headings of the same text are counted: `other`, `other-1`, `other-2`. */
function anchorsOf(headings: readonly string[]): string[] {
  const seen = new Map<string, number>()
  return headings.map((heading) => {
    const slug = slugOf(heading)
    const count = seen.get(slug) ?? 0
    seen.set(slug, count + 1)
    return count === 0 ? slug : `${slug}-${count}`
  })
}

function textOf(tokens: readonly Token[]): string {
  return tokens
    .filter(({ type }) => type === 'text' || type === 'code_inline')
    .map(({ content }) => content)
    .join('')
}

function linksOf(token: Token): Link[] {
  const line = (token.map?.[0] ?? 0) + 1
  if (token.type === 'html_block') return htmlLinks(token.content, line)
  return (token.children ?? []).flatMap((child) => {
    if (child.type === 'html_inline') return htmlLinks(child.content, line)
    const target = child.attrGet(child.type === 'image' ? 'src' : 'href')
    return target === null ? [] : [{ target: decodeURI(target), line }]
  })
}

function htmlLinks(html: string, line: number): Link[] {
  return [...html.matchAll(/\b(?:href|src|srcset)="([^"]*)"/g)].map(([, target = '']) => ({ target, line }))
}

function identifiers(tokens: readonly Token[]): string[] {
  return tokens
    .flatMap((token) => [token, ...(token.children ?? [])])
    .filter(({ type }) => type === 'html_block' || type === 'html_inline')
    .flatMap(({ content }) => [...content.matchAll(/\b(?:id|name)="([^"]*)"/g)].map(([, id = '']) => id))
}

/** Blank lines in its place, so that lines are counted from the beginning of the file. */
function withoutFrontmatter(markdown: string): string {
  return markdown.replace(/^---\n[^]*?\n---\n/, (matter) => matter.replace(/[^\n]/g, ''))
}
