import type { RunActivity, RunRecord } from '../../lib/backend/backend.js'
import { encode } from '../../lib/engine/codec.js'
import { Emitter } from '../../lib/events.js'
import type { HandleServices } from '../../lib/producer/handle-services.js'
import { tellStates } from '../../lib/producer/run-states.js'

/** A store with one run whose state a test sets. */
function store() {
  const watchers = new Set<(activity: RunActivity) => void>()
  const emitter = new Emitter(() => 0)
  const told: string[] = []
  const over: string[] = []
  emitter.subscribe('run:state', ({ runId, from, to, error }) => {
    told.push(`${runId} ${from} → ${to}${error === undefined ? '' : ` ${error.code}`}`)
  })
  let record: Partial<RunRecord> | undefined = { runId: 'r', state: 'running', value: encode('value') }
  const services = {
    emitter,
    backend: {
      inspect: { run: async () => record },
      watch: (_: string, listener: (activity: RunActivity) => void) => {
        watchers.add(listener)
        return () => watchers.delete(listener)
      },
    },
  } as unknown as HandleServices
  return {
    told,
    over,
    watchers,
    tell: (known: 'pending' | 'running') => tellStates('r', 'w', known, services, () => over.push('over')),
    become: async (next: Partial<RunRecord> | undefined) => {
      record = next === undefined ? undefined : { ...record, ...next }
      for (const listener of [...watchers]) listener({ kind: 'state', gid: 'r' })
      await new Promise((resolve) => setImmediate(resolve))
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

  it('are watched no longer once its record is gone', async () => {
    const { over, watchers, tell, become } = store()
    tell('running')
    await become(undefined)
    expect([over, watchers.size]).toEqual([['over'], 0])
  })
})
