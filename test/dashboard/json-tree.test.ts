/** Values as trees: types that JSON has no form for, and sizes. */
import { childrenOf, itemOf } from '../../dashboard/parts/json-tree.js'

describe('a value as a tree', () => {
  it('shows dates, large integers, sets, maps and bytes as what they were', () => {
    const value = {
      at: '2026-11-30T12:00:00.000Z',
      big: '12345678901234567890',
      tags: ['a'],
      by: [[1, 'x']],
      raw: 'AAEC',
    }
    const types = { '/at': 'Date', '/big': 'bigint', '/tags': 'Set', '/by': 'Map', '/raw': 'bytes' }
    const items = childrenOf(itemOf(value, types), types)
    expect(items.map(({ key, type, size, summary }) => [key, type, size, summary])).toEqual([
      ['at', 'Date', undefined, '2026-11-30T12:00:00.000Z'],
      ['big', 'bigint', undefined, '12345678901234567890n'],
      ['tags', 'Set', 1, 'Set(1) ["a"]'],
      ['by', 'Map', 1, 'Map(1) [[1, "x"]]'],
      ['raw', 'bytes', undefined, '3 bytes'],
    ])
    const [, , , by] = items
    expect(by === undefined ? [] : childrenOf(by, types)).toMatchObject([
      { key: '1', summary: '"x"', pointer: '/by/0/1' },
    ])
  })

  it('finds types behind keys that a pointer has to escape', () => {
    const types = { '/a~1b/~0c': 'bigint' }
    const [inner] = childrenOf(itemOf({ 'a/b': { '~c': '7' } }, types), types)
    expect(inner === undefined ? [] : childrenOf(inner, types)).toMatchObject([{ type: 'bigint', summary: '7n' }])
  })

  it('stands in one line while it is closed, however large', () => {
    const item = itemOf(
      Array.from({ length: 100_000 }, (_, n) => ({ n })),
      {},
    )
    expect([item.size, item.summary.length < 120]).toEqual([100_000, true])
    expect(childrenOf(item, {}, 99_990).map(({ key }) => key)).toHaveLength(10)
  })

  it.each([
    [null, 'null'],
    [true, 'true'],
    ['', '""'],
    [[], '[]'],
    [{}, '{}'],
    [undefined, 'undefined'],
  ])('shows %j as %s', (value, summary) => {
    expect(itemOf(value, {}).summary).toBe(summary)
  })
})
