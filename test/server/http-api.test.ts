/** docs/http-api.md lists the routes of the OpenAPI document. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openPlane } from '../support/control-plane.js'
import { readDoc, tableRows } from '../repo-rules/doc-table.js'

type Row = readonly [route: string, scope: string, does: string]

/** The routes of a document, as the page has them. */
function rowsOf(document: any): readonly Row[] {
  return Object.entries<any>(document.paths)
    .flatMap(([path, methods]) =>
      Object.entries<any>(methods).map(
        ([method, { security = [], summary }]): Row => [
          `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase())}`,
          security[0]?.apiKey?.[0] ?? 'none',
          summary,
        ],
      ),
    )
    .sort(([a], [b]) => (a.split(' ')[1] ?? '').localeCompare(b.split(' ')[1] ?? '') || a.localeCompare(b))
}

describe('docs/http-api.md', () => {
  it('has the routes that there are, but those that another page has', async () => {
    const plane = await openPlane()
    const { json } = await plane.ask('GET', '/openapi.json')
    await plane.close()
    const rows = rowsOf(json)
    const documented = tableRows(readDoc('http-api.md'), 'Routes').map(([route = '', scope, does]) => [
      route.replaceAll('`', ''),
      scope,
      does,
    ])
    expect(documented.filter((row) => !rows.some((known) => known.join() === row.join()))).toEqual([])
    const guides = join(__dirname, '../../docs/guides')
    const others = readdirSync(guides)
      .map((name) => readFileSync(join(guides, name), 'utf8'))
      .join('\n')
    const isElsewhere = ([route]: Row): boolean =>
      others.includes((route.split(' ')[1] ?? '').replace(/\/[A-Z]+.*$/, ''))
    const missing = rows.filter((row) => !documented.some(([route]) => route === row[0]) && !isElsewhere(row))
    expect(missing.map((row) => `| \`${row[0]}\` | ${row[1]} | ${row[2]} |`)).toEqual([])
  })
})
