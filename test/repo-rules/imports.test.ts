import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { brokenImports, circlesIn, importsOf, mayImport, roomOf, type Source } from './import-rule.js'
import { brokenHabits } from './source-habits.js'

const root = join(__dirname, '../..')

const sourcesIn = (folder: string): readonly Source[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((below) => `${folder}/${below.replaceAll('\\', '/')}`)
    .filter((path) => path.endsWith('.ts'))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))

const sources = ['lib', 'worker', 'bin'].flatMap(sourcesIn)

/** One file that stands alone. */
const file = (path: string, text: string): Source[] => [{ path, text }]

describe('imports', () => {
  it('of all sources keep the rule', () => {
    expect(sources.map(({ path }) => path)).toContain('lib/errors.ts')
    expect(brokenImports(sources)).toEqual([])
  })

  it('of benchmarks, examples and tests form no circle of files', () => {
    const others = ['bench', 'examples', 'test'].flatMap(sourcesIn)
    expect(others.map(({ path }) => path)).toContain('bench/peers/systems.ts')
    expect(circlesIn([...sources, ...others])).toEqual([])
  })

  it('may never form a cycle of rooms, because what may be imported forms none', () => {
    const settled = new Set<string>()
    for (let before = -1; before < settled.size; ) {
      before = settled.size
      for (const [room, may] of mayImport) if (may.every((other) => settled.has(other))) settled.add(room)
    }
    expect([...mayImport.keys()].filter((room) => !settled.has(room))).toEqual([])
  })
})

describe('the import rule', () => {
  it.each([
    ['lib/flow/a.ts', `import { x } from '../engine/x.js'`, 'flow stands left of engine'],
    ['lib/flow/a.ts', `import type { X } from '../engine/x.js'`, 'flow stands left of engine'],
    ['lib/flow/a.ts', `export * from '../engine/x.js'`, 'flow stands left of engine'],
    ['lib/flow/a.ts', `export type { X } from '../engine/x.js'`, 'flow stands left of engine'],
    ['lib/flow/a.ts', `type X = import('../engine/x.js').X`, 'flow stands left of engine'],
    ['lib/flow/a.ts', `const x = await import('../engine/x.js')`, 'flow stands left of engine'],
    ['lib/flow/a.ts', `import x = require('../engine/x.js')`, 'flow stands left of engine'],
    ['lib/flow/a.ts', `const x = require('../engine/x.js')`, 'flow stands left of engine'],
    ['lib/flow/a.ts', `import '../engine/x.js'`, 'flow stands left of engine'],
    ['lib/errors.ts', `import { x } from './time.js'`, 'errors stands left of time'],
    ['lib/engine/a.ts', `import { w } from '../../worker/w.js'`, 'lib never imports worker/'],
    [
      'worker/a.ts',
      `import { k } from '../lib/backend/kernel/k.js'`,
      'only lib/connect.ts and bin/ know that there is kernel',
    ],
    ['lib/connect.ts', `import { w } from '../worker/w.js'`, 'connect puts the rooms together'],
    ['lib/session/a.ts', `import { e } from '../executor/e.js'`, 'session stands left of executor'],
    ['lib/values/a.ts', `import { readFile } from 'node:fs'`, 'values is pure'],
    [
      'lib/producer/a.ts',
      `import { k } from '../backend/kernel/k.js'`,
      'only lib/connect.ts and bin/ know that there is kernel',
    ],
    [
      'lib/server/a.ts',
      `import type { R } from '../backend/redis/r.js'`,
      'only lib/connect.ts and bin/ know that there is redis',
    ],
    [
      'lib/index.ts',
      `export { k } from './backend/kernel/k.js'`,
      'only lib/connect.ts and bin/ know that there is kernel',
    ],
    [
      'lib/backend/backend.ts',
      `import { k } from './kernel/k.js'`,
      'only lib/connect.ts and bin/ know that there is kernel',
    ],
    [
      'lib/backend/kernel/a.ts',
      `import { r } from '../redis/r.js'`,
      'only lib/connect.ts and bin/ know that there is redis',
    ],
    ['lib/backend/kernel/a.ts', `import { e } from '../../engine/e.js'`, 'it implements the interface'],
    ['lib/observe/a.ts', `import { e } from '../errors.js'`, 'observe imports events and describe only'],
    ['lib/engine/a.ts', `import { m } from '../observe/m.js'`, 'no room of the engine may rest on observe'],
    ['lib/producer/a.ts', `import { connect } from '../connect.js'`, 'no room of the engine may rest on connect'],
    ['lib/engine/a.ts', `import { task } from '../index.js'`, 'no room of the engine may rest on index'],
    ['bin/a.ts', `import { t } from '../lib/testing.js'`, 'testing is for tests'],
    ['lib/connect.ts', `import { t } from './testing.js'`, 'connect puts the rooms together'],
    ['lib/flow/a.ts', `import { readFile } from 'node:fs'`, 'flow is pure'],
    ['lib/flow/a.ts', `import { createHash } from 'node:crypto'`, 'flow is pure'],
    ['lib/graph/a.ts', `import { connect } from 'net'`, 'graph is pure'],
    ['lib/graph/a.ts', `import { readFile } from 'fs/promises'`, 'graph is pure'],
    ['lib/graph/a.ts', `export * from 'node:zlib'`, 'graph is pure'],
    ['lib/engine/a.ts', `await import(name)`, 'only lib/modules, worker/ and bin/ load code'],
    ['lib/engine/a.ts', `import { task } from 'graflow'`, 'inside the package, name the file'],
    ['lib/engine/a.ts', `import { x } from '../../test/x.js'`, 'it stands in no room'],
    ['lib/helpers.ts', ``, 'stands in no room'],
    ['lib/misc/a.ts', ``, 'stands in no room'],
  ])('refuses in %s: %s', (path, text, reason) => {
    const broken = brokenImports(file(path, text))
    expect(broken).toHaveLength(1)
    expect(broken[0]).toContain(path)
    expect(broken[0]).toContain(reason)
  })

  it.each([
    ['lib/time.ts', `import { x } from './errors.js'`],
    [
      'lib/graph/a.ts',
      `import { createHash } from 'node:crypto'\nimport { n } from '../flow/n.js'\nimport { deflate } from 'pako'`,
    ],
    ['lib/engine/a.ts', `import { b } from '../backend/backend.js'\nimport { isDate } from 'node:util/types'`],
    ['lib/backend/kernel/a.ts', `import { b } from '../backend.js'\nimport { c } from './c.js'`],
    ['lib/connect.ts', `import { k } from './backend/kernel/k.js'\nimport { r } from './backend/redis/r.js'`],
    ['lib/index.ts', `export { connect } from './connect.js'`],
    ['lib/testing.ts', `import { k } from './backend/kernel/k.js'`],
    ['lib/observe/a.ts', `import type { EventMap } from '../events.js'`],
    ['lib/server/a.ts', `import { m } from '../observe/m.js'\nimport { p } from '../producer/p.js'`],
    ['worker/a.ts', `import { e } from '../lib/engine/e.js'\nawait import(path)`],
    ['bin/a.ts', `import { k } from '../lib/backend/redis/r.js'\nimport { task } from '../lib/index.js'`],
    ['lib/flow/a.ts', `// import { x } from '../engine/x.js'\nconst text = "import '../engine/x.js'"`],
  ])('lets %s import: %s', (path, text) => {
    expect(brokenImports(file(path, text))).toEqual([])
  })

  it('refuses a circle of files, of types too, and names it', () => {
    const a = { path: 'lib/flow/a.ts', text: `import { b } from './b.js'` }
    const b = { path: 'lib/flow/b.ts', text: `import { c } from './c.js'` }
    const c = { path: 'lib/flow/c.ts', text: `import { a } from './a.js'` }
    expect(brokenImports([a, b, c])).toEqual([
      'a circle: lib/flow/a.ts → lib/flow/b.ts → lib/flow/c.ts → lib/flow/a.ts',
    ])
    expect(brokenImports([a, b, { ...c, text: `import type { a } from './a.js'` }])).toEqual(
      expect.arrayContaining(['a circle: lib/flow/a.ts → lib/flow/b.ts → lib/flow/c.ts → lib/flow/a.ts']),
    )
  })

  it('tells the line', () => {
    expect(brokenImports(file('lib/flow/a.ts', `\n\nimport '../engine/x.js'`))[0]).toMatch(/^lib\/flow\/a\.ts:3 /)
    expect(importsOf({ path: 'a.ts', text: `import type { A } from 'a'\nimport { b } from 'b'` })).toEqual([
      { line: 1, specifier: 'a' },
      { line: 2, specifier: 'b' },
    ])
  })

  it.each([
    ['lib/flow/text/parse.ts', 'flow'],
    ['lib/backend/backend.ts', 'backend'],
    ['lib/backend/kernel/kernel.ts', 'kernel'],
    ['lib/backend/redis/lua/x.ts', 'redis'],
    ['lib/events.ts', 'events'],
    ['worker/threads/x.ts', 'worker'],
    ['lib/flow.ts', undefined],
    ['lib/worker/x.ts', undefined],
    ['lib/errors/x.ts', undefined],
    ['lib/backend/valkey/x.ts', undefined],
  ])('puts %s into the room %s', (path, room) => {
    expect(roomOf(path)).toBe(room)
  })
})

describe('habits', () => {
  it('of all sources are kept', () => {
    expect(brokenHabits(sources)).toEqual([])
  })

  it.each([
    ['lib/engine/a.ts', `const t = Date.now()`, 'Date.now'],
    ['lib/engine/a.ts', `const t = Date['now']()`, 'Date.now'],
    ['lib/engine/a.ts', `const t = globalThis.Date.now`, 'Date.now'],
    ['lib/engine/a.ts', `const { now } = Date`, 'Date.now'],
    ['lib/engine/a.ts', `const t = new Date()`, 'new Date()'],
    ['lib/engine/a.ts', `const t = new Date`, 'new Date()'],
    ['lib/engine/a.ts', `const t = performance.now()`, 'performance.now'],
    ['lib/engine/a.ts', `const x = Math.random()`, 'Math.random'],
    ['lib/engine/a.ts', `import { randomUUID as id } from 'node:crypto'`, 'crypto.randomUUID'],
    ['lib/producer/a.ts', `const id = crypto.randomUUID()`, 'crypto.randomUUID'],
    ['worker/a.ts', `setTimeout(stop, 10)`, 'setTimeout()'],
    ['lib/flow/a.ts', `queueMicrotask(go)`, 'queueMicrotask()'],
    ['lib/graph/a.ts', `console.log(1)`, 'console.log'],
    ['lib/backend/kernel/a.ts', `process.nextTick(go)`, 'process.nextTick'],
    ['lib/connect.ts', `const url = process.env.REDIS_URL`, 'process.env'],
    ['lib/connect.ts', `const { env } = process`, 'process.env'],
    ['lib/connect.ts', `import { argv } from 'node:process'`, 'process.argv'],
    ['worker/a.ts', `process.exit(1)`, 'process.exit'],
    ['lib/flow/a.ts', `export default 1`, 'exports by default'],
    ['lib/flow/a.ts', `export default function f() {}`, 'exports by default'],
    ['lib/flow/a.ts', `const a = 1\nexport { a as default }`, 'exports by default'],
  ])('are refused in %s: %s', (path, text, what) => {
    const broken = brokenHabits(file(path, text))
    expect(broken).toHaveLength(1)
    expect(broken[0]).toContain(path)
    expect(broken[0]).toContain(what)
  })

  it.each([
    ['lib/time.ts', `const t = Date.now() + Math.random()\nsetTimeout(go, 1)`],
    ['lib/engine/a.ts', `const t = clock.now()\nconst d = new Date(t)\nqueueMicrotask(go)\nrandom()`],
    ['lib/backend/kernel/memory-backend.ts', `queueMicrotask(go)`],
    ['lib/engine/a.ts', `// Date.now()\nconst text = 'Math.random()'\nconst u = Date.UTC(2026)`],
    ['bin/a.ts', `const { REDIS_URL } = process.env\nprocess.exit(process.argv.length)`],
    ['lib/graph/a.ts', `import { createHash } from 'node:crypto'\nexport const a = createHash('sha256')`],
  ])('let %s do: %s', (path, text) => {
    expect(brokenHabits(file(path, text))).toEqual([])
  })
})
