/** Who could serve what is awaited: told after 5 s where there is no worker, failed after 10 s where none knows the task. */
import type { ControlAnswer, ControlRequest, GroupSpec, SessionStatus } from '../../lib/backend/backend.js'
import { Unserved } from '../../lib/session/unserved.js'
import { UnservedRuns } from '../../lib/session/unserved-runs.js'
import { BarrierWaits } from '../../lib/engine/barrier-waits.js'
import { Emitter } from '../../lib/events.js'
import { manualClock, seededRandom } from '../../lib/time.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { expressionOf } from '../../lib/flow/node.js'
import { task } from 'graflow'

const graph = graphOf(expressionOf(task('t', (n: number) => n)))

const spec = (facts: Partial<GroupSpec> = {}): GroupSpec => ({
  ...{ gid: 'run/0', runId: 'run', graph: 'hash', node: '0', digest: 'd', size: 1, shared: false, rule: 'all' },
  ...{ queue: 'default', requires: [], tasks: ['resize'], priority: 0, depth: 1, limit: 0, attempts: 1, maxLosses: 3 },
  ...{ timeoutMs: 0, ...facts },
})

const worker = (baseId: string, facts: Partial<SessionStatus> = {}): SessionStatus => ({
  ...{ session: `${baseId}:1`, baseId, hostname: 'h', pid: 1, role: 'worker', queues: ['default'], capabilities: [] },
  ...{ tasks: ['other'], metadata: {}, expiresAt: 0, branches: 0, runs: 0, ...facts },
})

/** A process that awaits one group, with these live workers. */
function awaiting(group: GroupSpec, live: { sessions: SessionStatus[] }, answer: ControlAnswer = 'ok') {
  const clock = manualClock(1_000_000)
  let aheadMs = 0
  const stepping = { ...clock, elapsed: () => clock.now(), now: () => clock.now() + aheadMs }
  const emitter = new Emitter(() => clock.now())
  const barrierWaits = new BarrierWaits()
  const told: unknown[] = []
  emitter.subscribe('queue:unserved', ({ queue, workers }) => told.push({ queue, workers }))
  const looks = { count: 0 }
  const inspect = {
    sessions: () => {
      looks.count += 1
      return Promise.resolve(live.sessions)
    },
  }
  const asked: ControlRequest[] = []
  const control = (request: ControlRequest): Promise<ControlAnswer> => {
    asked.push(request)
    return Promise.resolve(answer)
  }
  const log: string[] = []
  emitter.subscribe('log', ({ message }) => log.push(message))
  const unserved = new Unserved({
    ...{ backend: { inspect, control } as never, barrierWaits, clock: stepping, random: seededRandom(1), emitter },
    storeFlags: ['--redis-key-prefix', 'p'],
  })
  const arrival = barrierWaits.expect(group.gid)
  arrival.dispatched({ hash: 'hash', graph }, group)
  const ended = arrival.promise.then(
    () => 'released',
    (error: unknown) => error,
  )
  let end: unknown
  void ended.then((value) => {
    end = value
  })
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 250) {
      clock.advance(Math.min(left, 250))
      for (let i = 0; i < 20; i += 1) await Promise.resolve()
    }
  }
  const setClockForward = (ms: number): void => {
    aheadMs += ms
  }
  return { told, log, asked, looks, pass, setClockForward, unserved, barrierWaits, end: () => end }
}

describe('a group that waits', () => {
  it('X15: fails after 10 s when workers of its queue live and none knows its task, naming who was asked', async () => {
    const { pass, end, told, unserved } = awaiting(spec(), {
      sessions: [
        worker('b'),
        worker('a'),
        worker('elsewhere', { queues: ['gpu'], tasks: ['resize'] }),
        worker('c', { role: 'client' }),
      ],
    })
    await pass(9_000)
    expect(end()).toBeUndefined()
    expect(told).toEqual([{ queue: 'default', workers: 2 }])
    await pass(4_000)
    expect(end()).toMatchObject({ code: 'NO_HANDLER', details: { task: 'resize', path: '0', asked: ['a', 'b'] } })
    await unserved.stop()
  })

  it('X15: fails no sooner when the wall clock is set an hour forward', async () => {
    const { pass, setClockForward, end, told, unserved } = awaiting(spec(), { sessions: [worker('a')] })
    await pass(2_000)
    setClockForward(3_600_000)
    await pass(2_000)
    expect([end(), told]).toEqual([undefined, []])
    await pass(8_000)
    expect(end()).toMatchObject({ code: 'NO_HANDLER' })
    await unserved.stop()
  })

  it('X15: says what those have that were asked, and the command line that would serve it', async () => {
    const { pass, end, log, unserved } = awaiting(spec({ queue: 'images', requires: ['gpu'] }), {
      sessions: [
        worker('b', { queues: ['images', 'runs'], tasks: ['resise', ...Array.from({ length: 9 }, (_, i) => `t${i}`)] }),
        worker('a', { queues: ['images', 'default'], tasks: [], capabilities: ['avx'] }),
      ],
    })
    await pass(13_000)
    const command = 'graflow-worker --tasks <its module> --queue images --capability gpu --redis-key-prefix p'
    expect((end() as Error).message).toBe(
      'no worker knows task "resize" (at 0); asked: a (queues: images, default; tasks: none; capabilities: avx), ' +
        'b (queues: images; tasks: resise, t0, t1, t2, t3, t4, t5, t6, and 2 more). ' +
        `Start a worker that has it (did you mean "resise"?): ${command}`,
    )
    expect(log).toEqual([
      `waiting for resize (requires gpu): no live worker of queue "images" can do it with this key prefix; start one: ${command}`,
    ])
    await unserved.stop()
  })

  it('X15: has its lane made wide within a second when its tasks are known, but by no single worker', async () => {
    const { pass, end, log, told, asked, looks, unserved } = awaiting(spec({ tasks: ['a', 'b', 'c'], gid: 'run/1' }), {
      sessions: [
        worker('two', { tasks: ['b', 'c'] }),
        worker('one', { tasks: ['a', 'other'] }),
        worker('elsewhere', { queues: ['gpu'], tasks: 'all' }),
      ],
    })
    await pass(1_500)
    expect(asked).toEqual([{ kind: 'widen-lane', gid: 'run/1', orNone: false }])
    await pass(30_000)
    expect([told, log, end()]).toEqual([[], [], undefined])
    expect(asked.length).toBeLessThan(8)
    expect(looks.count).toBeLessThan(8)
    await unserved.stop()
  })

  it('X15: fails nothing of a wide lane itself, and tells of the task that nobody knows', async () => {
    const { pass, end, log, told, asked, unserved } = awaiting(spec({ tasks: ['a', 'b', 'c'] }), {
      sessions: [worker('one', { tasks: ['a', 'c'] })],
    })
    await pass(9_000)
    expect(asked.length).toBeGreaterThan(0)
    expect(told).toEqual([{ queue: 'default', workers: 1 }])
    expect(log).toEqual([
      'waiting for b: no live worker of queue "default" can do it with this key prefix; start one: ' +
        'graflow-worker --tasks <its module> --redis-key-prefix p',
    ])
    await pass(20_000)
    expect(end()).toBeUndefined()
    await unserved.stop()
  })

  it('X15: fails where nobody knows one of its tasks and none could take it', async () => {
    const sessions = [worker('one', { tasks: ['a'] })]
    const { pass, end, unserved } = awaiting(spec({ tasks: ['a', 'b'], requires: ['gpu'] }), { sessions })
    await pass(13_000)
    expect(end()).toMatchObject({ code: 'NO_HANDLER', details: { task: 'b', asked: ['one'] } })
    await unserved.stop()
  })

  it('waits on where the store knows a worker that serves it whole', async () => {
    const sessions = [worker('one', { tasks: ['a'] }), worker('two', { tasks: ['b'] })]
    const { pass, end, asked, unserved } = awaiting(spec({ tasks: ['a', 'b'] }), { sessions }, 'fenced')
    await pass(13_000)
    expect(asked.length).toBeGreaterThan(5)
    expect(end()).toBeUndefined()
    await unserved.stop()
  })

  it('does not fail when one knows all its tasks and lacks a capability that another has', async () => {
    const { pass, end, unserved } = awaiting(spec({ tasks: ['a', 'b'], requires: ['gpu'] }), {
      sessions: [worker('able', { tasks: ['a', 'b'] }), worker('gpu', { tasks: ['a'], capabilities: ['gpu'] })],
    })
    await pass(30_000)
    expect(end()).toBeUndefined()
    await unserved.stop()
  })

  it('tells of a group whose branches need no task where they are taken', async () => {
    const { pass, log, unserved } = awaiting(spec({ tasks: [] }), { sessions: [worker('qa', { queues: ['qa'] })] })
    await pass(9_000)
    expect(log).toEqual([
      'waiting for the group at 0, whose branches are dispatched from there by a worker with any task: no worker of queue "default" ' +
        'is alive with this key prefix; start one: graflow-worker --tasks <any module> --redis-key-prefix p',
    ])
    await unserved.stop()
  })

  it('X15: never fails without any worker of its queue; that is told once, after 5 s', async () => {
    const { pass, end, told, unserved } = awaiting(spec(), { sessions: [worker('gpu', { queues: ['gpu'] })] })
    await pass(4_500)
    expect(told).toEqual([])
    await pass(60_000)
    expect(told).toEqual([{ queue: 'default', workers: 0 }])
    expect(end()).toBeUndefined()
    await unserved.stop()
  })

  it('does not fail for want of a capability, which is told', async () => {
    const { pass, end, told, unserved } = awaiting(spec({ requires: ['gpu'] }), {
      sessions: [worker('plain', { tasks: ['resize'] })],
    })
    await pass(30_000)
    expect(told).toEqual([{ queue: 'default', workers: 1 }])
    expect(end()).toBeUndefined()
    await unserved.stop()
  })

  it('begins to count anew when a worker that could serve it is gone again', async () => {
    const live = { sessions: [worker('able', { tasks: ['resize'] }), worker('other')] }
    const { pass, end, looks, unserved } = awaiting(spec(), live)
    await pass(20_000)
    expect(end()).toBeUndefined()
    expect(looks.count).toBeLessThan(6)
    live.sessions = [worker('other')]
    await pass(9_000)
    expect(end()).toBeUndefined()
    await pass(12_000)
    expect(end()).toMatchObject({ code: 'NO_HANDLER' })
    await unserved.stop()
  })

  it('asks nothing when it is served within a second', async () => {
    const { pass, looks, barrierWaits, unserved, end } = awaiting(spec(), { sessions: [] })
    await pass(500)
    barrierWaits.announce('run/0')
    await pass(5_000)
    expect([looks.count, end()]).toEqual([0, 'released'])
    await unserved.stop()
  })
})

describe('a submitted run that requires what no worker has', () => {
  it('V3: is told with what it requires, and does not fail, since such a worker may still start', async () => {
    const clock = manualClock(1_000_000)
    const emitter = new Emitter(() => clock.now())
    const told: string[] = []
    emitter.subscribe('log', ({ message }) => told.push(message))
    const from = clock.now()
    const inspect = {
      sessions: async () => [worker('one', { queues: ['default', 'runs'], tasks: ['t'], capabilities: ['layout:4'] })],
      waiting: async () => {
        const groups = [{ gid: 'mine', waitedMs: clock.now() - from }]
        return [{ requires: ['build:2', 'layout:4', 'layout:5'], tasks: ['t'], groups }]
      },
    }
    const control = () => Promise.reject(new Error('nothing fails'))
    const runs = new UnservedRuns({
      ...{ backend: { inspect, control }, clock, random: seededRandom(1), emitter, info: { role: 'worker' } },
    })
    for (let left = 30_000; left > 0; left -= 250) {
      clock.advance(250)
      for (let i = 0; i < 20; i += 1) await Promise.resolve()
    }
    expect(told).toEqual([
      'run mine waits for a driver for t (requires build 2, a release of graflow that can read it): ' +
        'no live worker with this key prefix that takes submitted runs can do it; start one: graflow-worker --tasks <its module> --build-id 2',
    ])
    await runs.stop()
  })
})

describe('submitted runs that no worker knows all steps of', () => {
  const looking = (tasks: string[], sessions: SessionStatus[], role = 'worker') => {
    const clock = manualClock(1_000_000)
    const from = clock.now()
    const asked: ControlRequest[] = []
    const emitter = new Emitter(() => clock.now())
    const told: unknown[] = []
    emitter.subscribe('queue:unserved', ({ tasks: names, workers }) => told.push([names, workers]))
    const inspect = {
      sessions: async () => sessions,
      waiting: async () => [{ requires: [], tasks, groups: [{ gid: 'run', waitedMs: clock.now() - from }] }],
    }
    const control = async (request: ControlRequest): Promise<ControlAnswer> => {
      asked.push(request)
      return 'ok'
    }
    const backend = { inspect, control }
    const runs = new UnservedRuns({ backend, clock, random: seededRandom(1), emitter, info: { role } })
    const pass = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 250) {
        clock.advance(250)
        for (let i = 0; i < 20; i += 1) await Promise.resolve()
      }
    }
    return { asked, told, pass, runs }
  }
  const drives = ['default', 'runs']
  const widened = [{ kind: 'widen-lane', gid: 'run', orNone: true }]

  it.each([
    [
      'drivers know them together',
      [worker('a', { queues: drives, tasks: ['a'] }), worker('b', { queues: drives, tasks: ['b'] })],
    ],
    [
      'workers that drive nothing know them',
      [worker('a', { queues: drives, tasks: [] }), worker('b', { tasks: ['a', 'b'] })],
    ],
  ])('X15: are let to drivers that know some, or none, where %s', async (_, sessions) => {
    const { asked, told, pass, runs } = looking(['a', 'b'], sessions)
    await pass(1_500)
    expect(asked).toEqual(widened)
    await pass(10_000)
    expect(told).toEqual([])
    expect(asked.length).toBeLessThan(5)
    await runs.stop()
  })

  it('are failed, as ever, where nobody knows one of the steps', async () => {
    const { asked, told, pass, runs } = looking(['a', 'b'], [worker('a', { queues: drives, tasks: ['a'] })])
    await pass(9_000)
    expect([asked, told]).toEqual([[], [[['a', 'b'], 1]]])
    await pass(5_000)
    expect(asked[0]).toMatchObject({ kind: 'fail-run', reason: expect.stringMatching(/no worker knows task "b"/) })
    await runs.stop()
  })

  it('are driven by who knows all join policies, and fail where no worker does', async () => {
    const one = worker('one', { queues: drives, tasks: ['policy:p'] })
    const two = worker('two', { queues: drives, tasks: ['a', 'policy:q'] })
    const first = looking(['a', 'policy:p'], [one, two])
    await first.pass(1_500)
    expect(first.asked).toEqual(widened)
    await first.runs.stop()
    const both = looking(['a', 'policy:p', 'policy:q'], [one, two])
    await both.pass(14_000)
    expect(both.asked[0]).toMatchObject({
      kind: 'fail-run',
      reason: expect.stringMatching(
        /no worker that takes submitted runs knows all join policies .* one \(has join policy p; lacks join policy q\)/,
      ),
    })
    await both.runs.stop()
  })

  it('are left as they are by an observer', async () => {
    const { asked, pass, runs } = looking(
      ['a', 'b'],
      [worker('a', { queues: drives, tasks: ['a'] }), worker('b', { tasks: ['b'] })],
      'observer',
    )
    await pass(14_000)
    expect(asked).toEqual([])
    await runs.stop()
  })
})

describe('a submitted run that nobody waits for', () => {
  it('is told to the client that submitted it after 5 s; once it is taken, the store is asked no more', async () => {
    const clock = manualClock(1_000_000)
    const emitter = new Emitter(() => clock.now())
    const told: unknown[] = []
    emitter.subscribe('queue:unserved', ({ queue, runId }) => told.push([queue, runId]))
    let groups = [
      { gid: 'mine', from: clock.now() },
      { gid: 'other', from: clock.now() },
    ]
    let looks = 0
    const inspect = {
      sessions: async () => [],
      waiting: async () => {
        looks += 1
        const waits = groups.map(({ gid, from }) => ({ gid, waitedMs: clock.now() - from }))
        return [{ requires: [], tasks: ['t'], groups: waits }]
      },
    }
    const control = () => Promise.reject(new Error('nothing fails'))
    const runs = new UnservedRuns({
      ...{ backend: { inspect, control }, clock, random: seededRandom(1), emitter, info: { role: 'client' } },
    })
    const pass = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= 250) {
        clock.advance(250)
        for (let i = 0; i < 20; i += 1) await Promise.resolve()
      }
    }
    runs.watchUntilTaken('mine')
    await pass(4_000)
    expect(told).toEqual([])
    await pass(4_000)
    expect(told).toEqual([['runs', 'mine']])
    groups = groups.filter(({ gid }) => gid !== 'mine')
    await pass(2_000)
    const before = looks
    await pass(4_000)
    expect(looks).toBe(before)
    await runs.stop()
  })
})
