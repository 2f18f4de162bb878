/** The worker loop's small parts, each by itself. */
import { Lookahead } from '../../lib/executor/lookahead.js'
import { QueueShares } from '../../lib/executor/queue-shares.js'
import { queuesOf, addressOf } from '../../worker/worker-options.js'

describe('how far ahead to acquire', () => {
  it('is nothing before a task was measured, and nothing without slots', () => {
    expect(new Lookahead(16).most(16, 0, 0)).toBe(0)
    const embedded = new Lookahead(0)
    embedded.learn(1, 1_000)
    expect(embedded.most(4, 100, 0)).toBe(0)
  })

  it('is 20 ms of work while tasks take less than 5 ms, within bounds', () => {
    const ahead = new Lookahead(4)
    ahead.learn(2, 100)
    expect(ahead.most(4, 0, 0)).toBe(40)
    ahead.learn(0, 10_000)
    expect(ahead.most(4, 0, 0)).toBe(320)
    const wide = new Lookahead(10_000)
    wide.learn(0, 1)
    expect(wide.most(10_000, 0, 0)).toBe(2_048)
  })

  it('is one task for each slot or more where slots come free every 2 ms, as long as tasks take less than 100 ms', () => {
    const most = (slots: number, taskMs: number): number => {
      const ahead = new Lookahead(slots)
      ahead.learn(taskMs, 10_000)
      return ahead.most(slots, 0, 0)
    }
    expect([most(64, 5), most(64, 50), most(64, 99), most(64, 100)]).toEqual([256, 64, 64, 0])
    expect([most(2, 5), most(3, 5), most(24, 50), most(25, 50)]).toEqual([0, 12, 0, 25])
  })

  it('is no more than the free slots take, or half of what was started lately, where long tasks have the other slots', () => {
    const ahead = new Lookahead(64)
    ahead.learn(40, 10_000)
    const most = (free: number, startsLately: number): number => ahead.most(free, startsLately, 0)
    expect([most(0, 6), most(1, 6), most(0, 1), most(0, 0)]).toEqual([3, 3, 0, 0])
    expect([most(64, 0), most(0, 128), most(0, 10_000), most(32, 0)]).toEqual([64, 64, 64, 32])
  })

  it('is only what the free slots take after a rest of more than four times what a task takes', () => {
    const ahead = new Lookahead(2)
    ahead.learn(4, 10_000)
    expect([16, 17].map((restMs) => ahead.most(0, 10, restMs))).toEqual([5, 0])
    expect(ahead.most(1, 10, 17)).toBe(5)
  })

  it('follows many starts faster than few', () => {
    const [few, many] = [new Lookahead(1), new Lookahead(1)]
    for (const ahead of [few, many]) ahead.learn(1, 1)
    few.learn(4, 1)
    many.learn(4, 1_000)
    expect([few.most(1, 0, 0), many.most(1, 0, 0)]).toEqual([20, 5])
  })

  it('is nothing once what was acquired ahead had to wait', () => {
    const ahead = new Lookahead(4)
    ahead.learn(1, 1)
    ahead.stop()
    expect(ahead.most(4, 100, 0)).toBe(0)
  })
})

describe('which tasks are quick', () => {
  it('are those that take less than 5 ms, each by itself', () => {
    const ahead = new Lookahead(4)
    expect(ahead.quick).toEqual([])
    ahead.learn(1, 10, ['a', 'b'])
    ahead.learn(50, 1, ['c'])
    expect(ahead.quick).toEqual(['a', 'b'])
    ahead.learn(1_000, 1, ['b'])
    ahead.learn(0, 64, ['c'])
    expect(ahead.quick).toEqual(['a', 'c'])
    ahead.stop()
    expect(ahead.quick).toEqual([])
  })

  it('are forgotten, oldest first, beyond 64', () => {
    const ahead = new Lookahead(4)
    for (let i = 0; i < 70; i += 1) ahead.learn(1, 1, [`task-${i}`])
    expect([ahead.quick.length, ahead.quick[0]]).toEqual([64, 'task-6'])
  })
})

describe('shares of queues', () => {
  it('ask all queues for all there is room for, where none has a limit', () => {
    expect(new QueueShares(['a', 'b']).ask(9)).toMatchObject({ queues: ['a', 'b'], max: 9, isNarrowed: false })
    expect(new QueueShares('all').ask(9)).toMatchObject({ queues: 'all', max: 9 })
  })

  it('ask for no more than the narrowest queue has room for, then the others alone, then all again', () => {
    const shares = new QueueShares(['a', 'gpu'], new Map([['gpu', 2]]))
    expect(shares.ask(9)).toEqual({ queues: ['a', 'gpu'], max: 2, isNarrowed: true, isPartial: false })
    shares.hasAnswered(true)
    expect(shares.ask(9)).toEqual({ queues: ['a'], max: 9, isNarrowed: true, isPartial: true })
    shares.hasAnswered(true)
    expect(shares.ask(9)).toMatchObject({ queues: ['a', 'gpu'], max: 2 })
  })

  it('leave out a queue that is full, and ask nobody when all are', () => {
    const shares = new QueueShares(
      ['a', 'gpu'],
      new Map([
        ['gpu', 2],
        ['a', 5],
      ]),
    )
    const share = shares.of('gpu')
    if (share === undefined) throw new Error('expected a share')
    share.held = 2
    expect(shares.ask(9)).toMatchObject({ queues: ['a'], max: 5 })
    const other = shares.of('a')
    if (other === undefined) throw new Error('expected a share')
    other.held = 6
    expect(shares.ask(9)).toMatchObject({ queues: [] })
    expect(shares.of('b')).toBeUndefined()
  })
})

describe('what the options of a worker say', () => {
  it('queues: names, each once, and limits', () => {
    expect(queuesOf({})).toEqual({ names: ['default'], limits: new Map() })
    expect(queuesOf({ queues: ['a', 'gpu:2', 'a'] })).toEqual({ names: ['a', 'gpu'], limits: new Map([['gpu', 2]]) })
  })

  it('where Redis is: the address, or what it is made of', () => {
    expect(addressOf({})).toBe('redis://localhost:6379')
    expect(addressOf({ redisHost: '::1', redisPort: 7, redisDb: 2 })).toBe('redis://[::1]:7/2')
    expect(addressOf({ redisUrl: 'unix:///x.sock', redisPort: 7 })).toBe('unix:///x.sock')
  })
})
