/** The head of each script says what the script does: its flags, parts, keys and answers are those of its text. */
import { loadScripts, SCRIPT_NAMES } from '../../lib/backend/redis/scripts.js'
import { tableRows, readDoc } from '../repo-rules/doc-table.js'
import { answersListed, answersReturned, headOf, isPart, keysUsed, luaTexts, shape } from './lua-sources.js'

const scripts = [...luaTexts.keys()].filter((name) => !isPart(name))
const textOf = (name: string): string => luaTexts.get(name) ?? ''
/** The script's own text, with the part that is its body, if one is. */
const ownOf = (name: string): string => {
  const body = name.replace(/-full$/, '')
  return headOf(name).uses.includes(body) ? `${textOf(name)}\n${textOf(`part-${body}`)}` : textOf(name)
}
const partsOf = (name: string): string =>
  headOf(name)
    .uses.map((part) => textOf(`part-${part}`))
    .join('\n')

/** Allowed when memory is full; refused then; never writing. */
const FLAGS: Readonly<Record<string, readonly string[]>> = {
  acquire: ['allow-oom'],
  'channel-change': ['allow-oom'],
  'channel-lock': ['allow-oom'],
  'channel-read': ['no-writes'],
  'channel-write': [],
  control: ['allow-oom'],
  decide: ['allow-oom'],
  documents: [],
  'documents-full': ['allow-oom'],
  'event-log': [],
  'event-log-keep': ['allow-oom'],
  'event-log-read': ['no-writes'],
  groups: ['no-writes'],
  held: ['no-writes'],
  input: ['no-writes'],
  'list-runs': ['no-writes'],
  open: [],
  'open-full': ['allow-oom'],
  'open-waits': ['no-writes'],
  outcomes: ['no-writes'],
  parts: ['no-writes'],
  progress: [],
  queues: ['no-writes'],
  reopen: ['allow-oom'],
  rights: ['no-writes'],
  session: ['allow-oom'],
  sessions: ['no-writes'],
  settle: ['allow-oom'],
  signal: ['allow-oom'],
  step: [],
  'step-full': ['allow-oom'],
  'step-refusing': [],
  sweep: ['allow-oom'],
  take: ['allow-oom'],
  waiting: ['no-writes'],
}

describe('the Lua scripts', () => {
  it('are those that the backend knows', () => {
    expect([...scripts].sort()).toEqual([...SCRIPT_NAMES].sort())
    expect([...loadScripts().keys()].sort()).toEqual([...SCRIPT_NAMES].sort())
  })

  it('use parts that are there, and every part is used', () => {
    const used = new Set(scripts.flatMap((name) => headOf(name).uses))
    expect([...used].map((part) => `part-${part}`).sort()).toEqual([...luaTexts.keys()].filter(isPart).sort())
  })

  it('FT-D20: may run when memory is full, unless they add work', () => {
    expect(Object.fromEntries(scripts.map((name) => [name, headOf(name).flags]))).toEqual(FLAGS)
  })

  it.each(scripts)('%s: begins with a head that says all there is to say', (name) => {
    const head = headOf(name)
    expect(head.keys).toBe(name === 'rights' ? 'none' : 'T:m')
    expect(head.what).toMatch(/^[A-Z][^]*\.$/)
    expect(head.argv.trim()).not.toBe('')
    expect(
      answersListed(head).size + Number(/a list/.test(head.answers)) + Number(/, the fields/.test(head.answers)),
    ).toBeGreaterThan(0)
  })

  it.each(scripts)('%s: names the keys it uses, and no others', (name) => {
    const named = new Set(headOf(name).derives.map(shape))
    const own = keysUsed(ownOf(name))
    const all = new Set([...own, ...keysUsed(partsOf(name))])
    expect([...own].filter((key) => !named.has(key) && key !== ':m')).toEqual([])
    expect([...named].filter((key) => !all.has(key))).toEqual([])
  })

  it.each(scripts)('%s: lists the answers it returns, and no others', (name) => {
    const listed = answersListed(headOf(name))
    const own = answersReturned(ownOf(name))
    const all = new Set([...own, ...answersReturned(partsOf(name))])
    expect([...own].filter((word) => !listed.has(word))).toEqual([])
    expect([...listed].filter((word) => !all.has(word))).toEqual([])
  })

  it('speak of keys of the table in docs/redis.md, all of them', () => {
    const used = new Set([...luaTexts.values()].flatMap((text) => [...keysUsed(text)]))
    const documented = new Set(
      tableRows(readDoc('redis.md'), 'Keys').map(([key = '']) => shape(key.replaceAll('`', ''))),
    )
    expect([...used].filter((key) => !documented.has(key))).toEqual([])
    // graphs and workflows are read by plain commands, the rest by scripts
    expect([...documented].filter((key) => !used.has(key)).sort()).toEqual([':m', ':wf'])
  })

  it('have no line over 150 columns, which no formatter of ours counts', () => {
    const long = [...luaTexts].flatMap(([name, text]) =>
      text.split('\n').flatMap((line, i) => (line.length > 150 ? [`${name}.lua:${i + 1}: ${line.length}`] : [])),
    )
    expect(long).toEqual([])
  })

  it('read the clock once, and never by a key of their own', () => {
    for (const [name, text] of luaTexts) {
      const reads = text.match(/call\('TIME'\)/g) ?? []
      expect([name, reads.length]).toEqual([name, name === 'part-base' ? 1 : 0])
      if (name !== 'part-ready-queue') expect(text).not.toMatch(/cjson/)
      expect(text).not.toMatch(/os\.(time|clock)|math\.random/)
    }
  })
})
