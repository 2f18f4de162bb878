/** docs/matrix.md shows the matrix as it is played, and the matrix has every option and join that there is. */
import { readDoc, tableRows } from '../repo-rules/doc-table.js'
import type { Option } from './table.js'
import { GROUP_OPTIONS } from './group-options.js'
import { JOINS } from './joins.js'
import { matrixPage } from './page.js'
import { TASK_OPTIONS } from './task-options.js'

const namesOf = (options: readonly Option[]): readonly string[] => options.map(({ name }) => name).sort()
const documented = (section: string): readonly string[] =>
  tableRows(readDoc('options.md'), section).map(([name = '']) => name.replaceAll('`', ''))
const joins = ['strict', 'settled', 'atLeast', 'critical', 'first', 'policy']

describe('docs/matrix.md', () => {
  it('is what the matrix says of itself', () => {
    expect(readDoc('matrix.md')).toBe(matrixPage())
  })

  it('has every option of tasks and groups, and every join', () => {
    // the row `elsewhere` is no option: it is about where a task is known
    expect(namesOf(TASK_OPTIONS.filter(({ bench }) => bench !== 'split'))).toEqual(
      documented('task')
        .filter((name) => name !== 'isolation')
        .sort(),
    )
    expect(namesOf(GROUP_OPTIONS)).toEqual([...documented('group')].sort())
    expect(namesOf(JOINS)).toEqual([...joins].sort())
  })
})
