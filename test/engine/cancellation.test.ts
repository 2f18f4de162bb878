import { Cancellation, Unreported } from '../../lib/engine/cancellation.js'
import { GraflowError } from '../../lib/errors.js'

const reason = new Error('enough')

describe('a cancellation', () => {
  it('aborts all below it, once, with the first reason', () => {
    const root = new Cancellation()
    const branch = new Cancellation(root)
    const leaf = new Cancellation(branch)
    const seen: unknown[] = []
    leaf.onAbort((why) => seen.push(why))
    root.abort(reason)
    root.abort(new Error('again'))
    branch.abort(new Error('again'))
    expect([root.reason, branch.reason, leaf.reason]).toEqual([reason, reason, reason])
    expect(seen).toEqual([reason])
    expect(() => leaf.throwIfAborted()).toThrow(reason)
  })

  it('does not abort what is above or beside it', () => {
    const root = new Cancellation()
    const [left, right] = [new Cancellation(root), new Cancellation(root)]
    left.abort(reason)
    expect([root.reason, right.reason]).toEqual([undefined, undefined])
    expect(() => right.throwIfAborted()).not.toThrow()
  })

  it('is aborted from the start below something aborted', () => {
    const root = new Cancellation()
    root.abort(reason)
    const late = new Cancellation(root)
    expect(late.reason).toBe(reason)
    const seen: unknown[] = []
    late.onAbort((why) => seen.push(why))
    expect(seen).toEqual([reason])
  })

  it('gives a signal with its reason, whenever it is asked for', () => {
    const early = new Cancellation()
    const { signal } = early
    expect(signal.aborted).toBe(false)
    expect(early.signal).toBe(signal)
    early.abort(reason)
    expect(signal.aborted).toBe(true)
    expect(signal.reason).toBe(reason)
    const late = new Cancellation()
    late.abort(reason)
    expect(late.signal.reason).toBe(reason)
  })

  it('is not reached any more once it has left', () => {
    const root = new Cancellation()
    const branch = new Cancellation(root)
    branch.leave()
    branch.leave()
    root.abort(reason)
    expect(branch.reason).toBeUndefined()
  })

  it('tells nobody who asked to be told no more', () => {
    const root = new Cancellation()
    const seen: unknown[] = []
    root.onAbort((why) => seen.push(why))()
    root.abort(reason)
    expect(seen).toEqual([])
  })
})

describe('a reason that is made when somebody asks', () => {
  /** A reason, and how often it was made. */
  function lateReason(): { readonly make: () => Error; readonly made: Error[] } {
    const made: Error[] = []
    const make = (): Error => {
      const error = new Error(`made ${made.length + 1}`)
      made.push(error)
      return error
    }
    return { make, made }
  }

  it('is not made where nobody asks', () => {
    const { make, made } = lateReason()
    const cancel = new Cancellation()
    cancel.onAbort(() => undefined)()
    cancel.abort(make)
    cancel.abort(new Error('second'))
    expect(made).toEqual([])
  })

  it('is made once for all who ask later', () => {
    const { make, made } = lateReason()
    const cancel = new Cancellation()
    cancel.abort(make)
    const told: Error[] = []
    cancel.onAbort((reason) => told.push(reason))
    expect(cancel.reason).toBe(made[0])
    expect(() => cancel.throwIfAborted()).toThrow('made 1')
    expect(cancel.signal.reason).toBe(made[0])
    expect(new Cancellation(cancel).reason).toBe(made[0])
    expect(told).toEqual(made)
    expect(made).toHaveLength(1)
  })

  it('is made at once for who waits, and for a signal', () => {
    const { make, made } = lateReason()
    const cancel = new Cancellation()
    const child = new Cancellation(cancel)
    const { signal } = cancel
    cancel.abort(make)
    expect(made).toHaveLength(1)
    expect([child.reason, signal.reason]).toEqual([made[0], made[0]])
  })
})

describe('a race with a cancellation', () => {
  it('is the promise, if that is first', async () => {
    const root = new Cancellation()
    expect(await root.race(Promise.resolve(1))).toBe(1)
    const own = new TypeError('x')
    await expect(root.race(Promise.reject(own))).rejects.toBe(own)
  })

  it('is the reason, if that is first, also when it was there before', async () => {
    const root = new Cancellation()
    const raced = root.race(new Promise(() => undefined))
    root.abort(reason)
    await expect(raced).rejects.toBe(reason)
    await expect(root.race(Promise.resolve(1))).rejects.toBe(reason)
  })

  it('drops what the promise does later, also a rejection', async () => {
    const root = new Cancellation()
    let fail: (error: Error) => void = () => undefined
    const raced = root.race(
      new Promise((_, reject) => {
        fail = reject
      }),
    )
    root.abort(reason)
    await expect(raced).rejects.toBe(reason)
    fail(new Error('late'))
    await new Promise((resolve) => setImmediate(resolve)) // an unhandled rejection would fail the run of this file
  })
})

describe('work that was taken away', () => {
  it('says so with a code', () => {
    expect(new Unreported('gone')).toBeInstanceOf(GraflowError)
    expect(new Unreported('gone').code).toBe('FENCED')
    expect(new Unreported('closed', 'CLOSED').code).toBe('CLOSED')
  })
})
