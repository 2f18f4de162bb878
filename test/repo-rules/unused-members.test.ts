/** `npm run unused` looks at members, too: what it reports, and what it leaves alone. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const script = join(__dirname, '../../scripts/unused-members.mjs')
let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'graflow-members-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true })
})

/** What is reported of these files: lines, without what is the same in all. */
function reported(files: Readonly<Record<string, string>>) {
  const compilerOptions = { module: 'nodenext', target: 'es2022', lib: ['es2022'], strict: true, types: [] }
  const all = { ...files, 'tsconfig.json': JSON.stringify({ compilerOptions, include: ['lib', 'test'] }) }
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const { status, stdout } = spawnSync(process.execPath, [script, join(folder, 'tsconfig.json')], { encoding: 'utf8' })
  return { status, lines: stdout.split('\n').flatMap((line) => (line === '' ? [] : [line.split(': ')[0]])) }
}

describe('unused members', () => {
  it('are those of classes, interfaces and types that nothing but a test reads', () => {
    const files = {
      'lib/a.ts': [
        'export class A {',
        '  #count = 0',
        '  onlyCounted = 0',
        '  get count(): number { this.onlyCounted += 1; return this.#count }',
        '  get tested(): number { return 1 }',
        '}',
        'export interface B { readonly given: number; readonly read: number }',
        'export type C = { readonly taken: number; readonly dropped: number }',
        'export const sum = (a: A, b: B, { taken }: C): number => a.count + b.read + taken',
      ].join('\n'),
      'test/a.test.ts': `import { A } from '../lib/a.js'\nexport const seen = new A().tested`,
    }
    expect(reported(files)).toEqual({
      status: 1,
      lines: ['lib/a.ts:3  onlyCounted', 'lib/a.ts:5  tested', 'lib/a.ts:7  given', 'lib/a.ts:8  dropped'],
    })
  })

  it('are not those that users may read, or that a base class of a package asks for', () => {
    const files = {
      'lib/index.ts': `export type { Result } from './a.js'`,
      'lib/a.ts': [
        'interface Part { readonly deep: number }',
        'export interface Result { readonly parts: readonly Part[] }',
        'export class Broken extends Error { override name = "Broken" }',
      ].join('\n'),
    }
    expect(reported(files)).toEqual({ status: 0, lines: [] })
  })
})
