/** Lanes: groups in the order of service, whatever comes and goes. */
import type { Group } from '../../lib/backend/kernel/group.js'
import { isServedBefore, Queue } from '../../lib/backend/kernel/ready-queue.js'
import { seededRandom } from '../../lib/time.js'

/** What a lane reads of a group. */
const groupLike = (priority: number, depth: number, sequence: number): Group =>
  ({ spec: { priority, depth }, sequence }) as unknown as Group

describe('lane', () => {
  it.each([
    ['mostly in dispatch order', 0.02],
    ['of many priorities', 0.5],
  ])('keeps thousands of groups %s in the order of service', (_, share) => {
    const random = seededRandom(7)
    const lane = new Queue('q').lane([], [])
    const expected: Group[] = []
    for (let sequence = 0; sequence < 12_000; sequence++) {
      const isSpecial = random() < share
      const group = groupLike(
        isSpecial ? Math.floor(random() * 5) - 2 : 0,
        isSpecial ? Math.floor(random() * 3) : 1,
        sequence,
      )
      lane.insert(group)
      const place = expected.findIndex((other) => isServedBefore(group, other))
      expected.splice(place < 0 ? expected.length : place, 0, group)
      for (let i = 0; i < 2 && random() < (sequence < 4_000 ? 0.3 : 0.6); i++) {
        const [served] = expected.splice(random() < 0.9 ? 0 : Math.floor(random() * expected.length), 1)
        if (served !== undefined) lane.remove(served)
      }
    }
    expect(lane.size).toBe(expected.length)
    expect(Array.from({ length: lane.size }, (_, i) => lane.at(i)?.sequence)).toEqual(
      expected.map(({ sequence }) => sequence),
    )
  })

  it('leaves alone what does not stand in it', () => {
    const lane = new Queue('q').lane([], [])
    const [first, second] = [groupLike(0, 1, 1), groupLike(0, 1, 2)]
    lane.insert(first)
    lane.remove(second)
    lane.remove(groupLike(0, 1, 0))
    expect(lane.size).toBe(1)
    expect(lane.at(0)).toBe(first)
    lane.remove(first)
    lane.remove(first)
    expect(lane.size).toBe(0)
  })
})

describe('queue', () => {
  it('has one lane for groups of equal demands, and forgets unused ones when there are many', () => {
    const queue = new Queue('q')
    const lane = queue.lane(['gpu'], ['a', 'b'])
    expect(queue.lane(['gpu'], ['a', 'b'])).toBe(lane)
    expect(queue.lane([], ['gpu', 'a', 'b'])).not.toBe(lane)
    for (let i = 0; i < 200; i++) queue.lane([], [String(i)])
    expect(queue.lane(['gpu'], ['a', 'b'])).not.toBe(lane)
  })
})
