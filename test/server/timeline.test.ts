/** The timeline of a run over HTTP: windows of it, its branches, and that a later look reads only what is new. */
import { join } from 'node:path'
import { each, task } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { openPlane, type TestPlane } from '../support/control-plane.js'
import { useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'
import { hostile, wide } from '../behaviours/reports.tasks.js'

const planes: TestPlane[] = []
const open = async (...args: Parameters<typeof openPlane>): Promise<TestPlane> => {
  const plane = await openPlane(...args)
  planes.push(plane)
  return plane
}
afterEach(async () => {
  for (const plane of planes.splice(0)) await plane.close()
})
const stage = useStage(join(__dirname, '../behaviours/reports.tasks.ts'))

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0)

describe('GET /api/v1/runs/:id/timeline', () => {
  it('has a lane for each worker, its groups, steps and critical path', async () => {
    const place = await stage()
    await Promise.all([place.worker('one'), place.worker('two')])
    const plane = await open({ keyPrefix: place.prefix }, place.server.url)
    const run = await plane.graflow.start(wide, 4)
    await run.result()
    const { status, json } = await plane.ask('GET', `/api/v1/runs/${run.id}/timeline`)
    expect(status).toBe(200)
    expect(json).toMatchObject({ id: run.id, state: 'completed', isOver: true })
    expect(json.window.lanes.map(({ worker }: { worker: number }) => json.workers[worker]).sort()).toEqual([
      'one',
      'two',
    ])
    const blocks = json.window.lanes.map(({ blocks: of }: any) => of)
    const width = sum(json.groups.map((group: { width: number }) => group.width))
    expect(sum(blocks.map((of: any) => of.index.length))).toBe(width)
    for (const of of blocks) expect(of.status).toBe('s'.repeat(of.index.length))
    expect(json.steps.map(({ task: name }: { task: string }) => name)).toEqual(['list', 'forks', 'enough'])
    expect(json.critical.map(({ kind }: { kind: string }) => kind)).toEqual(expect.arrayContaining(['step', 'branch']))
    const part = await plane.ask('GET', `/api/v1/runs/${run.id}/timeline?from=0&to=1&bins=16`)
    expect([part.status, part.json.groups, part.json.revision]).toEqual([200, undefined, json.revision])
  })

  it('names the workers that the report names, also once the groups of the run are deleted', async () => {
    const place = await stage()
    await place.worker('one')
    const plane = await open({ keyPrefix: place.prefix }, place.server.url)
    const run = await plane.graflow.start(wide, 4)
    await run.result()
    const named = async (): Promise<unknown[]> => {
      const of = async (what: string): Promise<any> => (await plane.ask('GET', `/api/v1/runs/${run.id}/${what}`)).json
      return [(await of('timeline')).workers, (await of('report')).workers]
    }
    expect(await named()).toEqual([['one'], ['one']])
    await place.redis.zadd(place.keys.purge, 0, `p ${run.id}`)
    await until(async () => (await run.status()).groups.length === 0, 'the groups are deleted')
    await until(async () => ((await named())[0] as unknown[]).length === 0, 'the timeline has looked again')
    expect(await named()).toEqual([[], []])
  })

  it('reads of a run that goes on only what is new', async () => {
    let release = (): void => undefined
    const gate = new Promise<void>((resolve) => (release = resolve))
    const held = each(task('held', async (n: number) => (n === 0 ? gate.then(() => n) : n)))
    const plane = await open()
    const run = await plane.graflow.start(held, [0, 1, 2])
    const outcomes = jest.spyOn(plane.services.session.backend.inspect, 'outcomes')
    const look = async (): Promise<any> => (await plane.ask('GET', `/api/v1/runs/${run.id}/timeline`)).json
    let ended = 0
    for await (const _ of run.branches()) if (++ended === 2) break
    const first = await look()
    expect([first.isOver, first.groups[0].state]).toEqual([false, 'open'])
    expect(first.running).toMatchObject([{ group: 0, index: 0, path: '0/0', task: 'held', row: expect.any(Number) }])
    expect(first.window.lanes.map(({ worker }: any) => worker)).toContain(first.running[0].worker)
    release()
    await run.result()
    const last = await look()
    expect([last.isOver, last.groups[0].timed, last.groups[0].state]).toEqual([true, 3, 'released'])
    expect(last.running).toEqual([])
    const reads = outcomes.mock.calls.length
    await look()
    await plane.ask('GET', `/api/v1/runs/${run.id}/timeline?from=0&to=5`)
    expect(outcomes.mock.calls.length).toBe(reads)
    expect(outcomes.mock.calls.some(([, after]) => typeof after === 'number' && after > 0)).toBe(true)
  })

  it('is read once for all who ask at one time', async () => {
    const plane = await open()
    const run = await plane.graflow.start(each(task('plain', (n: number) => n)), [0, 1, 2])
    await run.result()
    const outcomes = jest.spyOn(plane.services.session.backend.inspect, 'outcomes')
    await Promise.all(Array.from({ length: 5 }, () => plane.ask('GET', `/api/v1/runs/${run.id}/timeline`)))
    expect(outcomes.mock.calls.filter(([, after]) => after === 0).length).toBe(1)
  })

  it('of many branches has bins, in which none is lost', async () => {
    const plane = await open()
    const run = await plane.graflow.start(
      each(task('many', (n: number) => n)),
      Array.from({ length: 5_000 }, (_, n) => n),
    )
    await run.result()
    const { json } = await plane.ask('GET', `/api/v1/runs/${run.id}/timeline?bins=100`)
    const [lane] = json.window.lanes
    expect([lane.branches, lane.blocks, lane.bins.ended.length]).toEqual([5_000, undefined, 100])
    expect(sum(lane.bins.ended)).toBe(5_000)
  })

  it('is RUN_NOT_FOUND where there is no run, and refuses what is no time', async () => {
    const plane = await open()
    expect((await plane.ask('GET', '/api/v1/runs/nobody/timeline')).json).toMatchObject({
      code: 'RUN_NOT_FOUND',
      status: 404,
    })
    expect((await plane.ask('GET', '/api/v1/runs/nobody/timeline?from=-1')).status).toBe(400)
    expect((await plane.ask('GET', '/api/v1/runs/nobody/timeline?bins=9999')).status).toBe(400)
  })
})

describe('GET /api/v1/runs/:id/branches', () => {
  it('lists what has ended, with errors, in pages', async () => {
    const plane = await open()
    const flaky = each(
      task('flaky', async (n: number) => {
        if (n % 10 === 3) throw new TypeError(`no ${n}`, { cause: new Error('deep') })
        return n
      }),
    ).settled()
    const run = await plane.graflow.start(
      flaky,
      Array.from({ length: 60 }, (_, n) => n),
    )
    await run.result()
    const ask = async (query: string): Promise<any> =>
      (await plane.ask('GET', `/api/v1/runs/${run.id}/branches?path=0&${query}`)).json
    expect(await ask('limit=2&skip=1')).toMatchObject({
      total: 60,
      items: [{ index: 1, path: '0/1', task: 'flaky', status: 'succeeded' }, { index: 2 }],
    })
    const failed = await ask('only=failed')
    expect([failed.total, failed.items[1]]).toMatchObject([
      6,
      { path: '0/13', status: 'failed', error: { code: 'TASK_FAILED', causes: ['TypeError: no 13', 'Error: deep'] } },
    ])
    expect((await ask('only=slow')).total).toBe(60)
    expect((await ask('index=7')).items).toMatchObject([{ index: 7 }])
    const slow = (await ask('only=slow&limit=60')).items.map(({ start, end }: any) => end - start)
    expect(slow).toEqual([...slow].sort((a, b) => b - a))
  })

  it('is RESULT_NOT_FOUND where there is no group', async () => {
    const plane = await open()
    const run = await plane.graflow.start(hostile, undefined)
    await failureOf(run.result())
    expect((await plane.ask('GET', `/api/v1/runs/${run.id}/branches?path=7`)).json).toMatchObject({
      code: 'RESULT_NOT_FOUND',
    })
    expect((await plane.ask('GET', `/api/v1/runs/${run.id}/branches?path=0&only=late`)).status).toBe(400)
    expect((await plane.ask('GET', '/api/v1/runs/nobody/branches?path=1')).json).toMatchObject({
      code: 'RUN_NOT_FOUND',
    })
  })
})
