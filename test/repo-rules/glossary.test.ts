import { readDoc, tableRows } from './doc-table.js'

/** The words of the design. Each means one thing, and no other word may mean it. */
const words = [
  ...['task', 'flow', 'graph', 'workflow', 'group', 'branch', 'superstep', 'barrier', 'outcome', 'run', 'driver'],
  ...['grant', 'attempt', 'session', 'token', 'fence', 'dead letter', 'sweep', 'janitor', 'producer', 'worker'],
  ...['control plane', 'observer'],
]

/** Words that others use for these things, with ours. */
const synonyms: readonly (readonly [pattern: RegExp, ours: string])[] = [
  [/\bjobs?\b/i, 'branch or task'],
  [/\bactivit(y|ies)\b/i, 'task'],
  [/\bpipelines?\b/i, 'flow'],
  [/\bDAGs?\b/, 'graph'],
  [/\bleases?\b/i, 'grant or session'],
  [/\bsub-?tasks?\b/i, 'branch'],
  [/\bsteps? functions?\b/i, 'task'],
  [/\brendezvous\b/i, 'barrier'],
]
/** Pages that speak of other systems have those systems' words. */
const pages = ['decisions.md', 'errors.md', 'events.md', 'glossary.md', 'internals.md', 'language.md', 'options.md']

describe('docs/glossary.md', () => {
  const rows = tableRows(readDoc('glossary.md'), 'Words')

  it('explains the words of the design, in their order, and no other there', () => {
    expect(rows.map(([word]) => word)).toEqual(words)
  })

  it('explains each word once, in a sentence', () => {
    const all = [...rows, ...tableRows(readDoc('glossary.md'), 'More words')]
    const names = all.map(([word]) => word)
    expect(names.length).toBe(new Set(names).size)
    expect(all.filter(([, meaning]) => meaning === undefined || !/^[A-Z`].{20,}\.$/.test(meaning))).toEqual([])
  })

  it.each(pages)('is kept by docs/%s: no other word for what has one', (name) => {
    const lines = readDoc(name).split('\n')
    const found = synonyms.flatMap(([pattern, ours]) =>
      lines.flatMap((line, at) =>
        pattern.test(line) ? [`line ${at + 1}: ${pattern.exec(line)?.[0] ?? ''}: ${ours}`] : [],
      ),
    )
    expect(found).toEqual([])
  })
})
