import { decodeTimes, encodeTimes, nearest, type RangeTimes } from '../../lib/values/branch-times.js'

const NOON = 1_795_245_857_544
const range = (facts: Partial<RangeTimes>): RangeTimes => ({
  ...{ workerId: 'w1', isNamed: true, starts: [100], end: 150, endAt: NOON },
  ...facts,
})
const bytesOf = (facts: Partial<RangeTimes>): Uint8Array => encodeTimes(range(facts)) ?? new Uint8Array()

describe('times of branches', () => {
  it('keeps when each was started, how long it took, and where', () => {
    const read = decodeTimes(bytesOf({ starts: [100, 120, 140] }), Uint32Array.of(7, 8, 9))
    expect(read?.name).toBe('w1')
    expect(
      read?.branches.map(({ index, start, durationMs }) => [index, nearest(start, NOON + 5_000), durationMs]),
    ).toEqual([
      [7, NOON - 50, 50],
      [8, NOON - 30, 30],
      [9, NOON - 10, 10],
    ])
  })

  it('takes 8 bytes for one branch, and 4 for each of many and 6 for all', () => {
    expect(bytesOf({ isNamed: false })).toHaveLength(8)
    expect(bytesOf({ isNamed: false, starts: new Array<number>(256).fill(100) })).toHaveLength(6 + 256 * 4)
  })

  it('rounds what is long to four digits', () => {
    const [branch] = decodeTimes(bytesOf({ starts: [0], end: 7_654_321 }), [0])?.branches ?? []
    expect(Math.abs((branch?.durationMs ?? 0) - 7_654_321)).toBeLessThan(7_654_321 / 2_000)
  })

  it('names the branches where some of the range do not end, and counts what was before', () => {
    const times = bytesOf({
      starts: [100, -1, 130],
      indexes: Uint32Array.of(4, 5, 6),
      counts: { errors: [2, 0, 0], losses: [0, 0, 1] },
    })
    const read = decodeTimes(times, Uint32Array.of(4, 6))
    expect(read?.branches.map(({ index, errors, losses }) => [index, errors, losses])).toEqual([
      [4, 2, 0],
      [6, 0, 1],
    ])
  })

  it('is nothing where none was started, and reads nothing from other bytes', () => {
    expect(encodeTimes(range({ starts: [-1, -1] }))).toBeUndefined()
    expect(decodeTimes(Uint8Array.of(1, 2, 3), [0])).toBeUndefined()
    expect(decodeTimes(bytesOf({ starts: [1, 2] }), [0])).toBeUndefined()
  })

  it('gives all workers of a group tags of their own, mostly', () => {
    const tags = new Set(
      Array.from({ length: 20 }, (_, i) => decodeTimes(bytesOf({ workerId: `worker-${i}` }), [0])?.tag),
    )
    expect(tags.size).toBeGreaterThan(17)
  })
})
