import { readDoc, tableRows } from './doc-table.js'

/** The words of the design. Each means one thing, and no other word may mean it. */
const words = [
  ...[
    'task',
    'flow',
    'graph',
    'workflow',
    'group',
    'branch',
    'step',
    'superstep',
    'barrier',
    'outcome',
    'run',
    'driver',
  ],
  ...['session', 'grant', 'token', 'fence', 'attempt', 'acquire', 'settle', 'release', 'reclaim', 'requeue', 'push'],
  ...['notice', 'notify', 'wake', 'wait', 'dead letter', 'sweep', 'janitor', 'producer', 'worker', 'control plane'],
  ...['observer'],
]

/** Words that others use for these things, with ours. */
const synonyms: readonly (readonly [pattern: RegExp, ours: string])[] = [
  [/\bjobs?\b/i, 'branch or task'],
  [/\bactivit(y|ies)\b/i, 'task'],
  [/\bDAGs?\b/, 'graph'],
  [/\bleases?\b/i, 'grant or session'],
  [/\bsub-?tasks?\b/i, 'branch'],
  [/\bkids?\b/i, 'branch or child group'],
  [/\bsteps? functions?\b/i, 'task'],
  [/\brendezvous\b/i, 'barrier'],
  [/\bfates?\b/i, 'outcome'],
  [/\bbells?\b/i, 'notice'],
]
/** Pages that speak of other systems have those systems' words. */
const pages = ['decisions.md', 'errors.md', 'events.md', 'glossary.md', 'internals.md', 'language.md', 'options.md']

/** A row of three columns without its last. */
const withoutNever = (line: string): string => line.replace(/^(\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|).*\|$/, '$1')

describe('docs/glossary.md', () => {
  const rows = tableRows(readDoc('glossary.md'), 'Words')

  it('explains the words of the design, in their order, and no other there', () => {
    expect(rows.map(([word]) => word)).toEqual(words)
  })

  it('names every synonym as a word that is never used', () => {
    const never = rows.map(([, , words = '']) => words).join(', ')
    expect(synonyms.filter(([pattern]) => !pattern.test(never)).map(([pattern]) => String(pattern))).toEqual([])
  })

  it('explains each word once, in a sentence', () => {
    const all = [...rows, ...tableRows(readDoc('glossary.md'), 'More words')]
    const names = all.map(([word]) => word)
    expect(names.length).toBe(new Set(names).size)
    expect(all.filter(([, meaning]) => meaning === undefined || !/^[A-Z`].{20,}\.$/.test(meaning))).toEqual([])
  })

  it.each(pages)('is kept by docs/%s: no other word for what has one', (name) => {
    // the column "never" of the glossary itself is where these words stand
    const lines = readDoc(name)
      .split('\n')
      .map((line) => (name === 'glossary.md' ? withoutNever(line) : line))
    const found = synonyms.flatMap(([pattern, ours]) =>
      lines.flatMap((line, at) =>
        pattern.test(line) ? [`line ${at + 1}: ${pattern.exec(line)?.[0] ?? ''}: ${ours}`] : [],
      ),
    )
    expect(found).toEqual([])
  })
})
