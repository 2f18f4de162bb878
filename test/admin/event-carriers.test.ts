/** Events of pipeline groups that several processes carry at once, and what is known of runs that are not there any more. */
import { InjectionStore } from '../../lib/admin/deployments/injection-store.js'
import { Journey, type JourneyServices, type StartedRun } from '../../lib/admin/deployments/journey.js'
import type { StoredGroup } from '../../lib/admin/deployments/group-store.js'
import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import { manualClock } from '../../lib/time.js'
import { until } from '../support/waits.js'

const ran = (way: string): StartedRun => ({ from: '_external', to: 'a', eventType: 'E', way })

describe('what an event has started', () => {
  function storeOf() {
    const backend = openMemoryBackend({ clock: manualClock(0) })
    let ids = 0
    const store = new InjectionStore(backend, () => `id-${(ids += 1)}`)
    const ways = async (): Promise<readonly string[]> => (await store.started('event')).map(({ way }) => way).sort()
    const logOf = (carrier: string) => store.startedLog({ id: 'event', carrier })
    return { ways, logOf }
  }

  it('is what all who carry it have seen, whoever writes last', async () => {
    const { ways, logOf } = storeOf()
    const [one, two] = [logOf('one'), logOf('two')]
    one.keep([ran('00'), ran('01')])
    two.keep([ran('00'), ran('02')])
    await until(async () => (await ways()).length === 3, 'both to be kept')
    two.keep([ran('00')])
    await two.end()
    expect(await ways()).toEqual(['00', '01', '02'])
    await one.end()
    expect(await ways()).toEqual([])
  })

  it('is forgotten with the last who carries it, also one that writes when the first has ended', async () => {
    const { ways, logOf } = storeOf()
    const [one, two] = [logOf('one'), logOf('two')]
    one.keep([ran('00')])
    await until(async () => (await ways()).length === 1, 'it to be kept')
    await two.join([ran('00')])
    await one.end()
    expect(await ways()).toEqual(['00'])
    two.keep([ran('00'), ran('0001')])
    await two.end()
    expect(await ways()).toEqual([])
  })
})

it.each([
  ['deleted', 101, { state: 'cancelled', error: { code: 'RUN_NOT_FOUND' } }],
  ['past its retention', 100, { state: 'failed', error: { code: 'NOT_KEPT' } }],
])('a run of an event that is not there any more was %s', async (_, keptUntil, told) => {
  const group = {
    ...{ id: 'g', name: 'g', createdAt: 0 },
    pipelines: [{ name: 'a', source: 'a', isWorkflow: false, tasks: ['a'] }],
    routes: [{ from: '_external', to: 'a', eventTypes: ['E'] }],
  } as unknown as StoredGroup // what a journey needs of one
  const services = {
    ...{ clock: manualClock(100), known: [{ ...ran('00'), keptUntil }], keep: () => undefined },
    exists: async () => false,
  } as unknown as JourneyServices // nothing is started
  const journey = new Journey('event', group, services)
  await (await journey.begin({ eventType: 'E', input: 1 })).over
  expect(journey.deliveries).toEqual([expect.objectContaining({ runId: 'event-00' })])
  expect(journey.deliveries[0]).toMatchObject(told)
})
