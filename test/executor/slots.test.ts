/** Slots, and the life of what holds one. */
import { HeldSlot, newShare, Slots, type QueueShare } from '../../lib/executor/slots.js'
import { nextTurn } from './executor-stage.js'

/** Slots that count how often they had room. */
function openSlots(count: number): { readonly slots: Slots; freed(): number; hold(share?: QueueShare): HeldSlot } {
  let freed = 0
  const slots = new Slots(count, () => (freed += 1))
  const hold = (share?: QueueShare): HeldSlot => {
    slots.use(share)
    return new HeldSlot(slots, share)
  }
  return { slots, freed: () => freed, hold }
}

/** Whether a promise was resolved within this turn of the event loop. */
async function isDone(promise: Promise<void>): Promise<boolean> {
  let done = false
  void promise.then(() => (done = true))
  await nextTurn()
  return done
}

describe('the holder of a slot', () => {
  it('leaves it to others while it is suspended, and has one again when it resumes', async () => {
    const { slots, freed, hold } = openSlots(1)
    const holder = hold()
    expect(slots.free).toBe(0)
    holder.suspend()
    holder.suspend()
    expect([slots.free, freed()]).toEqual([1, 1])
    await holder.resume()
    expect([slots.free, holder.slotState]).toEqual([0, 'held'])
  })

  it('waits for a slot that is in use, and gets it before anybody is told that it is free', async () => {
    const { slots, freed, hold } = openSlots(1)
    const suspended = hold()
    suspended.suspend()
    const other = hold()
    const resumed = suspended.resume()
    expect(await isDone(resumed)).toBe(false)
    other.end()
    expect(await isDone(resumed)).toBe(true)
    expect([slots.free, freed()]).toEqual([0, 1])
  })

  it('that is over while it waits for a slot leaves the slot to the next', async () => {
    const { slots, hold } = openSlots(1)
    const [first, second] = [hold(), hold()] // two, as if both had been suspended before
    first.suspend()
    second.suspend()
    expect(slots.free).toBe(1)
    const busy = hold()
    const resumed = [first.resume(), second.resume()]
    first.end()
    busy.end()
    await Promise.all(resumed) // whoever waits for a slot that it needs no more goes on, too
    expect([first.slotState, second.slotState, slots.free]).toEqual(['over', 'held', 0])
  })

  it('frees its slot once, however often it ends, and none after a suspension', async () => {
    const { slots, hold } = openSlots(2)
    const [held, suspended] = [hold(), hold()]
    held.end()
    held.end()
    suspended.suspend()
    suspended.end()
    held.suspend()
    await held.resume()
    expect(slots.free).toBe(2)
  })

  it('counts for the share of its queue unless it is suspended', async () => {
    const share: QueueShare = { ...newShare(5), held: 1 }
    const holder = openSlots(1).hold(share)
    holder.suspend()
    expect(share.held).toBe(0)
    await holder.resume()
    expect(share.held).toBe(1)
    holder.end()
    holder.end()
    expect(share.held).toBe(0)
  })
})

describe('holders of one share', () => {
  it('have no more slots than its limit when they resume, and hold up nobody else', async () => {
    const { slots, freed, hold } = openSlots(3)
    const share = newShare(1)
    const first = hold(share)
    first.suspend()
    const second = hold(share)
    const resumed = first.resume()
    expect(await isDone(resumed)).toBe(false)
    expect([slots.free, slots.hasRoom(share), slots.hasRoom(undefined)]).toEqual([2, false, true])
    const other = hold()
    await other.resume()
    const before = freed()
    second.end()
    expect(await isDone(resumed)).toBe(true)
    expect([share.running, slots.free, freed()]).toEqual([1, 1, before + 1])
    first.end()
    expect([share.running, slots.free]).toEqual([0, 2])
  })
})

describe('a new holder', () => {
  it('waits for a slot in line with those that resume', () => {
    const { slots } = openSlots(1)
    const started: number[] = []
    slots.take(undefined, () => started.push(1))
    expect(started).toEqual([1])
    slots.take(undefined, () => started.push(2))
    expect(started).toEqual([1])
    const first = new HeldSlot(slots, undefined) // of the slot that the first has taken
    first.end()
    expect([started, slots.free]).toEqual([[1, 2], 0])
  })

  it('that leaves the line gets none', () => {
    const { slots, hold } = openSlots(1)
    const first = hold()
    const started: number[] = []
    slots.take(undefined, () => started.push(1))()
    first.end()
    expect([started, slots.free]).toEqual([[], 1])
  })

  it('may be over at once, as may thousands that wait behind it', () => {
    const { slots, freed, hold } = openSlots(1)
    const first = hold()
    let served = 0
    for (let i = 0; i < 20_000; i += 1)
      slots.take(undefined, () => {
        served += 1
        new HeldSlot(slots, undefined).end()
      })
    first.end()
    expect([served, slots.free, freed()]).toEqual([20_000, 1, 1])
  })
})

describe('very many suspended holders', () => {
  it('narrow what may be acquired to what is deeper than the deepest of them, until one is over', () => {
    const { slots, freed, hold } = openSlots(1)
    const all = Array.from({ length: 1_000 }, (_, i) => {
      expect(slots.onlyDeeperThan).toBeUndefined()
      const holder = i === 7 ? { slotState: 'held' as const, depth: 3, share: undefined } : hold()
      if (i === 7) slots.use()
      slots.suspend(holder)
      return holder
    })
    expect(slots.onlyDeeperThan).toBe(3)
    const before = freed()
    slots.end(all[7] as HeldSlot)
    expect([slots.onlyDeeperThan, freed()]).toEqual([undefined, before + 1])
    slots.end(all[8] as HeldSlot)
    expect(freed()).toBe(before + 1)
  })
})
