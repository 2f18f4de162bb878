/** Tables of the command: on a terminal they fit it, in a pipe they are whole. */
import { table, widthOf } from '../../bin/table.js'

const LONG = 'x'.repeat(128)
const UUID = '4782505e-118f-46c0-b106-9a4139acaac9'
const HEAD = ['RUN', 'STATE', 'WORKFLOW', 'PROGRESS', 'TAGS', 'ERROR']
const WHY = 'GROUP_FAILED: group at 1 failed: 846 of 1000 branches succeeded, all must succeed'
const ROWS = [
  [
    UUID,
    'failed',
    'a-workflow-with-a-name-of-many-many-letters',
    '-',
    'nightly,customer:42,ein-langes-schlagwort',
    WHY,
  ],
  [LONG, 'running', 'audit', '1/1000', '-', ''],
  ['пакет-包-🎁', 'waiting', '承認しますか', '0/0', '-', 'asks: 承認しますか 🙂 承認しますか 🙂 承認しますか'],
]

const linesOf = (text: string): readonly string[] => text.trimEnd().split('\n')
const on = (columns: number, rows = ROWS, isCut = false): readonly string[] =>
  linesOf(table(HEAD, rows, { write: () => true, isTTY: true, columns }, undefined, isCut))
const widest = (lines: readonly string[]): number => Math.max(...lines.map(widthOf))

describe('a table', () => {
  it.each([40, 60, 80, 120, 200])('fits a terminal of %i columns, whatever its cells hold', (columns) => {
    for (const isCut of [false, true]) expect(widest(on(columns, ROWS, isCut))).toBeLessThan(columns)
  })

  it('loses nothing of a cell that is too wide: it goes on below', () => {
    const shown = on(80, ROWS.slice(0, 1))
    const column = (at: number, width: number): string =>
      shown
        .slice(1)
        .map((line) => line.slice(at, at + width).trim())
        .join('')
    expect(column(0, 20)).toBe(UUID)
    expect(shown.join(' ').replace(/\s+/g, ' ')).toContain('1000')
    expect(on(300, ROWS.slice(0, 1))).toHaveLength(2)
  })

  it('has one line a row where it is cut', () => {
    const shown = on(80, ROWS, true)
    expect(shown).toHaveLength(4)
    expect(shown[2]).toContain('…')
    expect(shown[3]).toMatch(/^пакет-包-🎁 /)
  })

  it('leaves out columns that say nothing where there is no room', () => {
    const rows = [[UUID, 'failed', 'audit', '-', '-', WHY]]
    expect(on(80, rows)[0]).not.toMatch(/PROGRESS|TAGS/)
    expect(on(200, rows)[0]).toMatch(/PROGRESS +TAGS/)
  })

  it('is whole in a pipe but for the sentences of its last column', () => {
    const piped = linesOf(table(HEAD, ROWS, { write: () => true, columns: 80 }))
    expect(piped.find((line) => line.startsWith(LONG))).toMatch(/^x{128} {2}running/)
    expect(piped[1]).toContain(UUID)
  })

  it('counts what takes two columns, and what takes none', () => {
    expect(['abc', '包', '🎁', 'e\u0301', 'ö', 'あ', '한', '━'].map(widthOf)).toEqual([3, 2, 2, 1, 1, 2, 2, 1])
  })
})
