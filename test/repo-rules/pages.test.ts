import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { MOST_COUNTED } from '../../lib/backend/request-checks.js'
import { GRAPH_RETENTION_MS } from '../../lib/backend/kept.js'
import { KERNEL_DEFAULTS } from '../../lib/backend/kernel/state.js'
import { CONNECT_OPTIONS } from '../../lib/options.js'
import { tableRows } from './doc-table.js'

const root = join(__dirname, '../..')
const names = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`),
]
const pages = names
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({ name, text: readFileSync(join(root, name), 'utf8') }))
/** Rooms that the rules speak of already. */
const planned = ['lib/backend/redis']
const withoutCode = (text: string): string => text.replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, '')

/** What a heading is called in an address, as GitHub does it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\- _]/gu, '')
    .replaceAll(' ', '-')
const anchorsOf = (text: string): readonly string[] =>
  [...text.replace(/^```[^]*?^```/gm, '').matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading ?? ''))

describe('pages', () => {
  it.each(pages)('$name: every link leads somewhere', ({ name, text }) => {
    const broken = [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^https?:/.test(link)) return []
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? join(root, name) : join(root, dirname(name), path)
      if (!existsSync(target)) return [`${link}: no such file`]
      if (anchor === undefined || anchorsOf(readFileSync(target, 'utf8')).includes(anchor)) return []
      return [`${link}: no such heading`]
    })
    expect(broken).toEqual([])
  })

  it.each(pages)('$name: every file it names is there', ({ text }) => {
    const named = [...text.matchAll(/`((?:lib|worker|bin|test|examples|scripts|docs|bench)\/[\w./*-]+)`/g)]
    const missing = named.flatMap(([, path = '']) =>
      path.includes('*') || planned.includes(path) || existsSync(join(root, path)) ? [] : [path],
    )
    expect(missing).toEqual([])
  })

  it.each(pages)('$name: every script it tells to run is there', ({ text }) => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const told = [...text.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(([, script = '']) => script)
    expect(told.filter((script) => !Object.hasOwn(scripts, script))).toEqual([])
  })
})

describe('comments and configuration', () => {
  const folders = ['lib', 'worker', 'bin', 'test', 'examples', 'scripts', 'bench']
  const files = [
    ...folders.flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((file) => /\.(?:ts|mjs|lua)$/.test(file))
        .map((file) => posix.join(folder, file)),
    ),
    ...readdirSync(root).filter((file) => /\.(?:mjs|json)$/.test(file)),
  ]
  /** Pages that comments of a text name and that are neither at the root nor in docs. */
  const missingIn = (text: string): readonly string[] =>
    [...text.matchAll(/^.*?(?:\/\/|\/?\*|--|#).*$/gm)]
      .flatMap(([line]) => [...line.matchAll(/(?<![\w./-])[\w./-]+\.md\b/g)].map(([page]) => page))
      .filter((page) => !/^[./]/.test(page) && !existsSync(join(root, page)) && !existsSync(join(root, 'docs', page)))

  it('name no page that is not in the repository', () => {
    expect(missingIn(['/** As nosuch.md', ' * says, and docs/redis.md */'].join('\n'))).toEqual(['nosuch.md'])
    const missing = files
      .filter((file) => file !== 'test/repo-rules/pages.test.ts')
      .flatMap((file) => missingIn(readFileSync(join(root, file), 'utf8')).map((page) => `${file}: ${page}`))
    expect(files.length).toBeGreaterThan(300)
    expect(missing).toEqual([])
  })
})

describe('README.md', () => {
  const text = readFileSync(join(root, 'README.md'), 'utf8')

  it('names behaviours that the tests it names beside them have', () => {
    const told = [...text.matchAll(/\b([A-Z]\d+(?:, [A-Z]\d+)*): `(test\/[^`\s]+)`/g)]
    expect(told.length).toBeGreaterThan(5)
    const missing = told.flatMap(([, ids = '', file = '']) => {
      const tests = readFileSync(join(root, file), 'utf8')
      return ids.split(', ').filter((id) => !new RegExp(`(it|describe)[^\\n]*\\(['"\`][^'"\`]*\\b${id}\\b`).test(tests))
    })
    expect(missing).toEqual([])
  })

  it('makes no claim without something that holds it', () => {
    const rows = tableRows(text, 'What is different')
    expect(rows.filter(([, held]) => held === undefined || !held.includes('`test/'))).toEqual([])
  })

  it('leads, and so do its pages, only to what is in the package: who reads it on a registry or in node_modules has no more', () => {
    const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const packed = (path: string): boolean =>
      ['README.md', 'LICENSE', ...files].some((kept: string) => path === kept || path.startsWith(`${kept}/`))
    const outside = pages.flatMap(({ name, text: page }) =>
      [...withoutCode(page).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)].flatMap(([, link = '']) =>
        /^https?:/.test(link) || packed(posix.join(posix.dirname(name), link)) ? [] : [`${name}: ${link}`],
      ),
    )
    expect(outside).toEqual([])
    expect(pages.filter(({ name }) => !packed(name)).map(({ name }) => name)).toEqual([])
  })

  it('is short', () => {
    expect(text.split('\n').length).toBeLessThan(80)
  })
})

describe('docs/internals.md', () => {
  const text = readFileSync(join(root, 'docs/internals.md'), 'utf8')
  const sources = ['lib', 'worker'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((file) => join(root, folder, file))
      .filter((file) => file.endsWith('.ts') && statSync(file).isFile()),
  )

  it('names only what there is in the files that it names it in', () => {
    // `restore`, or `drive` (`lib/engine/driver.ts`), or (`arrive` and `close` in `lib/…`)
    const told = [...text.matchAll(/`(\w+)`(?:,? and `(\w+)`)? (?:in |\()`((?:lib|worker)\/[\w./-]+\.ts)`/g)]
    expect(told.length).toBeGreaterThan(10)
    const wrong = told.flatMap(([, first, second, file = '']) =>
      [first, second].flatMap((name) =>
        name === undefined || new RegExp(`\\b${name}\\b`).test(readFileSync(join(root, file), 'utf8'))
          ? []
          : [`${name} in ${file}`],
      ),
    )
    expect(wrong).toEqual([])
  })

  it('tells the times that the code has', () => {
    const { payloadRetentionMs } = KERNEL_DEFAULTS
    expect([payloadRetentionMs / 60_000, GRAPH_RETENTION_MS / 3_600_000]).toEqual([10, 24])
    expect(text).toMatch(/outcomes of groups \| ten minutes after/)
    expect(text).toMatch(/a graph \| 24 hours after/)
  })

  it('leads through every room that a branch passes', () => {
    const rooms = [...new Set([...text.matchAll(/`(lib\/\w+|worker)\//g)].map(([, room]) => room))].sort()
    expect(rooms).toEqual([
      'lib/admin',
      ...[
        ...['lib/backend', 'lib/engine', 'lib/executor', 'lib/flow', 'lib/graph', 'lib/modules', 'lib/observe'],
        ...['lib/producer', 'lib/report', 'lib/server', 'lib/session', 'lib/threads', 'lib/values', 'worker'],
      ],
    ])
    expect(sources.length).toBeGreaterThan(50)
  })
})

describe('docs/decisions.md', () => {
  const [, ...entries] = readFileSync(join(root, 'docs/decisions.md'), 'utf8').split(/^## /m)

  it.each(entries.map((entry) => [entry.split('\n')[0] ?? '', entry] as const))(
    '%s: what was decided, why, and what was rejected',
    (_, entry) => {
      const parts = [...entry.matchAll(/^\*\*(\w+)\.\*\* \S/gm)].map(([, part]) => part)
      expect(parts.slice(0, 3)).toEqual(['Decided', 'Why', 'Rejected'])
      expect(parts.slice(3).filter((part) => part !== 'Price')).toEqual([])
    },
  )

  it('tells the bounds that the code has', () => {
    const text = readFileSync(join(root, 'docs/decisions.md'), 'utf8')
    const { maxRetainedRuns, maxRetainedBytes } = KERNEL_DEFAULTS
    expect(text).toContain(`at most ${maxRetainedRuns.toLocaleString('en').replace(',', ' ')} ended runs`)
    expect(text).toContain(`${maxRetainedBytes / 2 ** 20} MiB`)
    expect(text).toContain(`A branch may fail ${MOST_COUNTED} times, and be lost ${MOST_COUNTED - 1} times`)
    expect(text).toContain(`\`maxConcurrentTasks\` is ${CONNECT_OPTIONS.maxConcurrentTasks.default} by default`)
  })
})
