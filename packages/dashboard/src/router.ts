/** Which page is shown, kept in the address. A token is never a part of it. */
import { signal } from '@preact/signals'

export interface Place {
  /** Below `/ui/`. */
  readonly path: string
  readonly query: URLSearchParams
}

const BASE = '/ui/'

export const place = signal<Place>(read())

function read(): Place {
  const { pathname, search } = location
  return { path: pathname.slice(BASE.length).replace(/\/+$/, ''), query: new URLSearchParams(search) }
}

export function hrefTo(path: string, query: Readonly<Record<string, string | undefined>> = {}): string {
  const entries = Object.entries(query).filter((entry): entry is [string, string] => !!entry[1])
  const search = new URLSearchParams(entries).toString()
  return `${BASE}${path}${search === '' ? '' : `?${search}`}`
}

export function goTo(href: string, { replaces = false } = {}): void {
  if (replaces) history.replaceState(null, '', href)
  else history.pushState(null, '', href)
  place.value = read()
}

/** Follows links within the dashboard without loading it again. */
export function followLinks(): void {
  addEventListener('popstate', () => (place.value = read()))
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0) return
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = event.target instanceof Element ? event.target.closest('a') : null
    if (link === null || link.target !== '' || link.hasAttribute('download')) return
    if (link.origin !== location.origin || !link.pathname.startsWith(BASE) || link.hash !== '') return
    event.preventDefault()
    goTo(link.pathname + link.search)
  })
}
