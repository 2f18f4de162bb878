import { Arrivals } from '../../lib/engine/barrier-waits.js'

const isThere = async (promise: Promise<void>): Promise<boolean> => {
  let seen = false
  void promise.then(() => {
    seen = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  return seen
}

describe('arrivals', () => {
  it('wake all who wait for the group, and nobody else', async () => {
    const arrivals = new Arrivals()
    const [one, two, other] = [arrivals.expect('g'), arrivals.expect('g'), arrivals.expect('h')]
    arrivals.announce('g')
    expect([await isThere(one.promise), await isThere(two.promise), await isThere(other.promise)]).toEqual([
      true,
      true,
      false,
    ])
  })

  it('may be announced again, and for nobody', async () => {
    const arrivals = new Arrivals()
    arrivals.announce('g')
    const { promise, forget } = arrivals.expect('g')
    expect(await isThere(promise)).toBe(false)
    arrivals.announce('g')
    arrivals.announce('g')
    expect(await isThere(promise)).toBe(true)
    forget()
    arrivals.announce('g')
  })

  it('are forgotten one by one', async () => {
    const arrivals = new Arrivals()
    const [gone, waiting] = [arrivals.expect('g'), arrivals.expect('g')]
    gone.forget()
    gone.forget()
    const late = arrivals.expect('g')
    arrivals.announce('g')
    expect([await isThere(gone.promise), await isThere(waiting.promise), await isThere(late.promise)]).toEqual([
      false,
      true,
      true,
    ])
  })

  it('say which groups can be looked at, and which graphs they need, until the news is here', () => {
    const arrivals = new Arrivals()
    const [one, two, three] = [arrivals.expect('g'), arrivals.expect('h'), arrivals.expect('i')]
    expect([arrivals.count, arrivals.gids()]).toEqual([3, []])
    const use = { hash: 'hash', graph: {} as never }
    one.dispatched(use)
    two.dispatched(use)
    expect([arrivals.gids(), arrivals.graphs()]).toEqual([['g', 'h'], [use]])
    arrivals.announce('g')
    two.forget()
    expect([arrivals.gids(), arrivals.isAwaited('g'), arrivals.isAwaited('i')]).toEqual([[], false, true])
    one.forget()
    three.forget()
    expect(arrivals.count).toBe(0)
  })
})
