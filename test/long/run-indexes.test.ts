/**
 * The indexes of runs on Redis: made anew where a key was lost, and brought up to date where an older release has opened, ended or deleted runs, which
 * it does without them.
 */
import { seq, task, workflow, type Graflow } from 'graflow'
import { Stage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const one = workflow('one', seq(task('identity', (n: number) => n)))
let stage: Stage

beforeAll(async () => {
  stage = new Stage(await sharedRedis(), require.resolve('./lost.tasks.ts'))
})
afterAll(() => stage.end())

const idsOf = async (graflow: Graflow, filter: Parameters<Graflow['runs']['list']>[0]): Promise<string[]> =>
  (await graflow.runs.list(filter)).items.map(({ id }) => id)

describe('the indexes of runs', () => {
  it.each(['deleted', 'of another type'])('are made anew once a key is %s', async (how) => {
    const graflow = await stage.client()
    const tag = `lost-${graflow.instanceId}`
    const runs = []
    for (let i = 0; i < 5; i += 1) runs.push(await graflow.start(one, i, { tags: [tag] }))
    await Promise.all(runs.map((run) => run.result()))
    const wanted = runs.map(({ id }) => id).reverse()
    expect(await idsOf(graflow, { tag })).toEqual(wanted)
    for (const key of [stage.keys.runs, stage.keys.runsBy(`t:${tag}`), stage.keys.runsBy('w:one')]) {
      await stage.redis.del(key)
      if (how !== 'deleted') await stage.redis.rpush(key, 'x')
      await until(async () => {
        try {
          const lists = await Promise.all([
            idsOf(graflow, { tag }),
            idsOf(graflow, { tag, state: 'completed' }),
            idsOf(graflow, { workflow: 'one', tag }),
          ])
          return lists.every((ids) => ids.join() === wanted.join())
        } catch {
          return false // until a sweep has seen the key of another type
        }
      }, `the lists without ${key}`)
    }
  })

  it('have what an older release opens and ends, and nothing that it deletes', async () => {
    const graflow = await stage.client()
    const tag = `old-${graflow.instanceId}`
    const [run, gone] = [await graflow.start(one, 1, { tags: [tag] }), await graflow.start(one, 2, { tags: [tag] })]
    await Promise.all([run.result(), gone.result()])
    // as an older release leaves them: the one by its creation alone and in no other list, of the other no more than its place there
    await stage.redis.zadd(stage.keys.runs, String(Date.now() * 1_000), run.id)
    await stage.redis.zrem(stage.keys.runsBy(`t:${tag}`), run.id)
    await stage.redis.del(stage.keys.run(gone.id))
    await stage.redis.zrem(stage.keys.runs, gone.id)
    expect(await idsOf(graflow, { tag })).toEqual([])
    await until(
      async () => (await idsOf(graflow, { tag, state: 'completed' })).join() === run.id,
      'the run in its place',
    )
  })
})
