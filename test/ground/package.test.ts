import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(__dirname, '../..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const lockText = readFileSync(join(root, 'package-lock.json'), 'utf8')
const packages: Record<string, { optionalDependencies?: Record<string, string> }> = JSON.parse(lockText).packages

describe('package.json', () => {
  it('pins exact versions', () => {
    const pinned = { ...manifest.dependencies, ...manifest.devDependencies }
    expect(Object.entries(pinned).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(String(version)))).toEqual([])
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

  it('holds the binaries of every platform, or npm ci refuses it: run `node scripts/complete-lock.mjs`', () => {
    const names = new Set(Object.keys(packages).map((path) => path.replace(/^.*node_modules\//, '')))
    const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
    expect(wanted.length).toBeGreaterThan(0)
    expect(wanted.filter((name) => !names.has(name))).toEqual([])
  })
})
