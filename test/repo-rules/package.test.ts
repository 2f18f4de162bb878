import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableRows } from './doc-table.js'

const root = join(__dirname, '../..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const lockText = readFileSync(join(root, 'package-lock.json'), 'utf8')
const packages: Record<
  string,
  {
    version?: string
    optionalDependencies?: Record<string, string>
    hasInstallScript?: boolean
    dev?: boolean
    optional?: boolean
  }
> = JSON.parse(lockText).packages

describe('package.json', () => {
  it('takes patches of what users install, within the tested major, and pins what developers use', () => {
    const odd = (versions: Record<string, string>, form: RegExp): string[] =>
      Object.entries(versions).flatMap(([name, version]) => (form.test(version) ? [] : [`${name} ${version}`]))
    expect(odd(manifest.dependencies, /^\^\d+\.\d+\.\d+$/)).toEqual([])
    expect(odd(manifest.devDependencies, /^\d+\.\d+\.\d+$/)).toEqual([])
    for (const [name, range] of Object.entries<string>(manifest.dependencies))
      expect([name, packages[`node_modules/${name}`]?.version]).toEqual([name, range.slice(1)])
  })

  it('leaves what only TypeScript task modules or traces need to who has some', () => {
    const optional = ['@opentelemetry/api', 'tsx']
    expect(Object.keys(manifest.dependencies).filter((name) => optional.includes(name))).toEqual([])
    expect(manifest.peerDependenciesMeta).toEqual(
      Object.fromEntries(optional.map((name) => [name, { optional: true }])),
    )
  })

  it('exports only what has a source', () => {
    const targets = Object.values<{ default: string } | string>(manifest.exports)
      .map((target) => (typeof target === 'string' ? target : target.default))
      .map((target) => target.replace(/^\.\/dist\/(.*)\.js$/, './$1.ts'))
    expect(targets.filter((target) => !existsSync(join(root, target)))).toEqual([])
  })

  it('keeps bundlers from leaving out lib/index.ts, which puts the drawing into the flow room', () => {
    expect(manifest.sideEffects).toContain('./dist/lib/index.js')
  })
})

describe('package-lock.json', () => {
  it('names no registry', () => {
    expect(lockText).not.toMatch(/"resolved"|https?:\/\/[^"]*\.tgz/)
  })

  it('has the install scripts that docs/dependencies.md tells of, and no other', () => {
    const page = readFileSync(join(root, 'docs/dependencies.md'), 'utf8')
    const told = tableRows(page, 'Install scripts').map(([name = '', , forWhom = '']) => [name, forWhom])
    const found = Object.entries(packages).flatMap(([path, { hasInstallScript, dev, optional }]) => {
      if (hasInstallScript !== true) return []
      const forWhom = dev === true ? 'developers' : `users${optional === true ? ', optional' : ''}`
      return [[`\`${path.replace(/^.*node_modules\//, '')}\``, forWhom]]
    })
    expect(found).toEqual(told)
    expect(readFileSync(join(root, '.npmrc'), 'utf8')).toMatch(/^ignore-scripts=true$/m)
  })

  it('holds the binaries of every platform, or npm ci refuses it: run `node scripts/complete-lock.mjs`', () => {
    const names = new Set(Object.keys(packages).map((path) => path.replace(/^.*node_modules\//, '')))
    const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    expect(wanted.length).toBeGreaterThan(0)
    expect(wanted.filter((name) => !names.has(name))).toEqual([])
  })
})
