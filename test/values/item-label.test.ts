import { labelIn, LONGEST_LABEL } from '../../lib/values/item-label.js'

describe('the label of an item', () => {
  it('is what stands at a path of keys', () => {
    expect(labelIn({ id: 'a' }, 'id')).toBe('a')
    expect(labelIn({ customer: { name: 'Ada' } }, 'customer.name')).toBe('Ada')
    expect(labelIn([['x', { n: 7 }]], '0.1.n')).toBe('7')
    expect(labelIn(new Map([['id', 'of a map']]), 'id')).toBe('of a map')
  })

  it.each([
    [0, '0'],
    [12n, '12'],
    [false, 'false'],
    [new Date('2026-11-30T12:00:00Z'), '2026-11-30T12:00:00.000Z'],
  ])('is a text of %p', (value, label) => {
    expect(labelIn({ value }, 'value')).toBe(label)
  })

  it.each([undefined, null, {}, [], '', ' \n', new Date(Number.NaN), () => 1])('is none of %p', (value) => {
    expect(labelIn({ value }, 'value')).toBeUndefined()
  })

  it('is none where there is no such key, nor of a prototype, nor where reading it fails', () => {
    expect(labelIn({ id: 'a' }, 'name')).toBeUndefined()
    expect(labelIn({ id: 'a' }, 'constructor.name')).toBeUndefined()
    expect(labelIn('text', 'length')).toBeUndefined()
    expect(labelIn(undefined, 'id')).toBeUndefined()
    const broken = Object.defineProperty({}, 'id', {
      get: () => {
        throw new Error('broken')
      },
    })
    expect(labelIn(broken, 'id')).toBeUndefined()
  })

  it('is one line of at most 64 characters, and no half of one', () => {
    expect(labelIn({ id: 'a\n\u001b[31mb\u2028c' }, 'id')).toBe('a [31mb c')
    expect(labelIn({ id: 'x'.repeat(64) }, 'id')).toBe('x'.repeat(64))
    expect(labelIn({ id: 'x'.repeat(65) }, 'id')).toBe(`${'x'.repeat(63)}…`)
    expect(labelIn({ id: `${'x'.repeat(62)}😀😀` }, 'id')).toBe(`${'x'.repeat(62)}…`)
    for (const text of ['x'.repeat(1_000_000), `${'\n'.repeat(1_000)}end`, '😀'.repeat(200)]) {
      const label = labelIn({ id: text }, 'id') ?? ''
      expect(label.length).toBeLessThanOrEqual(LONGEST_LABEL)
      expect(label.isWellFormed()).toBe(true)
    }
  })
})
