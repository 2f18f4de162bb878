/** What falls due, soonest first. */
import fc from 'fast-check'
import { type Due, DueQueue } from '../../lib/backend/kernel/due-queue.js'

interface Named extends Due {
  readonly name: number
}
const named = (name: number): Named => ({ name, dueAt: 0, place: -1, order: 0 })

describe('due queue', () => {
  it('gives what is due in order of time, then of adding, whatever was moved or removed before', () => {
    const moves = fc.array(fc.record({ name: fc.nat(9), dueAt: fc.nat(5), isRemoval: fc.boolean() }), { maxLength: 60 })
    fc.assert(
      fc.property(moves, (list) => {
        const queue = new DueQueue<Named>()
        const items = Array.from({ length: 10 }, (_, name) => named(name))
        let expected: { name: number; dueAt: number }[] = []
        for (const { name, dueAt, isRemoval } of list) {
          const item = items[name]
          if (item === undefined) continue
          expected = expected.filter((other) => other.name !== name)
          if (isRemoval) {
            queue.remove(item)
          } else {
            queue.add(item, dueAt)
            expected.push({ name, dueAt })
          }
        }
        const sorted = expected
          .map((entry, order) => ({ ...entry, order }))
          .sort((a, b) => a.dueAt - b.dueAt || a.order - b.order)
        expect(queue.size).toBe(sorted.length)
        const taken: number[] = []
        for (let due = queue.takeDue(5); due !== undefined; due = queue.takeDue(5)) taken.push(due.name)
        expect(taken).toEqual(sorted.map(({ name }) => name))
        expect(queue.size).toBe(0)
      }),
    )
  })

  it('gives nothing before its time', () => {
    const queue = new DueQueue<Named>()
    queue.add(named(1), 10)
    expect(queue.takeDue(9)).toBeUndefined()
    expect(queue.first()?.name).toBe(1)
    expect(queue.takeDue(10)?.name).toBe(1)
    expect(queue.takeDue(10)).toBeUndefined()
  })
})
