import { PeriodicTask } from '../../lib/session/periodic-task.js'
import { manualClock, seededRandom } from '../../lib/time.js'
import { turn } from '../support/waits.js'

function rounds(take: () => Promise<number>) {
  const clock = manualClock()
  const errors: unknown[] = []
  const made = new PeriodicTask({ clock, random: seededRandom(3), turn: take, onError: (error) => errors.push(error) })
  return { clock, errors, made }
}

describe('rounds', () => {
  it('come again after about as long as the turn says', async () => {
    const at: number[] = []
    const { clock, made } = rounds(async () => {
      at.push(clock.now())
      return 100
    })
    made.startIn(100)
    for (let i = 0; i < 100; i += 1) {
      clock.advance(10)
      await turn()
    }
    expect(at.length).toBeGreaterThanOrEqual(8)
    expect(at.length).toBeLessThanOrEqual(12)
    const pauses = at.slice(1).map((time, i) => time - (at[i] ?? 0))
    expect(new Set(pauses).size).toBeGreaterThan(1)
    for (const pause of pauses) expect(Math.abs(pause - 100)).toBeLessThanOrEqual(25)
  })

  it('survive bad turns, and wait longer after each', async () => {
    let turns = 0
    const { clock, errors, made } = rounds(async () => {
      turns += 1
      if (turns <= 6) throw new Error(`bad ${turns}`)
      return 50
    })
    made.hurry()
    const pauses: number[] = []
    for (let i = 0; i < 7; i += 1) {
      await turn()
      pauses.push(clock.nextDueMs() ?? 0)
      clock.advance(clock.nextDueMs() ?? 0)
    }
    expect(errors).toHaveLength(6)
    expect(pauses[1]).toBeGreaterThan(pauses[0] ?? 0)
    expect(Math.max(...pauses)).toBeLessThanOrEqual(1_150)
    expect(pauses[6]).toBeLessThanOrEqual(58)
  })

  it('take one turn at a time, and one more when they were hurried meanwhile', async () => {
    let running = 0
    let turns = 0
    let finish: () => void = () => undefined
    const { made } = rounds(async () => {
      running += 1
      expect(running).toBe(1)
      turns += 1
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      running -= 1
      return Number.POSITIVE_INFINITY
    })
    made.hurry()
    made.hurry()
    made.hurry()
    expect(turns).toBe(1)
    finish()
    await turn()
    expect(turns).toBe(2)
    finish()
    await turn()
    expect(turns).toBe(2)
  })

  it('take one more turn whenever they are hurried, also just as one ends', async () => {
    for (let hops = 0; hops < 12; hops += 1) {
      let turns = 0
      const { made } = rounds(async () => {
        turns += 1
        return Number.POSITIVE_INFINITY
      })
      made.hurry()
      for (let i = 0; i < hops; i += 1) await Promise.resolve()
      made.hurry()
      await turn()
      expect([hops, turns]).toEqual([hops, 2])
    }
  })

  it('end after the turn under way, without a timer left', async () => {
    let finish: () => void = () => undefined
    let turns = 0
    const { clock, made } = rounds(async () => {
      turns += 1
      await new Promise<void>((resolve) => {
        finish = resolve
      })
      return 10
    })
    made.hurry()
    let isStopped = false
    const stopped = made.stop().then(() => {
      isStopped = true
    })
    await turn()
    expect(isStopped).toBe(false)
    finish()
    await stopped
    made.hurry()
    made.startIn(1)
    expect([turns, clock.nextDueMs()]).toEqual([1, undefined])
  })
})
