/** News of a barrier is a hint, and a store may lose a group: a superstep ends with its outcomes all the same. */
import { each, par, seq, task, workflow, type EventOf } from 'graflow'
import { seededRandom } from 'graflow/testing'
import type { Backend, Notice, StepRequest } from '../../lib/backend/backend.js'
import { failureOf } from '../support/captured-errors.js'
import { type Distant, openDistant } from '../support/distant-store.js'
import { turn, within } from '../support/waits.js'

const double = task('double', async (n: number) => {
  for (let i = 0; i < 20; i += 1) await turn()
  return n * 2
})

async function withFaults(faults: (backend: Backend) => Partial<Backend>): Promise<Distant> {
  const wrap = (backend: Backend): Backend => ({ ...backend, ...faults(backend) })
  return openDistant({ slots: 4, turns: () => 1, random: seededRandom(1), wrap })
}

describe('a superstep', () => {
  it('goes on waiting when it is told of a release that has not happened', async () => {
    let tell: (notice: Notice) => void = () => undefined
    let steps = 0
    const { client, errors } = await withFaults((backend) => ({
      listen: (session, listener) => {
        tell = listener
        return backend.listen(session, listener)
      },
      step: async (request: StepRequest) => {
        const answer = await backend.step(request)
        if (request.group === undefined) return answer
        steps += 1
        const { gid } = request.group.spec
        if (steps <= 3) setImmediate(() => tell({ kind: 'released', gid }))
        return answer
      },
    }))
    const dispatched: EventOf<'group:dispatched'>[] = []
    client.events.subscribe('group:dispatched', (event) => dispatched.push(event))
    expect(await client.run(each(double) as never, [1, 2, 3] as never)).toEqual([2, 4, 6])
    expect([steps, dispatched.length, errors]).toEqual([4, 1, []])
    await client.close()
  })

  it('keeps its deadline when it is told of releases that have not happened', async () => {
    let tell: (notice: Notice) => void = () => undefined
    const { client } = await withFaults((backend) => ({
      listen: (session, listener) => {
        tell = listener
        return backend.listen(session, listener)
      },
      step: async (request: StepRequest) => {
        const answer = await backend.step(request)
        const gid = request.group?.spec.gid
        if (gid !== undefined) void turn().then(() => tell({ kind: 'released', gid }))
        return answer
      },
    }))
    const hang = task('hang', () => new Promise<number>(() => undefined))
    const startedAt = Date.now()
    const run = client.run(each(hang).configure({ timeoutMs: 100 }), [1] as never)
    const failure = await within(10_000, failureOf(run), 'the deadline')
    expect(failure.code).toBe('GROUP_TIMEOUT')
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(99)
    await client.close()
  })

  it('dispatches a group again that the store has lost', async () => {
    let looks = 0
    const { client, errors } = await withFaults((backend) => ({
      inspect: {
        ...backend.inspect,
        outcomes: async (gid, after) => {
          looks += 1
          return looks <= 2 ? undefined : backend.inspect.outcomes(gid, after)
        },
      },
    }))
    expect(
      await client.run(
        seq(
          each(double),
          task('first', (all: number[]) => all[0]),
        ) as never,
        [1] as never,
      ),
    ).toBe(2)
    expect([looks, errors]).toEqual([3, []])
    await client.close()
  })

  it('gives a group up that the store loses again and again', async () => {
    const { client } = await withFaults((backend) => ({
      inspect: { ...backend.inspect, outcomes: async () => undefined },
    }))
    const first = task('first', (all: number[]) => all[0])
    const failure = await failureOf(client.run(each(double).to(first), [1] as never))
    expect(failure).toMatchObject({ code: 'INTEGRITY', details: { group: '0' } })
    await client.close()
  })

  it('is the end of its run where nothing follows it: the driver makes no call for that', async () => {
    const ends: unknown[] = []
    const { client, errors } = await withFaults((backend) => ({
      step: async (request: StepRequest) => {
        if (request.end !== undefined) ends.push(request.end.state)
        return backend.step(request)
      },
    }))
    const first = task('first', (all: number[]) => all[0])
    const run = (flow: unknown, input: unknown): Promise<unknown> => client.run(flow, input)
    expect(await run(each(double), [1])).toEqual([2])
    expect(await run(par(double), 3)).toEqual([6])
    expect(await run(workflow('last', seq(double, par(double))), 3)).toEqual([12])
    expect(ends).toEqual([])
    // whose result is waited for is watched
    const submitted = await client.submit(each(double), [1])
    expect([await submitted.result(), ends.splice(0)]).toEqual([[2], ['completed']])
    expect(await run(each(double).to(first), [1])).toBe(2)
    expect(await run(workflow('timed', each(double), { timeoutMs: 60_000 }), [1])).toEqual([2])
    expect(await run(seq(workflow('inner', each(double)), first), [1])).toBe(2)
    expect(await run(par({ a: double }), 3)).toEqual({ a: 6 })
    expect(await run(each(double).settled(), [1])).toEqual([{ status: 'succeeded', value: 2 }])
    expect([ends, errors]).toEqual([Array.from({ length: 5 }, () => 'completed'), []])
    await client.close()
  })

  it('reads outcomes page by page, until nothing is left', async () => {
    let pages = 0
    const { client } = await withFaults((backend) => ({
      inspect: {
        ...backend.inspect,
        outcomes: async (gid, after) => {
          const page = await backend.inspect.outcomes(gid, 0)
          if (page === undefined || page.chunks.length <= after + 1) return backend.inspect.outcomes(gid, after)
          pages += 1
          return { ...page, chunks: page.chunks.slice(after, after + 1), next: after + 1, withdrawn: undefined }
        },
      },
    }))
    const slow = task('slow', async (n: number) => {
      for (let i = 0; i < n * 10; i += 1) await turn()
      return n
    })
    expect(await client.run(each(slow) as never, [1, 2, 3, 4] as never)).toEqual([1, 2, 3, 4])
    expect(pages).toBeGreaterThan(0)
    await client.close()
  })
})
