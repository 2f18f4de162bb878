/** A lock in hand: when it is renewed, and how it is known to be lost. */
import type { LockAnswer, LockRequest } from '../../lib/backend/backend.js'
import { GraflowError } from '../../lib/errors.js'
import { Cancellation } from '../../lib/engine/cancellation.js'
import { Execution, NO_SLOT } from '../../lib/engine/execution.js'
import { HeldLock } from '../../lib/engine/held-lock.js'
import { manualClock, type Clock } from '../../lib/time.js'
import { failureOf } from '../support/captured-errors.js'
import { turn } from '../support/waits.js'

const facts = {
  runId: 'run',
  holder: { gid: 'run', index: 0, token: '1.x-1' },
  fence: 1,
  errors: 0,
  losses: 0,
  hasTask: false,
  depth: 0,
  workerId: 'w',
}

function held(answer: (request: LockRequest) => Promise<LockAnswer> | LockAnswer) {
  const manual = manualClock()
  let ahead = 0
  const clock: Clock = { now: () => manual.now() + ahead, after: (ms, fn) => manual.after(ms, fn) }
  const cancel = new Cancellation()
  const asked: [number, string][] = []
  const lock = new HeldLock({
    start: { execution: new Execution(facts, NO_SLOT), cancel },
    clock,
    key: 'key',
    nonce: 'nonce',
    fence: 7,
    leaseMs: 300,
    askedAt: 0,
    ask: async (request) => {
      asked.push([clock.now(), request.kind])
      return answer(request)
    },
  })
  const pass = async (ms: number): Promise<void> => {
    manual.advance(ms)
    await turn()
  }
  /** The process stands still for so long, just before the next timer. */
  const stall = (ms: number): void => {
    ahead += ms
  }
  return { lock, cancel, asked, pass, stall }
}

const ok: LockAnswer = { status: 'ok', fence: 7 }
const never = (): Promise<LockAnswer> => new Promise(() => undefined)

describe('a lock in hand', () => {
  it('C8: is renewed at every third of its lease, until it is given back, once', async () => {
    const { lock, asked, pass } = held(() => ok)
    for (let i = 0; i < 3; i += 1) await pass(100)
    await Promise.all([lock.giveBack(), lock.giveBack()])
    await pass(1_000)
    expect(asked).toEqual([
      [100, 'renew'],
      [200, 'renew'],
      [300, 'renew'],
      [300, 'unlock'],
    ])
    expect([lock.shown.fence, lock.shown.signal.aborted]).toEqual([7, false])
  })

  it('C8: is lost when the store says so', async () => {
    const { lock, pass } = held(() => ({ status: 'lost' }))
    const { signal } = lock.shown
    await pass(100)
    expect(signal.reason).toMatchObject({ code: 'LOCK_LOST', details: { key: 'key', fence: 7, leaseMs: 300 } })
    expect(lock.lostBecause).toBe(signal.reason)
    expect(await failureOf(lock.giveBack())).toBe(signal.reason)
  })

  it('C8: is lost when the store has not answered for a whole lease', async () => {
    const { lock, pass } = held(({ kind }) => (kind === 'renew' ? never() : ok))
    await pass(100)
    await pass(199)
    expect(lock.lostBecause).toBeUndefined()
    await pass(1)
    expect(lock.lostBecause).toMatchObject({ code: 'LOCK_LOST' })
    expect(await failureOf(lock.giveBack())).toMatchObject({ code: 'LOCK_LOST' }) // though nobody else had it
  })

  it('C8: is asked for before it is given up when the process stood still', async () => {
    const { lock, asked, pass, stall } = held(() => ok)
    stall(5_000)
    await pass(100)
    await pass(199) // the answer has that long
    expect([lock.lostBecause, asked]).toEqual([
      undefined,
      [
        [5_100, 'renew'],
        [5_200, 'renew'],
      ],
    ])
  })

  it('ends with its start: no more renewals, and the reason of the start', async () => {
    const { lock, cancel, asked, pass } = held(() => ok)
    const reason = new GraflowError('CANCELLED', 'enough')
    cancel.abort(reason)
    await pass(1_000)
    expect([asked, lock.shown.signal.reason]).toEqual([[], reason])
    expect(await failureOf(lock.giveBack())).toBe(reason)
    expect(asked).toEqual([[1_000, 'unlock']])
  })

  it('that was lost between the last renewal and its end is told at the end', async () => {
    const { lock } = held(() => ({ status: 'lost' }))
    expect(await failureOf(lock.giveBack())).toMatchObject({ code: 'LOCK_LOST' })
    const fenced = held(() => ({ status: 'fenced' }))
    expect(await failureOf(fenced.lock.giveBack())).toMatchObject({ code: 'FENCED' })
  })
})
