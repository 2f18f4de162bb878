import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { readCommand } from '../../examples/licence-audit/command-line.js'
import { build, root, runExample } from '../support/programs.js'

const ISC = `ISC License

Copyright (c) Nobody

Permission to use, copy, modify, and/or distribute this software for any
purpose with or without fee is hereby granted, provided that the above
copyright notice and this permission notice appear in all copies.
`
const manifest = (fields: object): string => JSON.stringify(fields)

/** The files of a project with everything an audit may meet. */
const FILES: Readonly<Record<string, string>> = {
  'node_modules/alpha/package.json': manifest({ name: 'alpha', version: '1.0.0', license: 'MIT' }),
  'node_modules/alpha/index.js': 'x'.repeat(5_000),
  'node_modules/alpha/lib/deep/part.js': 'y'.repeat(70),
  'node_modules/@scope/beta/package.json': manifest({ name: '@scope/beta', version: '2.0.0', license: '(Apache-2.0)' }),
  'node_modules/@scope/beta/node_modules/alpha/package.json': manifest({
    name: 'alpha',
    version: '0.9.0',
    license: { type: 'MIT', url: 'https://example.com' },
  }),
  'node_modules/@scope/beta/node_modules/alpha/node_modules/alpha/package.json': manifest({
    name: 'alpha',
    version: '0.10.0',
    license: 'MIT',
  }),
  'node_modules/old/package.json': manifest({
    name: 'old',
    version: '0.0.1',
    licenses: [{ type: 'GPL-2.0' }, { type: 'Apache 2.0' }],
  }),
  'node_modules/guessed/package.json': manifest({ name: 'guessed', version: '1.2.3' }),
  'node_modules/guessed/LICENSE.md': ISC,
  'node_modules/secret/package.json': manifest({ name: 'secret', version: '1.0.0', license: 'SEE LICENSE IN LICENCE' }),
  'node_modules/secret/LICENCE': 'Ask us.',
  'node_modules/bare/package.json': manifest({ name: 'bare', version: '1.0.0' }),
  'node_modules/strong/package.json': manifest({ name: 'strong', version: '1.0.0', license: 'GPL-3.0-only' }),
  'node_modules/weak/package.json': manifest({ name: 'weak', version: '1.0.0', license: 'MIT AND MPL-2.0' }),
  'node_modules/broken/package.json': '{ "name": "broken",',
  'node_modules/list/package.json': '[]',
  'node_modules/no-manifest/index.js': '',
  'node_modules/odd/package.json/is-a-folder': '',
  'node_modules/closed/package.json': manifest({ name: 'closed', version: '1.0.0', license: 'MIT' }),
  'node_modules/closed/node_modules': 'this should be a folder',
  'node_modules/.package-lock.json': '{}',
  'node_modules/.cache/thing/package.json': manifest({ name: 'not-a-package' }),
  'elsewhere/gamma/package.json': manifest({ name: 'gamma', license: 'MIT' }),
}
const LINKS: Readonly<Record<string, string>> = {
  'node_modules/gamma': '../elsewhere/gamma',
  'node_modules/nowhere': '../nothing',
  'node_modules/again': 'again',
  'node_modules/inside': 'alpha',
  'node_modules/.bin/alpha': '../alpha/index.js',
}

let folder: string
beforeAll(() => {
  build()
  folder = mkdtempSync(join(tmpdir(), 'graflow-audit-'))
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  for (const [path, target] of Object.entries(LINKS)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    symlinkSync(target, join(folder, path))
  }
}, 120_000)
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** What the fixture says of a package: bytes and files under it, without packages nested in it. */
const sizeOf = (path: string): { readonly files: number; readonly bytes: number } => {
  const own = Object.entries(FILES).filter(
    ([file]) => file.startsWith(`${path}/`) && !file.startsWith(`${path}/node_modules/`),
  )
  return { files: own.length, bytes: own.reduce((sum, [, text]) => sum + Buffer.byteLength(text), 0) }
}
const found = (
  path: string,
  name: string,
  version: string | undefined,
  licence: string,
  of: string,
  filesRead = 1,
) => ({
  name,
  ...(version !== undefined && { version }),
  path,
  licence,
  class: of,
  ...sizeOf(path),
  filesRead,
})

/** Without worker processes. */
const EMBEDDED = ['--workers', '0']

describe('examples/licence-audit on a small project', () => {
  it('reports all of it as JSON, exactly', async () => {
    const { code, stdout, stderr } = await runExample('licence-audit/main.ts', [folder, '--json', ...EMBEDDED])
    expect(code).toBe(0)
    expect(stderr).toContain('inspecting packages: 15 branches\n')
    const { ran, ...report } = JSON.parse(stdout)
    expect(ran).toEqual({
      branches: 18,
      durationMs: expect.any(Number),
      branchesPerSecond: expect.any(Number),
      engine: 'embedded',
      workers: 0,
    })
    expect(ran.branchesPerSecond).toBe(Math.round(18_000 / ran.durationMs))

    const packages = [
      found('node_modules/@scope/beta', '@scope/beta', '2.0.0', 'Apache-2.0', 'permissive'),
      found('node_modules/@scope/beta/node_modules/alpha', 'alpha', '0.9.0', 'MIT', 'permissive'),
      found('node_modules/@scope/beta/node_modules/alpha/node_modules/alpha', 'alpha', '0.10.0', 'MIT', 'permissive'),
      found('node_modules/alpha', 'alpha', '1.0.0', 'MIT', 'permissive'),
      found('node_modules/bare', 'bare', '1.0.0', 'none found', 'unknown'),
      found('node_modules/broken', 'broken', undefined, 'none found', 'unknown'),
      found('node_modules/closed', 'closed', '1.0.0', 'MIT', 'permissive'),
      found('node_modules/guessed', 'guessed', '1.2.3', 'ISC', 'permissive', 2),
      found('node_modules/list', 'list', undefined, 'none found', 'unknown'),
      found('node_modules/no-manifest', 'no-manifest', undefined, 'none found', 'unknown', 0),
      found('node_modules/odd', 'odd', undefined, 'none found', 'unknown', 0),
      found('node_modules/old', 'old', '0.0.1', 'GPL-2.0 OR Apache-2.0', 'permissive'),
      found('node_modules/secret', 'secret', '1.0.0', 'none found', 'unknown', 2),
      found('node_modules/strong', 'strong', '1.0.0', 'GPL-3.0-only', 'copyleft'),
      found('node_modules/weak', 'weak', '1.0.0', 'MIT AND MPL-2.0', 'weak copyleft'),
    ]
    // `closed` has a file where its nested packages would be: it is one of its own files
    const closed = packages[6] as { files: number; bytes: number }
    const sum = (key: 'files' | 'bytes' | 'filesRead') => packages.reduce((total, one) => total + one[key], 0)
    const row = (licence: string, of: string, names: readonly string[]) => ({
      licence,
      class: of,
      packages: names.length,
      bytes: packages.filter((one) => one.licence === licence).reduce((total, { bytes }) => total + bytes, 0),
      names,
    })
    const unstated = 'states no licence'
    expect(closed).toMatchObject({ files: 2 })
    expect(report).toEqual({
      directory: folder,
      packages: 15,
      files: sum('files'),
      bytes: sum('bytes'),
      filesRead: sum('filesRead'),
      classes: { permissive: 7, 'weak copyleft': 1, copyleft: 1, unknown: 6 },
      licences: [
        row('none found', 'unknown', ['bare@1.0.0', 'broken', 'list', 'no-manifest', 'odd', 'secret@1.0.0']),
        row('MIT', 'permissive', ['alpha@0.10.0', 'alpha@0.9.0', 'alpha@1.0.0', 'closed@1.0.0']),
        row('Apache-2.0', 'permissive', ['@scope/beta@2.0.0']),
        row('GPL-2.0 OR Apache-2.0', 'permissive', ['old@0.0.1']),
        row('GPL-3.0-only', 'copyleft', ['strong@1.0.0']),
        row('ISC', 'permissive', ['guessed@1.2.3']),
        row('MIT AND MPL-2.0', 'weak copyleft', ['weak@1.0.0']),
      ],
      largest: packages.toSorted((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1)).slice(0, 10),
      duplicates: [
        {
          name: 'alpha',
          versions: [
            { version: '0.9.0', paths: ['node_modules/@scope/beta/node_modules/alpha'] },
            { version: '0.10.0', paths: ['node_modules/@scope/beta/node_modules/alpha/node_modules/alpha'] },
            { version: '1.0.0', paths: ['node_modules/alpha'] },
          ],
        },
      ],
      findings: [
        ['link', 'node_modules/again', 'a link to itself'],
        ['licence', 'node_modules/bare', `${unstated}; there is no licence file`],
        ['manifest', 'node_modules/broken/package.json', 'is not JSON'],
        ['unreadable', 'node_modules/closed/node_modules', 'cannot be read (ENOTDIR)'],
        ['link', 'node_modules/gamma', `a link out of the tree, to ${join(folder, 'elsewhere/gamma')}: not followed`],
        ['licence', 'node_modules/guessed', `${unstated}; LICENSE.md reads like ISC`],
        ['manifest', 'node_modules/list/package.json', 'is no object'],
        ['manifest', 'node_modules/no-manifest/package.json', 'is missing'],
        ['link', 'node_modules/nowhere', 'a link that leads nowhere'],
        ['manifest', 'node_modules/odd/package.json', 'cannot be read (EISDIR)'],
        ['licence', 'node_modules/secret', `${unstated}; LICENCE reads like none known here`],
      ].map(([kind, path, problem]) => ({ kind, path, problem })),
      links: 1,
    })
  })

  it('finds the same on worker processes, and says so', async () => {
    const [alone, { code, stdout, stderr }] = await Promise.all([
      runExample('licence-audit/main.ts', [folder, '--json', ...EMBEDDED]),
      runExample('licence-audit/main.ts', [folder, '--json', '--workers', '2']),
    ])
    const embedded = JSON.parse(alone.stdout)
    expect(stderr).toMatch(
      /^2 worker processes and a private (redis|valkey)-server \d\S+\ninspecting packages: 15 branches\n/,
    )
    expect(code).toBe(0)
    const { ran, ...report } = JSON.parse(stdout)
    expect(ran).toMatchObject({ branches: 18, engine: 'redis', workers: 2 })
    expect({ ...report, ran: 0 }).toEqual({ ...embedded, ran: 0 })
  }, 60_000)

  it('finds the same when it is given the node_modules folder itself', async () => {
    const { stdout } = await runExample('licence-audit/main.ts', ['--json', join(folder, 'node_modules'), ...EMBEDDED])
    const { packages, findings } = JSON.parse(stdout)
    expect(packages).toBe(15)
    expect(findings[0].path).toBe('node_modules/again')
  })

  it('prints a table for people, without colour when it is not a terminal, and what ran', async () => {
    const { code, stdout, stderr } = await runExample('licence-audit/main.ts', [folder, ...EMBEDDED])
    expect(code).toBe(0)
    expect(stdout).not.toContain('\u001b')
    expect(stdout).toMatch(/^ {2}GPL-3\.0-only {2,}copyleft {2,}1 {2,}\d+ B {2}strong@1\.0\.0$/m)
    expect(stdout).toMatch(/^ {2}MIT {2,}permissive {2,}4 {2,}5\.\d kB {2}━+$/m)
    expect(stdout).toMatch(/^ {2}alpha {2,}0\.9\.0, 0\.10\.0, 1\.0\.0$/m)
    expect(stdout).toMatch(/^ {2}node_modules\/broken\/package\.json {2,}is not JSON$/m)
    expect(stdout).toContain('11 findings')
    expect(stdout).toContain('1 link to packages that are counted where they are')
    expect(stdout).toMatch(
      /\nlist >> inspect\* >> \(by-licence \| by-size \| duplicates\) >> report\n15 packages inspected in 18 branches, \d+\.\d\d s \([\d,]+ branches\/s\)\n15 of 20 files read; embedded engine in this process \(no Redis needed\)\n$/,
    )
    expect(Math.max(...stdout.split('\n').map((line) => [...line].length))).toBeLessThanOrEqual(80)
    expect(stderr).toMatch(
      /^inspecting packages: 15 branches\ninspecting packages: 15 done in \d+ ms\nby licence, by size, duplicates: 3 branches\nby licence, by size, duplicates: 3 done in \d+ ms\n$/,
    )
  })
})

describe('examples/licence-audit on this project', () => {
  /** Packages by the rule of their paths, and the files they have, read without the audit's code. */
  function recount(): { readonly packages: number; readonly files: number; readonly bytes: number } {
    const manifests = new Set<string>()
    let files = 0
    let bytes = 0
    for (const entry of readdirSync(join(root, 'node_modules'), { recursive: true, withFileTypes: true })) {
      const path = relative(root, join(entry.parentPath, entry.name)).split(sep).join('/')
      const [inside] = /^(node_modules\/(@[^/]+\/)?[^@./][^/]*\/)+/.exec(path) ?? []
      if (inside === undefined || !entry.isFile()) continue
      manifests.add(inside)
      files += 1
      bytes += lstatSync(join(root, path)).size
    }
    return { packages: manifests.size, files, bytes }
  }

  it('counts what a recount counts', async () => {
    const { code, stdout } = await runExample('licence-audit/main.ts', ['--json', ...EMBEDDED])
    const report = JSON.parse(stdout)
    const { packages, files, bytes } = report
    expect(code).toBe(0)
    expect({ packages, files, bytes }).toEqual(recount())
    expect(report.ran.branches - packages).toBe(3)
    expect(report.licences.reduce((sum: number, row: { packages: number }) => sum + row.packages, 0)).toBe(packages)
    expect(report.licences.reduce((sum: number, row: { bytes: number }) => sum + row.bytes, 0)).toBe(bytes)
    const classes: readonly number[] = Object.values(report.classes)
    expect(classes.reduce((a, b) => a + b)).toBe(packages)
    const own = JSON.parse(readFileSync(join(root, 'node_modules/typescript/package.json'), 'utf8'))
    const names: readonly string[] = report.licences.flatMap((row: { names: string[] }) => row.names)
    expect(names).toContain(`typescript@${own.version}`)
  }, 60_000)

  it('ends with 130 and says so when it is interrupted', async () => {
    let isKilled = false
    const { code, stdout, stderr } = await runExample('licence-audit/main.ts', EMBEDDED, {
      onStderr: (written, kill) => {
        if (isKilled || !written.includes('inspecting packages:')) return
        isKilled = true
        kill('SIGINT')
      },
    })
    expect(stderr).toMatch(/licence-audit: run \S+ was cancelled: interrupted\n$/)
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
  })
})

describe('the command line of examples/licence-audit', () => {
  it.each([
    [['--jsno'], 'there is no --jsno: did you mean --json?'],
    [['--hlep'], 'there is no --hlep: did you mean --help?'],
    [['--fetch-everything'], 'there is no --fetch-everything; the flags are --json, --workers, --report and --help'],
    [['-x'], 'there is no -x; the flags are --json, --workers, --report and --help'],
    [['--json=yes'], '--json takes no value'],
    [['--workers', 'two'], '--workers takes a whole number, got two'],
    [['--workers'], '--workers takes a whole number, got none'],
    [['a', 'b'], 'one directory at a time, got a, b'],
  ])('knows what is wrong with %j', (words, problem) => {
    expect(readCommand(words, root)).toEqual({ kind: 'wrong', problem })
  })

  it('refuses a wrong command with exit code 2', async () => {
    const { code, stdout, stderr } = await runExample('licence-audit/main.ts', ['--jsno'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr.split('\n')[0]).toBe('licence-audit: there is no --jsno: did you mean --json?')
    expect(stderr).toContain('npm run demo -- [directory] [--json] [--workers N]')
  })

  it('explains itself', async () => {
    const { code, stdout } = await runExample('licence-audit/main.ts', ['--help'])
    expect(code).toBe(0)
    expect(stdout).toContain('--json       the whole report as JSON')
  })

  it('says in one line what to do where nothing is installed, with exit code 1', async () => {
    const { code, stdout, stderr } = await runExample('licence-audit/main.ts', [join(folder, 'elsewhere'), ...EMBEDDED])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      /^licence-audit: there is no node_modules in \S+: install packages first, or name another directory\n$/,
    )
  })
})
