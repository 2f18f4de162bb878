import { manualClock, seededRandom, systemClock, systemId, withDeadline } from '../../lib/time.js'

describe('the manual clock', () => {
  it('calls what is due in order of due time, at that time, and what was started meanwhile', () => {
    const clock = manualClock(1_000)
    const calls: string[] = []
    const note = (what: string) => () => calls.push(`${what} at ${clock.now()}`)
    clock.after(20, note('late'))
    clock.after(10, () => {
      note('early')()
      clock.after(5, note('begun by early'))
    })
    clock.after(10, note('as early'))
    clock.after(50, note('not yet'))
    expect(clock.nextDueMs()).toBe(10)
    clock.advance(30)
    expect(calls).toEqual(['early at 1010', 'as early at 1010', 'begun by early at 1015', 'late at 1020'])
    expect([clock.now(), clock.nextDueMs()]).toEqual([1_030, 20])
  })

  it('does not call what was cancelled, also by what was called just before', () => {
    const clock = manualClock()
    const calls: string[] = []
    const cancel = clock.after(10, () => calls.push('cancelled'))
    clock.after(5, () => cancel())
    clock.after(10, () => calls.push('kept'))
    clock.advance(10)
    cancel()
    expect(calls).toEqual(['kept'])
    expect(clock.nextDueMs()).toBeUndefined()
  })

  it('does not go back', () => {
    expect(() => manualClock().advance(-1)).toThrow(RangeError)
    expect(() => manualClock().advance(Number.NaN)).toThrow('got NaN')
  })
})

describe('a deadline', () => {
  it('gives what the promise gives in time, and leaves no timer', async () => {
    const clock = manualClock()
    expect(await withDeadline(clock, 10, Promise.resolve('done'), () => 'late')).toBe('done')
    await expect(withDeadline(clock, 10, Promise.reject(new Error('broken')), () => 'late')).rejects.toThrow('broken')
    expect(clock.nextDueMs()).toBeUndefined()
  })

  it('gives or throws what it is told to when the promise is late, whose failure is nobody’s', async () => {
    const clock = manualClock()
    let fail: (error: Error) => void = () => undefined
    const slow = new Promise<string>((_, reject) => {
      fail = reject
    })
    const given = withDeadline(clock, 10, slow, () => 'late')
    const thrown = withDeadline(clock, 10, slow, () => {
      throw new Error('too late')
    })
    clock.advance(10)
    expect(await given).toBe('late')
    await expect(thrown).rejects.toThrow('too late')
    fail(new Error('broken')) // would end the test run if nobody took it
  })
})

describe('the system clock', () => {
  beforeEach(() => jest.useFakeTimers())
  afterEach(() => jest.useRealTimers())

  it('waits longer than a timer of Node can', () => {
    const days = 24 * 3_600_000
    let calls = 0
    systemClock.after(60 * days, () => (calls += 1))
    jest.advanceTimersByTime(60 * days - 1)
    expect(calls).toBe(0)
    jest.advanceTimersByTime(1)
    expect([calls, jest.getTimerCount()]).toEqual([1, 0])
  })

  it('can be cancelled in each part of a long wait', () => {
    const days = 24 * 3_600_000
    let calls = 0
    const cancel = systemClock.after(60 * days, () => (calls += 1))
    jest.advanceTimersByTime(40 * days)
    cancel()
    jest.advanceTimersByTime(40 * days)
    expect([calls, jest.getTimerCount()]).toEqual([0, 0])
  })
})

describe('chance and identifiers', () => {
  it('repeat for one seed and differ for two, within [0, 1)', () => {
    const drawn = (seed: number): readonly number[] => {
      const random = seededRandom(seed)
      return Array.from({ length: 1_000 }, () => random())
    }
    expect(drawn(7)).toEqual(drawn(7))
    expect(drawn(7)).not.toEqual(drawn(8))
    expect(drawn(7).every((x) => x >= 0 && x < 1)).toBe(true)
    const mean = drawn(7).reduce((a, b) => a + b) / 1_000
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.05)
  })

  it('never give an identifier twice', () => {
    const ids = Array.from({ length: 1_000 }, () => systemId())
    expect(new Set(ids).size).toBe(1_000)
    expect(ids.filter((id) => !/^[0-9a-f-]{36}$/.test(id))).toEqual([])
  })
})
