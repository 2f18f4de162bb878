/** Groups of pipelines: deployed, placed, fed with events, torn down; on both stores, and on several workers. */
import { task, workflow, type Graflow, type Injection, type PipelineGroupSpec } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { describeOnBothStores } from '../support/both-stores.js'
import { Gate } from '../support/gate.js'
import { workerHere } from '../support/local-worker.js'
import { useStage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const ingest = task('ingest', (event: { value: number }) => ({ ...event, seen: true }))
const double = task('double', (event: { value: number }) => event.value * 2)
const half = task('half', (event: { value: number }) => event.value / 2)
const both = task('both', ([a, b]: [number, number]) => ({ eventType: 'Sum', fields: { value: a + b } }))
const alarm = task('alarm', (event: unknown) => {
  throw new Error(`alarm: ${JSON.stringify(event)}`)
})
const tasks = [ingest, double, half, both, alarm, workflow('whole', ingest.to(double))]

const sensors: PipelineGroupSpec = {
  name: 'sensors',
  pipelines: [
    { name: 'in', source: 'ingest' },
    { name: 'sum', source: 'ingest >> (double | half) >> both' },
    { name: 'last', source: 'double' },
    { name: 'whole', source: 'whole' },
    { name: 'alarms', source: 'alarm' },
  ],
  routes: [
    { from: '_external', to: 'in', eventTypes: ['Sensor*'] },
    { from: '_external', to: 'sum', eventTypes: ['Reading'] },
    { from: '_external', to: 'whole', eventTypes: ['Whole', 'Two'] },
    { from: '_external', to: 'last', eventTypes: ['Two'] },
    { from: '_external', to: 'alarms', eventTypes: ['Alarm*'] },
    { from: 'in', to: 'last', eventTypes: ['SensorDeep'] },
    { from: 'sum', to: 'last', eventTypes: ['Sum'] },
    { from: 'sum', to: 'alarms', eventTypes: ['Reading'] },
  ],
}

const summary = ({ deliveries }: Injection): readonly unknown[] =>
  deliveries.map(({ from, eventType, routedTo, state, result }) => [from, eventType, routedTo, state, result])

describeOnBothStores('pipeline groups', (open, name, another) => {
  it('run an event through the pipeline that its type is routed to, on the worker that it is placed on', async () => {
    const graflow = await open(tasks)
    const group = await graflow.deployments.deploy(sensors)
    expect(group).toMatchObject({ name: 'sensors', status: 'running', pipelineCount: 5, placement: 'round-robin' })
    const [place] = group.placements
    expect(place).toMatchObject({ pipeline: 'in', status: 'running', workerId: expect.any(String) })
    if (name === 'embedded') expect(place?.workerId).toBe(graflow.instanceId)
    const injected = await graflow.deployments.inject(group.id, { eventType: 'SensorReading', fields: { value: 21 } })
    expect(injected).toMatchObject({ routedTo: 'in', workerId: place?.workerId, result: { value: 21, seen: true } })
    expect(injected.deliveries).toHaveLength(1)
    const run = await graflow.runs.get(injected.runId)
    expect(run?.tags).toEqual(['pipeline-group:sensors', 'pipeline:in', 'event:SensorReading'])
  })

  it('route a result on: by the type that it names, else by that of the event it came from', async () => {
    const graflow = await open(tasks)
    const { id } = await graflow.deployments.deploy(sensors)
    const inject = (eventType: string) => graflow.deployments.inject(id, { eventType, fields: { value: 8 } })
    const deep = await inject('SensorDeep')
    expect(deep).toMatchObject({ routedTo: 'in', result: { value: 8, seen: true } })
    expect(summary(deep)).toEqual([
      ['_external', 'SensorDeep', 'in', 'completed', { value: 8, seen: true }],
      ['in', 'SensorDeep', 'last', 'completed', 16],
    ])
    expect(summary(await inject('Reading'))).toEqual([
      ['_external', 'Reading', 'sum', 'completed', { eventType: 'Sum', fields: { value: 20 } }],
      ['sum', 'Sum', 'last', 'completed', 40],
    ])
    expect(summary(await inject('Two'))).toEqual([
      ['_external', 'Two', 'whole', 'completed', 16],
      ['_external', 'Two', 'last', 'completed', 16],
    ])
  })

  it('say in the answer what failed, and what is not over in time', async () => {
    const gate = new Gate()
    const slow = task('slow', async () => gate.pass().then(() => 'open'))
    const graflow = await open([...tasks, slow])
    const { id } = await graflow.deployments.deploy({ name: 'g', pipelines: [{ name: 'a', source: 'alarm' }] })
    const failed = await graflow.deployments.inject(id, { eventType: 'Alarm', fields: 'x' })
    expect(failed).toMatchObject({ routedTo: 'a', state: 'failed', error: { code: 'TASK_FAILED' } })
    expect(failed).not.toHaveProperty('result')
    const other = await graflow.deployments.deploy({ name: 'h', pipelines: [{ name: 's', source: 'slow' }] })
    const late = await graflow.deployments.inject(other.id, { eventType: 'S' }, { waitMs: 0, idempotencyKey: 'once' })
    expect(['pending', 'running']).toContain(late.state)
    gate.open()
    const again = await graflow.deployments.inject(other.id, { eventType: 'S' }, { idempotencyKey: 'once' })
    expect(again).toMatchObject({ runId: late.runId, state: 'completed', result: 'open' })
    const fault = await failureOf(
      graflow.deployments.inject(other.id, { eventType: 'T', fields: 1 }, { idempotencyKey: 'once' }),
    )
    expect(fault.code).toBe('RUN_EXISTS')
  })

  it('are found, listed and torn down by any client', async () => {
    const graflow = await open(tasks)
    const { id, createdAt } = await graflow.deployments.deploy(sensors)
    const { deployments } = await another()
    const more = await Promise.all(
      ['a', 'b', 'c'].map((name) => deployments.deploy({ name, pipelines: [{ name, source: 'ingest' }] })),
    )
    expect(await deployments.get(id)).toMatchObject({ ...sensors, id, createdAt, status: 'running' })
    const first = await deployments.list({ limit: 3 })
    const rest = await deployments.list({ limit: 3, cursor: first.cursor ?? '' })
    expect([...first.items, ...rest.items].map((group) => group.id)).toEqual([id, ...more.map((one) => one.id)].sort())
    expect(rest.cursor).toBeUndefined()
    expect(await deployments.delete(id)).toBe(true)
    expect(await graflow.deployments.delete(id)).toBe(false)
    expect(await graflow.deployments.get(id)).toBeUndefined()
    expect((await failureOf(graflow.deployments.inject(id, { eventType: 'SensorA' }))).code).toBe(
      'PIPELINE_GROUP_NOT_FOUND',
    )
    expect((await graflow.deployments.deploy(sensors)).id).not.toBe(id)
  })

  it('are the same group where the same is deployed under the same name, also at once', async () => {
    const graflow = await open(tasks)
    const groups = await Promise.all(
      [sensors, { ...sensors }, { ...sensors }].map((one) => graflow.deployments.deploy(one)),
    )
    expect(new Set(groups.map(({ id }) => id)).size).toBe(1)
    const fault = await failureOf(graflow.deployments.deploy({ ...sensors, placement: 'least-loaded' }))
    expect(fault).toMatchObject({ code: 'PIPELINE_GROUP_EXISTS', details: { group: groups[0]?.id } })
  })

  it.each([
    ['ingst >> double', 'UNKNOWN_NAME', 'did you mean "ingest"'],
    ['ingest >> >> double', 'FLOW_SYNTAX', 'pipelines[0].source'],
    ['', 'FLOW_SYNTAX', 'the text is empty'],
    ['a'.repeat(70_000), 'INVALID_OPTION', 'at most 65536 characters'],
  ])('refuse the source %j', async (source, code, words) => {
    const graflow = await open(tasks)
    const fault = await failureOf(graflow.deployments.deploy({ name: 'g', pipelines: [{ name: 'p', source }] }))
    expect(fault).toMatchObject({ code, details: { option: 'pipelines[0].source' } })
    expect(fault.message).toContain(words)
    expect((await graflow.deployments.list()).items).toEqual([])
  })

  it('may have names that objects have anyway', async () => {
    const { deployments } = await open(tasks)
    const names = ['__proto__', 'constructor', 'toString']
    const pipelines = names.map((name) => ({ name, source: 'ingest' }))
    const routes = names.map((to) => ({ from: '_external', to, eventTypes: [to] }))
    const { id, status } = await deployments.deploy({ name: '__proto__', pipelines, routes })
    expect(status).toBe('running')
    for (const eventType of names)
      expect(await deployments.inject(id, { eventType, fields: { value: 1 } })).toMatchObject({ routedTo: eventType })
  })

  it('refuse an event that no route takes, or that is none', async () => {
    const { deployments } = await open(tasks)
    const { id } = await deployments.deploy(sensors)
    const fault = await failureOf(deployments.inject(id, { eventType: 'Sum' }))
    expect(fault).toMatchObject({ code: 'NO_ROUTE', details: { eventType: 'Sum' } })
    expect(fault.message).toContain('Sensor*, Reading, Whole, Two, Alarm*')
    const wrong = [{}, { eventType: 5 }, { eventType: 'S', field: 1 }, null]
    for (const event of wrong)
      expect((await failureOf(deployments.inject(id, event as never))).code).toBe('INVALID_OPTION')
    const large = { eventType: 'SensorA', fields: 'x'.repeat(300_000) }
    expect((await failureOf(deployments.inject(id, large))).code).toBe('LIMIT_EXCEEDED')
    expect((await failureOf(deployments.inject(id, { eventType: 'SensorA', fields: () => 1 }))).code).toBe(
      'NOT_SERIALISABLE',
    )
    expect((await failureOf(deployments.inject(id, { eventType: 'SensorA' }, { waitMs: -1 }))).code).toBe(
      'INVALID_OPTION',
    )
  })
})

describe('pipeline groups on several workers', () => {
  const stage = useStage()
  const here = async (ids: readonly string[]) => {
    const own = await stage(await sharedRedis())
    const workers = await Promise.all(ids.map((id) => workerHere(own, id, tasks)))
    return { stage: own, workers, graflow: await own.client() }
  }
  const names = ['a', 'b', 'c', 'd']
  const four = (facts: Partial<PipelineGroupSpec> = {}): PipelineGroupSpec => ({
    name: 'four',
    pipelines: names.map((name) => ({ name, source: 'ingest' })),
    routes: names.map((to) => ({ from: '_external', to, eventTypes: [`${to}*`] })),
    ...facts,
  })
  const placesOf = async (graflow: Graflow, id: string) =>
    (await graflow.deployments.get(id))?.placements.map(({ workerId }) => workerId)

  it('are spread over them in turn, and run where they are', async () => {
    const { graflow } = await here(['w-1', 'w-2'])
    const { id, placements } = await graflow.deployments.deploy(four())
    expect(placements.map(({ workerId }) => workerId)).toEqual(['w-1', 'w-2', 'w-1', 'w-2'])
    for (const { pipeline, workerId } of placements) {
      const injected = await graflow.deployments.inject(id, { eventType: `${pipeline}1`, fields: { value: 1 } })
      expect(injected).toMatchObject({ routedTo: pipeline, workerId, result: { value: 1, seen: true } })
    }
  })

  it('are placed anew when their worker is lost, and go home when the one that they want is back', async () => {
    const { graflow, workers, stage: own } = await here(['w-1', 'w-2'])
    const pipelines = names.map((name) => ({ name, source: 'ingest', ...(name === 'd' && { workerAffinity: 'w-9' }) }))
    const { id, placements } = await graflow.deployments.deploy(four({ pipelines }))
    expect(placements.map(({ workerId }) => workerId)).toEqual(['w-1', 'w-2', 'w-1', 'w-2'])
    await workers[0]?.stop()
    await until(async () => (await placesOf(graflow, id))?.every((one) => one === 'w-2'), 'all pipelines on w-2')
    const injected = await graflow.deployments.inject(id, { eventType: 'a1', fields: { value: 1 } })
    expect(injected).toMatchObject({ routedTo: 'a', workerId: 'w-2', state: 'completed' })
    const home = await workerHere(own, 'w-9', tasks)
    await until(async () => (await placesOf(graflow, id))?.[3] === 'w-9', 'd on w-9')
    expect(await placesOf(graflow, id)).toEqual(['w-2', 'w-2', 'w-2', 'w-9'])
    await Promise.all([workers[1]?.stop(), home.stop()])
    await until(async () => (await graflow.deployments.get(id))?.status === 'waiting', 'no worker')
    const waiting = await graflow.deployments.inject(id, { eventType: 'a1', fields: { value: 1 } }, { waitMs: 0 })
    expect(waiting).toMatchObject({ workerId: undefined, state: 'pending' })
    await workerHere(own, 'w-3', tasks)
    const run = await graflow.attach(waiting.runId)
    expect(await run.result()).toEqual({ value: 1, seen: true })
    await until(async () => (await placesOf(graflow, id))?.every((one) => one === 'w-3'), 'all pipelines on w-3')
  })

  it('are in the topology, with the workers, their age, and who leads; a lost worker can be taken off it', async () => {
    const { graflow, workers } = await here(['w-1', 'w-2'])
    const { id } = await graflow.deployments.deploy(four({ placement: 'least-loaded' }))
    const topology = await graflow.deployments.topology()
    expect(topology.groups.map((group) => [group.id, group.routes.length])).toEqual([[id, 4]])
    const nodes = topology.nodes.map((node) => [node.id, node.state, node.role, node.pipelines])
    expect(nodes).toEqual([
      ['w-1', 'ready', 'auto', [`${id}/a`, `${id}/c`]],
      ['w-2', 'ready', 'auto', [`${id}/b`, `${id}/d`]],
    ])
    expect(topology.nodes.every(({ heartbeatAgeMs }) => heartbeatAgeMs >= 0 && heartbeatAgeMs < 60_000)).toBe(true)
    // the clock of the store has fractions of a millisecond
    expect(topology.nodes.map(({ heartbeatAgeMs }) => heartbeatAgeMs).filter((ms) => !Number.isInteger(ms))).toEqual([])
    await until(async () => ['w-1', 'w-2'].includes((await graflow.deployments.topology()).leader ?? ''), 'a leader')
    expect(await graflow.workers.delete('nobody')).toBe('unknown')
    expect(await graflow.workers.delete('w-1')).toBe('draining')
    await until(async () => (await graflow.workers.get('w-1')) === undefined, 'w-1 to have left')
    await until(() => workers[0]?.state === 'stopped', 'w-1 to have stopped')
    expect(await graflow.workers.delete('w-1')).toBe('unknown')
  })

  it('carry an event on whose process was lost between two pipelines', async () => {
    const { stage: own } = await here([])
    const gate = new Gate()
    const slow = task('slow', async () => gate.pass().then(() => 'open'))
    await workerHere(own, 'w-1', [...tasks, slow])
    const [lost, other] = [await own.client(), await own.client()]
    const stop = other.deployments.carryOn()
    const { id } = await lost.deployments.deploy({
      name: 'chain',
      pipelines: [
        { name: 'first', source: 'slow' },
        { name: 'second', source: 'alarm' },
      ],
      routes: [
        { from: '_external', to: 'first', eventTypes: ['*'] },
        { from: 'first', to: 'second', eventTypes: ['*'] },
      ],
    })
    const injected = await lost.deployments.inject(id, { eventType: 'Go' }, { waitMs: 0 })
    expect(injected.deliveries).toMatchObject([{ routedTo: 'first' }])
    await lost.close()
    gate.open()
    const list = () => other.runs.list({ tag: 'pipeline:second' })
    await until(async () => (await list()).items[0]?.state === 'failed', 'the second pipeline')
    expect((await list()).items).toHaveLength(1)
    await until(async () => (await own.redis.hkeys(own.keys.documents('injections'))).join() === '#', 'the end of it')
    stop()
  })

  /** Two pipelines behind each other, of which the first waits for the gate. */
  const chained = async () => {
    const { stage: own } = await here([])
    const gate = new Gate()
    const slow = task('slow', async () => gate.pass().then(() => 'open'))
    await workerHere(own, 'w-1', [...tasks, slow])
    const kept = async () => (await own.redis.hkeys(own.keys.documents('injections'))).filter((name) => name !== '#')
    const chain: PipelineGroupSpec = {
      name: 'chain',
      pipelines: ['slow', 'alarm'].map((source) => ({ name: source, source })),
      routes: [
        { from: '_external', to: 'slow', eventTypes: ['*'] },
        { from: 'slow', to: 'alarm', eventTypes: ['*'] },
      ],
    }
    return { own, gate, kept, chain }
  }

  it('take up all events of a lost process at once, while others come', async () => {
    const { own, gate, kept, chain } = await chained()
    const [lost, other] = [await own.client(), await own.client()]
    const { id } = await lost.deployments.deploy(chain)
    const inject = (from: Graflow) => from.deployments.inject(id, { eventType: 'Go' }, { waitMs: 0 })
    await Promise.all(Array.from({ length: 60 }, () => inject(lost)))
    const names = new Set(await kept())
    await lost.close()
    const enough = new AbortController()
    const others = (async () => {
      while (!enough.signal.aborted) await inject(other)
    })()
    const stop = other.deployments.carryOn()
    await until(async () => !(await kept()).some((name) => names.has(name)), 'all of them to be taken up')
    enough.abort()
    await others
    stop()
    gate.open()
    await until(async () => (await kept()).length === 0, 'the end of all')
  })

  it('protect an event under way from another event under its key', async () => {
    const { own, gate, kept, chain } = await chained()
    const graflow = await own.client()
    const { id } = await graflow.deployments.deploy(chain)
    const inject = (fields: unknown) =>
      graflow.deployments.inject(id, { eventType: 'Go', fields }, { waitMs: 0, idempotencyKey: 'once' })
    await inject(1)
    const before = await kept()
    expect((await failureOf(inject(2))).code).toBe('RUN_EXISTS')
    expect(await kept()).toEqual(before)
    expect(before).toHaveLength(1)
    gate.open()
    await until(async () => (await kept()).length === 0, 'the end of it')
  })

  it('are through with an event whose run is deleted', async () => {
    const { own, gate, kept, chain } = await chained()
    const graflow = await own.client()
    const { id } = await graflow.deployments.deploy(chain)
    const inject = (waitMs: number) =>
      graflow.deployments.inject(id, { eventType: 'Go' }, { waitMs, idempotencyKey: 'once' })
    const waiting = inject(30_000)
    await until(async () => (await graflow.runs.list()).items.length === 1, 'the run of the first call')
    const { runId } = await inject(0)
    expect(await kept()).toHaveLength(2)
    await graflow.runs.delete(runId)
    const answer = await waiting
    expect(answer).toMatchObject({ routedTo: 'slow', state: 'cancelled' })
    expect(['CANCELLED', 'RUN_NOT_FOUND']).toContain(answer.error?.code) // deleted while it was waited for, or before
    await until(async () => (await kept()).length === 0, 'the end of it')
    expect(await graflow.runs.get(runId)).toBeUndefined()
    gate.open()
  })
})
