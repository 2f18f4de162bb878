/** Waiting and captured errors: each gives up in time, and says what it waited for. */
import { GraflowError } from 'graflow'
import { failureOf, thrown } from './captured-errors.js'
import { manualClock } from 'graflow/testing'
import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import { until, within } from './waits.js'
import { wired } from './wired-backend.js'

const never = new Promise<never>(() => undefined)
const error = new GraflowError('INTEGRITY', 'on purpose')

describe('until', () => {
  it('resolves once its condition holds, also one that is asked elsewhere', async () => {
    let asked = 0
    await until(async () => (asked += 1) === 3, 'the third question')
    expect(asked).toBe(3)
  })

  it('says what did not come in time, and how far it got', async () => {
    await expect(until(() => false, 'the rain', 20)).rejects.toThrow('expected within 20 ms: the rain')
    let asked = 0
    const grows = (): boolean => (asked += 1) === 0
    await expect(until(grows, () => `none, got ${asked}`, 20)).rejects.toThrow(/none, got [1-9]/)
  })

  it('fails with what its condition throws', async () => {
    await expect(until(() => Promise.reject(error), 'nothing')).rejects.toBe(error)
  })
})

describe('within', () => {
  it('gives what the promise settles to, or says what did not come', async () => {
    expect(await within(1_000, Promise.resolve(1), 'one')).toBe(1)
    await expect(within(1_000, Promise.reject(error), 'one')).rejects.toBe(error)
    await expect(within(20, never, 'the end')).rejects.toThrow('expected within 20 ms: the end')
  })
})

describe('captured errors', () => {
  it('are those of the library only', async () => {
    const fails = (): never => {
      throw error
    }
    expect(thrown(fails)).toBe(error)
    expect(() => thrown(() => 7)).toThrow('expected a GraflowError, got 7')
    expect(() =>
      thrown(() => {
        throw new TypeError('another')
      }),
    ).toThrow('expected a GraflowError')
    expect(await failureOf(Promise.reject(error))).toBe(error)
    await expect(failureOf(Promise.resolve(7))).rejects.toThrow('expected a failure, got 7')
    await expect(failureOf(Promise.reject(new TypeError('another')))).rejects.toThrow('expected a GraflowError')
  })
})

describe('a backend over a wire', () => {
  it('passes every call and all news to the wire, and what it does itself to nobody', async () => {
    const near = openMemoryBackend({ clock: manualClock() })
    const calls: string[] = []
    let held: (() => void) | undefined
    const backend = wired(
      near,
      {
        call: (name, send) => {
          calls.push(name)
          return name === 'hasGraph' ? Promise.reject(error) : send()
        },
        news: (deliver) => {
          held = deliver
        },
      },
      { ping: () => Promise.reject(error) },
    )
    await backend.putGraph('graph', new Uint8Array(1))
    expect(await backend.inspect.queues()).toEqual([])
    await expect(backend.hasGraph('graph')).rejects.toBe(error)
    await expect(backend.ping()).rejects.toBe(error)
    expect(calls).toEqual(['putGraph', 'queues', 'hasGraph'])
    const heard: unknown[] = []
    backend.watch('run', (activity) => heard.push(activity))
    const info = { baseId: 'd', hostname: 'h', pid: 1, role: 'client', metadata: {} } as const
    await backend.session({
      kind: 'open',
      session: 'd',
      ttlMs: 1_000,
      info: { ...info, queues: [], capabilities: [], tasks: [] },
    })
    const run = {
      runId: 'run',
      graph: 'graph',
      digest: '',
      input: new Uint8Array(),
      nonce: 'n',
      tasks: [],
      session: 'd',
    }
    await backend.open({ ...run, maxLosses: 1, timeoutMs: 0, retentionMs: 1_000 })
    await backend.control({ kind: 'cancel-run', runId: 'run', reason: 'why', value: new Uint8Array() })
    await until(() => held !== undefined, 'news')
    expect(heard).toEqual([])
    held?.()
    expect(heard.length).toBeGreaterThan(0)
    await backend.close()
  })
})
