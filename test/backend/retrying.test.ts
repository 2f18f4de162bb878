/** A store that is away for moments, seen with patience. */
import { retrying } from '../../lib/backend/retrying.js'
import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import { GraflowError } from '../../lib/errors.js'
import { manualClock, seededRandom } from '../../lib/time.js'
import { failureOf } from '../support/captured-errors.js'
import { turn } from '../support/waits.js'

const away = (): GraflowError => new GraflowError('REDIS_UNAVAILABLE', 'away')

/** A store whose `getGraph` fails so many times, and what patience makes of it. */
function storeThatFails(times: number, error: () => Error = away) {
  const clock = manualClock()
  const near = openMemoryBackend({ clock })
  let left = times
  let calls = 0
  near.getGraph = () => {
    calls += 1
    left -= 1
    return left >= 0 ? Promise.reject(error()) : Promise.resolve(Uint8Array.of(7))
  }
  const backend = retrying(near, {
    clock,
    random: seededRandom(1),
  })
  return { clock, backend, calls: () => calls }
}

describe('a retrying store', () => {
  it('repeats a call until it is answered, at growing pauses of at most a second', async () => {
    const { clock, backend, calls } = storeThatFails(12)
    const answer = backend.getGraph('x')
    const pauses: number[] = []
    while (calls() < 13) {
      await turn()
      const due = clock.nextDueMs()
      if (due === undefined) continue
      pauses.push(due)
      clock.advance(due)
    }
    expect(await answer).toEqual(Uint8Array.of(7))
    expect(pauses).toHaveLength(12)
    expect(pauses.every((pause, i) => pause <= Math.min(1_000, 25 * 2 ** i))).toBe(true)
    expect(pauses.every((pause, i) => pause >= Math.min(1_000, 25 * 2 ** i) / 2)).toBe(true)
  })

  it('gives on at once what would not pass', async () => {
    const { backend, calls } = storeThatFails(1, () => new GraflowError('INTERNAL', 'broken'))
    expect((await failureOf(backend.getGraph('x'))).code).toBe('INTERNAL')
    expect(calls()).toBe(1)
  })

  it('repeats for 10 s what the store refuses to work in hand, and says at once what it refuses to others', async () => {
    const refused = new GraflowError('REDIS_UNSUITABLE', 'refused')
    const clock = manualClock()
    const near = openMemoryBackend({ clock })
    let calls = 0
    let isRefused = true
    near.settle = () => {
      calls += 1
      return isRefused ? Promise.reject(refused) : Promise.resolve([])
    }
    near.getGraph = () => Promise.reject(refused)
    const { forWork } = retrying(near, { clock, random: seededRandom(1) })
    expect(await failureOf(forWork.getGraph('x'))).toBe(refused)
    const pass = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 25) {
        clock.advance(25)
        await turn()
      }
    }
    const settling = forWork.settle({ session: 's', ranges: [] })
    await pass(5_000)
    isRefused = false
    await pass(1_000)
    expect([await settling, calls > 5]).toEqual([[], true])
    isRefused = true
    const given = failureOf(forWork.settle({ session: 's', ranges: [] }))
    await pass(12_000)
    expect(await given).toBe(refused)
  })

  it('repeats nothing once it is closed, and rejects what waits', async () => {
    const { backend, calls, clock } = storeThatFails(100)
    const waits = failureOf(backend.getGraph('x'))
    await turn()
    await backend.close()
    expect((await waits).code).toBe('REDIS_UNAVAILABLE')
    expect((await failureOf(backend.getGraph('x'))).code).toBe('REDIS_UNAVAILABLE')
    expect(calls()).toBe(2)
    expect(clock.nextDueMs()).toBeUndefined()
  })

  it('has every operation of a store', () => {
    const near = openMemoryBackend({ clock: manualClock() })
    const backend = retrying(near, { clock: manualClock(), random: seededRandom(1) })
    const methods = Object.getOwnPropertyNames(Object.getPrototypeOf(near)).filter(
      (name) => name !== 'constructor' && name !== 'loseSession', // what tests alone do to it
    )
    expect(methods.filter((name) => !(name in backend))).toEqual([])
    expect(Object.keys(backend.inspect).sort()).toEqual(Object.keys(near.inspect).sort())
  })
})
