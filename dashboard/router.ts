/**
 * Addresses. Every page is a real link below the base path, so that back, a new tab and a colleague's browser work; filters stand in the query.
 * Clicks on links of this server are followed without loading the page anew.
 */
import { store, useStore } from './store.js'

/** Where the dashboard lies on its server, without a slash at the end: '' or such as `/graflow`. */
export const base: string = (
  document.querySelector('meta[name="graflow-base"]')?.getAttribute('content') ?? ''
).replace(/\/+$/, '')

export interface Route {
  /** Below the base, such as `/runs/a%2Fb`. */
  readonly path: string
  /** Its parts, decoded: `['runs', 'a/b']`. */
  readonly parts: readonly string[]
  readonly query: URLSearchParams
}

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

function read(): Route {
  const { pathname, search } = location
  const path = pathname.startsWith(base) ? pathname.slice(base.length) || '/' : pathname
  return {
    path,
    parts: path
      .split('/')
      .filter((part) => part !== '')
      .map(decoded),
    query: new URLSearchParams(search),
  }
}

const route = store<Route>(read())
export const useRoute = (): Route => useStore(route)

/** An address of the dashboard: parts of a path, each encoded, and a query of which empty values are left out. */
export function href(parts: readonly string[], query: Readonly<Record<string, string | undefined>> = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== '') search.set(name, value)
  const text = search.toString()
  return `${base}/${parts.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`
}

export const runHref = (id: string): string => href(['runs', id])

/** What was scrolled where, by history entry. */
const scrolls = new Map<string, number>()
const scroller = (): Element | null => document.getElementById('main')
/** Which entry of the history is in view. */
export const entryKey = (): string => (history.state as { key?: string } | null)?.key ?? 'first'

/** The place that an entry of the history was left at; 0 where it is new. */
export const scrollOfEntry = (): number => scrolls.get(entryKey()) ?? 0

/** Goes to an address that `href` made. @param how `replace` adds no entry to the history: for filters while one types */
export function go(address: string, how: 'push' | 'replace' = 'push'): void {
  scrolls.set(entryKey(), scroller()?.scrollTop ?? 0)
  if (how === 'push') history.pushState({ key: String(Date.now() + Math.random()) }, '', address)
  else history.replaceState(history.state, '', address)
  route.set(read())
  if (how === 'push') scroller()?.scrollTo(0, 0)
}

/** Changes some of the query; `undefined` or '' takes one away. */
export function setQuery(
  changes: Readonly<Record<string, string | undefined>>,
  how: 'push' | 'replace' = 'push',
): void {
  const { parts, query } = route.get()
  go(href(parts, { ...Object.fromEntries(query), ...changes }), how)
}

/** Follows clicks on links, back and forward. Called once. */
export function startRouter(): void {
  history.scrollRestoration = 'manual'
  addEventListener('popstate', () => route.set(read()))
  document.addEventListener('click', (event) => {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return
    const link = event.target instanceof Element ? event.target.closest('a[href]') : null
    if (!(link instanceof HTMLAnchorElement) || link.target !== '' || link.hasAttribute('download')) return
    const { origin, pathname, search, hash } = new URL(link.href)
    const isOurs = origin === location.origin && (pathname === base || pathname.startsWith(`${base}/`))
    if (!isOurs || pathname.startsWith(`${base}/api/`) || hash !== '') return
    event.preventDefault()
    go(pathname + search)
  })
}
