/** docs/testing-ids.md lists which test shows which behaviour or fault; titles say what they are about without their file. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { allTitles, bareFaults, difference, doubled, pageOf, titlesOf } from './test-titles.js'

const page = readFileSync(join(__dirname, '../../docs/testing-ids.md'), 'utf8')
const titles = allTitles()

describe('docs/testing-ids.md', () => {
  it('has a row for each id of each title, and no other', () => {
    expect(difference(page, titles)).toEqual({ stale: [], new: [] })
    expect(page).toBe(pageOf(titles))
  })

  it('would differ by an id without a test, and by a test with a new id', () => {
    const withoutTest = `${page}| X99 | something | \`test/x.test.ts\` |\n`
    expect(difference(withoutTest, titles).stale).toEqual(['| X99 | something | `test/x.test.ts` |'])
    const added = titlesOf('test/y.test.ts', `describe('y', () => { it('X98: is new', () => {}) })`)
    expect(difference(page, [...titles, ...added]).new).toEqual(['| X98 | y › X98: is new | `test/y.test.ts` |'])
  })
})

describe('titles of tests', () => {
  it('are full names that no other test has', () => {
    expect(titles.length).toBeGreaterThan(700)
    expect(doubled(titles)).toEqual([])
  })

  it('write ids of faults with FT-', () => {
    expect(bareFaults(titles)).toEqual([])
  })

  it('are found in every way of declaring a test', () => {
    const text = `
      describe.each(places)('a place (%s)', () => {
        it.each([1, 2])('X1, FT-W5: with %d', () => {})
        onlyEmbedded('why')('R1: here', () => {})
        const here = onlyEmbedded('why')
        here('R2: there', () => {})
      })
      describe('FT-W20: SIGTERM', () => { it(\`ends \${once}\`, () => {}) })
      it.each([['X3, FT-D1', 'always'], ['FT-D2', 'none']])('%s: restarts', () => {})
      describeOnBackends('on both', () => { it('runs', () => {}) })
      log('X7: no test')`
    expect(titlesOf('f', text).map(({ path, ids }) => [path.join(' › '), ids.join()])).toEqual([
      ['a place (%s) › X1, FT-W5: with %d', 'X1,FT-W5'],
      ['a place (%s) › R1: here', 'R1'],
      ['a place (%s) › R2: there', 'R2'],
      ['FT-W20: SIGTERM › ends ${once}', 'FT-W20'],
      ['%s: restarts', 'X3,FT-D1,FT-D2'],
      ['on both › runs', ''],
    ])
  })

  it('that are doubled, or have a fault without FT-, are found', () => {
    const twice = titlesOf(
      'f',
      `describe('a', () => { it('D12: b', () => {}); it('D12: b', () => {}); it('D11: c', () => {}) })`,
    )
    expect(doubled(twice)).toEqual(['a › D12: b'])
    expect(bareFaults(twice)).toEqual(['D12 in a › D12: b', 'D12 in a › D12: b'])
  })
})
