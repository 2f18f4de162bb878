import { BarrierWaits } from '../../lib/engine/barrier-waits.js'

const isThere = async (promise: Promise<void>): Promise<boolean> => {
  let seen = false
  void promise.then(() => {
    seen = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  return seen
}

describe('barrierWaits', () => {
  it('wake all who wait for the group, and nobody else', async () => {
    const barrierWaits = new BarrierWaits()
    const [one, two, other] = [barrierWaits.expect('g'), barrierWaits.expect('g'), barrierWaits.expect('h')]
    barrierWaits.announce('g')
    expect([await isThere(one.promise), await isThere(two.promise), await isThere(other.promise)]).toEqual([
      true,
      true,
      false,
    ])
  })

  it('may be announced again, and for nobody', async () => {
    const barrierWaits = new BarrierWaits()
    barrierWaits.announce('g')
    const { promise, forget } = barrierWaits.expect('g')
    expect(await isThere(promise)).toBe(false)
    barrierWaits.announce('g')
    barrierWaits.announce('g')
    expect(await isThere(promise)).toBe(true)
    forget()
    barrierWaits.announce('g')
  })

  it('are forgotten one by one', async () => {
    const barrierWaits = new BarrierWaits()
    const [gone, waiting] = [barrierWaits.expect('g'), barrierWaits.expect('g')]
    gone.forget()
    gone.forget()
    const late = barrierWaits.expect('g')
    barrierWaits.announce('g')
    expect([await isThere(gone.promise), await isThere(waiting.promise), await isThere(late.promise)]).toEqual([
      false,
      true,
      true,
    ])
  })

  it('say which groups can be looked at, and which graphs they need, until the news is here', () => {
    const barrierWaits = new BarrierWaits()
    const [one, two, three] = [barrierWaits.expect('g'), barrierWaits.expect('h'), barrierWaits.expect('i')]
    expect([barrierWaits.count, barrierWaits.gids()]).toEqual([3, []])
    const use = { hash: 'hash', graph: {} as never }
    one.dispatched(use)
    two.dispatched(use)
    expect([barrierWaits.gids(), barrierWaits.graphs()]).toEqual([['g', 'h'], [use]])
    barrierWaits.announce('g')
    two.forget()
    expect([barrierWaits.gids(), barrierWaits.isAwaited('g'), barrierWaits.isAwaited('i')]).toEqual([[], false, true])
    one.forget()
    three.forget()
    expect(barrierWaits.count).toBe(0)
  })
})
