/** docs/testing.md against the folder that it describes: folders, topics of the contract, prefixes of ids, and variables. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { readDoc, tableRows } from './doc-table.js'

const tests = join(__dirname, '..')
const page = readDoc('testing.md')
const files = readdirSync(tests, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
const textOf = (file: string): string => readFileSync(join(tests, file), 'utf8')

/** What stands in code marks in the first column of a section's tables. */
const told = (section: string): readonly string[] =>
  tableRows(page, section)
    .flatMap(([first = '']) => [...first.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word))
    .sort()
const sorted = (words: Iterable<string>): readonly string[] => [...new Set(words)].sort()
/** Prefixes of the ids with which titles of tests begin. */
const prefixesIn = (text: string): readonly string[] =>
  [...text.matchAll(/\(\s*['"`]([A-Z]{1,2}(?:-[A-Z])?)\d+(?:, [\w, -]+)?[:,] /g)].map(([, prefix = '']) => prefix)

describe('docs/testing.md', () => {
  it('says what is in every folder of test, and in no other', () => {
    const folders = readdirSync(tests).filter((name) => statSync(join(tests, name)).isDirectory())
    expect(told('What is in test')).toEqual(sorted(folders.map((name) => `test/${name}`)))
  })

  it('has every topic of the contract suite', () => {
    const topics = [...textOf('contract/suite.ts').matchAll(/from '\.\/([\w-]+)\.js'/g)].map(([, topic = '']) => topic)
    expect(told('The contract, by topic')).toEqual(sorted(topics.filter((topic) => topic !== 'world')))
  })

  it('explains every prefix of an id that a title has', () => {
    expect(prefixesIn(`it('X1: a', …); it.each(…)('FT-W5: b', …); run(\n'L2, L3: c'`)).toEqual(['X', 'FT-W', 'L'])
    const used = files.flatMap((file) => (file.startsWith('repo-rules') ? [] : prefixesIn(textOf(file))))
    expect(told('Ids of behaviours')).toEqual(sorted(used))
  })

  it('names every variable that makes random tests longer', () => {
    const used = files.flatMap((file) => textOf(file).match(/\b(?:GRAFLOW_WALK|STRESS)_?[A-Z]+(?:_[A-Z]+)*\b/g) ?? [])
    expect(told('The kernel is the model')).toEqual(sorted(used))
  })
})
