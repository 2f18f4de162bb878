import type { RunActivity, RunRecord } from '../../lib/backend/backend.js'
import { encode } from '../../lib/values/codec.js'
import type { DriveEnd } from '../../lib/engine/driver.js'
import { Emitter } from '../../lib/events.js'
import type { FollowServices } from '../../lib/producer/follow-run.js'
import { RunStates } from '../../lib/producer/run-states.js'
import { seededRandom, manualClock } from 'graflow/testing'
import { turn } from '../support/waits.js'

/** A store with one run whose state a test sets. */
function store({ isHeard = true, isDistant = false } = {}) {
  const watchers = new Set<(activity: RunActivity) => void>()
  const emitter = new Emitter(() => 0)
  const told: string[] = []
  const logged: string[] = []
  const over: string[] = []
  const clock = manualClock()
  let looks = 0
  const hear = (): (() => void) =>
    emitter.subscribe('run:state', ({ runId, from, to, error }) => {
      told.push(`${runId} ${from} → ${to}${error === undefined ? '' : ` ${error.code}`}`)
    })
  if (isHeard) hear()
  emitter.subscribe('log', ({ level, message }) => logged.push(`${level} ${message}`))
  let record: Partial<RunRecord> | undefined = { runId: 'r', state: 'running', value: encode('value') }
  const services = {
    emitter,
    engine: { parts: { clock, random: seededRandom(1) } },
    backend: {
      inspect: {
        run: async () => {
          looks += 1
          return record
        },
      },
      watch: (_: string, listener: (activity: RunActivity) => void) => {
        watchers.add(listener)
        return () => watchers.delete(listener)
      },
      caughtUp: async () => undefined,
      ...(isDistant && { onReconnected: () => () => undefined }),
    },
  } as unknown as FollowServices
  const states = new RunStates(services, 'here')
  const change = (next: Partial<RunRecord> | undefined): void => {
    record = next === undefined ? undefined : { ...record, ...next }
  }
  return {
    ...{ states, clock, hear, told, logged, over, watchers, change, looks: () => looks },
    tell: (known: 'pending' | 'running', isDrivenHere = false) =>
      states.track({ runId: 'r', workflow: 'w', known, isDrivenHere, over: () => over.push('over') }),
    become: async (next: Partial<RunRecord> | undefined) => {
      change(next)
      for (const listener of [...watchers]) listener({ kind: 'state', gid: 'r' })
      await turn()
    },
  }
}

describe('the states of a run', () => {
  it('are told one after the other, until it is over', async () => {
    const { told, over, watchers, tell, become } = store()
    tell('running')
    await become({ state: 'paused' })
    await become({ state: 'paused' })
    await become({ state: 'running' })
    expect([over, watchers.size]).toEqual([[], 1])
    await become({ state: 'completed' })
    expect(told).toEqual(['r pending → running', 'r running → paused', 'r paused → running', 'r running → completed'])
    expect([over, watchers.size]).toEqual([['over'], 0])
  })

  it('are told with why it failed, also when only its deadline says so', async () => {
    const { told, tell, become } = store()
    tell('pending')
    await become({ state: 'failed', value: new Uint8Array(0), timeoutMs: 5 })
    expect(told.at(-1)).toMatch(/→ failed RUN_TIMEOUT$/)
  })

  it('that it had before somebody looked are caught up with', async () => {
    const { told, over, tell, become } = store()
    await become({ state: 'cancelled', value: encode(new Error('x')) })
    tell('running')
    await become({})
    expect(told).toEqual(['r pending → running', 'r running → cancelled INTEGRITY'])
    expect(over).toEqual(['over'])
  })

  it('are told one by one to who changes them here, however fast', async () => {
    const { states, told, change, tell } = store()
    tell('running')
    await turn()
    for (const state of ['paused', 'running', 'paused'] as const) {
      change({ state })
      await states.noteChange('r')
    }
    await states.noteChange('other')
    expect(told.slice(1)).toEqual(['r running → paused', 'r paused → running', 'r running → paused'])
  })

  it('are watched no longer once its record is gone', async () => {
    const { over, watchers, tell, become } = store()
    tell('running')
    await become(undefined)
    expect([over, watchers.size]).toEqual([['over'], 0])
  })
})

describe('the states of a run that is driven here', () => {
  const completed: DriveEnd = { state: 'completed', value: encode(1) }

  it('cost the store nothing while nobody listens', async () => {
    const { states, over, watchers, looks, tell } = store({ isHeard: false })
    tell('running', true)
    states.ends('r', Promise.resolve(completed))
    await turn()
    expect([over, watchers.size, looks()]).toEqual([['over'], 0, 0])
  })

  it('are told by its driver when it ends', async () => {
    const { states, told, over, tell, become, watchers } = store()
    tell('running', true)
    await become({ state: 'paused' })
    states.ends('r', Promise.resolve({ state: 'failed', value: encode(new Error('x')) }))
    await turn()
    expect(told).toEqual(['r pending → running', 'r running → paused', 'r paused → failed INTEGRITY'])
    expect([over, watchers.size]).toEqual([['over'], 0])
  })

  it('are told from when somebody listens', async () => {
    const { told, hear, tell, become, watchers } = store({ isHeard: false })
    tell('running', true)
    await become({ state: 'paused' })
    hear()
    hear()
    await turn()
    expect([told, watchers.size]).toEqual([[], 1])
    await become({ state: 'running' })
    expect(told).toEqual(['r paused → running', 'r paused → running'])
  })

  it('are those of the store when this process drives it no longer', async () => {
    const { states, told, over, tell, change } = store()
    tell('running', true)
    change({ state: 'cancelled', value: encode(new Error('x')) })
    states.ends('r', Promise.resolve({ state: 'lost' }))
    await turn()
    expect(told.at(-1)).toMatch(/running → cancelled/)
    expect(over).toEqual(['over'])
  })

  it('go on being told when its session was lost, and the log says so', async () => {
    const { states, told, logged, over, tell, change, become } = store()
    tell('running', true)
    change({ state: 'abandoned' })
    states.ends('r', Promise.resolve({ state: 'lost' }))
    await turn()
    expect(logged).toEqual([expect.stringMatching(/^warn run r is not driven here any more/)])
    await become({ state: 'completed' })
    expect(told).toEqual(['r pending → running', 'r running → abandoned', 'r abandoned → completed'])
    expect(over).toEqual(['over'])
  })
})

describe('the states of a run in a distant store', () => {
  it('are not watched for a run that is driven elsewhere while nobody listens', async () => {
    const { over, watchers, looks, tell } = store({ isHeard: false, isDistant: true })
    tell('pending')
    await turn()
    expect([over, watchers.size, looks()]).toEqual([['over'], 0, 0])
  })

  it('are looked at now and then, since news may be lost', async () => {
    const { told, clock, tell, change } = store({ isDistant: true })
    tell('pending')
    await turn()
    change({ state: 'completed' })
    clock.advance(6_000)
    await turn()
    expect(told.at(-1)).toMatch(/→ completed$/)
    expect(clock.nextDueMs()).toBeUndefined()
  })

  it('can be followed for a run that was begun elsewhere', async () => {
    const { states, told, become } = store({ isDistant: true })
    const record = { runId: 'r', workflow: 'w', state: 'running' } as RunRecord
    states.follow(record)
    states.follow(record)
    await become({ state: 'completed' })
    expect(told).toEqual(['r running → completed'])
  })

  it('come with its events, also where it goes on a moment after its end, as after a retry', async () => {
    const { states, clock, watchers, become } = store({ isDistant: true })
    const record = { runId: 'r', workflow: 'w', state: 'running' } as RunRecord
    states.follow(record)
    await become({ state: 'failed' })
    const afterEnd = watchers.size
    await become({ state: 'running' })
    states.follow(record)
    await turn()
    const again = watchers.size
    clock.advance(2_000)
    await turn()
    expect([afterEnd, again, watchers.size]).toEqual([1, 2, 2])
  })

  it('are told no more once the client is closed', async () => {
    const { states, told, clock, watchers, tell, change } = store({ isDistant: true })
    tell('pending')
    await turn()
    states.close()
    change({ state: 'completed' })
    expect([watchers.size, clock.nextDueMs()]).toEqual([0, undefined])
    expect(told).toEqual(['r pending → running'])
  })
})
