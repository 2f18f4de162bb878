/**
 * Workers on a store that loses requests and replies all the time: every branch has its outcome once, whatever was lost, and nothing is held
 * afterwards.
 */
import { each, GraflowError, par, seq, task } from 'graflow'
import { seededRandom } from 'graflow/testing'
import type { Backend } from '../../lib/backend/backend.js'
import { SharedStore } from '../support/shared-store.js'
import { elapse } from '../support/waits.js'
import { wired } from '../support/wired-backend.js'

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

/** Before or after a call is done, it is lost, so many times of a hundred. */
function lossy(near: Backend, percent: number, seed: number): { readonly backend: Backend; lost(): number } {
  const random = seededRandom(seed)
  let count = 0
  const lose = (): void => {
    if (random() * 100 >= percent) return
    count += 1
    throw new GraflowError('REDIS_UNAVAILABLE', 'lost on the way')
  }
  const lossyCalls = new Set([
    'putGraph',
    'getGraph',
    'hasGraph',
    'step',
    'acquire',
    'settle',
    'control',
    'channel',
    'lock',
  ])
  const backend = wired(near, {
    async call(name, send) {
      if (!lossyCalls.has(name)) return send()
      lose()
      const answer = await send()
      lose()
      return answer
    },
  })
  return { backend, lost: () => count }
}

describe('workers on a store that loses requests and replies', () => {
  it.each([1, 2, 3])('FT-W3, FT-W8: give every branch one outcome (seed %d)', async (seed) => {
    const store = new SharedStore()
    try {
      const { backend, lost } = lossy(store.backend, 15, seed)
      store.view = backend
      let starts = 0
      const work = task('work', async (n: number) => {
        starts += 1
        if (n % 3 === 0) await elapse(1)
        return n
      })
      const inner = task('inner', (all: readonly number[]) => all.length)
      const flow = seq(
        each(seq(work, par(work, work), inner)),
        task('sum', (all: readonly number[]) => all.length),
      )
      const workers = [
        await store.started({ tasks: [flow], workerId: 'a', maxConcurrentTasks: 8 }),
        await store.started({ tasks: [flow], workerId: 'b', maxConcurrentTasks: 2 }),
      ]
      const client = await store.client()
      const submitted = await client.submit(flow, upTo(20))
      expect(await client.run(each(work), upTo(400))).toEqual(upTo(400))
      expect(await submitted.result()).toBe(20)
      expect(lost()).toBeGreaterThan(20)
      // A lost call is repeated, so nothing was started again.
      expect(starts).toBe(400 + 60)
      expect(workers.map(({ inFlight }) => inFlight)).toEqual([0, 0])
      await Promise.all(workers.map((worker) => worker.stop()))
      expect((await store.backend.inspect.sessions()).map(({ branches }) => branches)).toEqual([0])
    } finally {
      await store.end()
    }
  })
})
