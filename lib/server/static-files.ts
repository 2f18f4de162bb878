/**
 * The dashboard: five files, read once when the server starts. What is asked for is looked up by its name in that map, never in a folder, so no
 * path leads out of it.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

/** A file as it is sent. */
export interface StaticFile {
  readonly type: string
  readonly body: string
  readonly etag: string
  /** What the page asks for it with, such as `v=abc`: with this it is always the same. Undefined for the page itself. */
  readonly version?: string
  /** For who takes gzip: a third of the size. */
  readonly packed: { readonly body: Uint8Array<ArrayBuffer>; readonly etag: string }
}

const FILES = [
  ['index.html', 'text/html; charset=utf-8'],
  ['first.js', 'text/javascript; charset=utf-8'],
  ['first.css', 'text/css; charset=utf-8'],
  ['app.js', 'text/javascript; charset=utf-8'],
  ['app.css', 'text/css; charset=utf-8'],
] as const

/** Where the build puts them, seen from dist/lib/server and from lib/server. */
const folder = (): URL =>
  new URL(import.meta.url.endsWith('.ts') ? '../../dist/dashboard/' : '../../dashboard/', import.meta.url)

const MISSING =
  '<!doctype html><meta charset="utf-8"><title>Graflow</title><p>The dashboard was not built: npm run build makes it. The API is at /api/v1, described by /openapi.json.\n'

/**
 * The files by their names; without them only a page that says so.
 * @param basePath stands for `%BASE%` in the page, such as `/graflow`; for `%VERSION%` stands a query that is another one for each build
 */
export function staticFiles(basePath: string): ReadonlyMap<string, StaticFile> {
  const [page, ...others] = FILES.map(([name, type]) => ({ name, type, text: textOf(name) }))
  const version = `v=${hashOf(others.map(({ text }) => text ?? '').join('\0'))}`
  const found = new Map<string, StaticFile>()
  for (const { name, type, text } of others) if (text !== undefined) found.set(name, { ...fileOf(type, text), version })
  const text = page?.text?.replaceAll('%BASE%', basePath).replaceAll('%VERSION%', `?${version}`)
  return found.set(FILES[0][0], fileOf(FILES[0][1], text ?? MISSING))
}

function textOf(name: string): string | undefined {
  try {
    return readFileSync(new URL(name, folder()), 'utf8')
  } catch {
    return undefined // a build without a dashboard, or a bundle of which it is no part
  }
}

function fileOf(type: string, body: string): StaticFile {
  const hash = hashOf(body)
  return {
    type,
    body,
    etag: `"${hash}"`,
    packed: { body: new Uint8Array(gzipSync(body, { level: 9 })), etag: `"${hash}-gzip"` },
  }
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url').slice(0, 24)
