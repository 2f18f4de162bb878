/** docs/metrics.md against what processes really export: the page is compared with the text of `/metrics`, in both directions. */
import { Emitter } from '../../lib/events.js'
import { Metrics } from '../../lib/observe/metrics.js'
import { readDoc, tableRows } from './doc-table.js'

interface Exported {
  readonly type: string
  readonly help: string
  readonly labels: readonly string[]
}

/** Reads the text format: each metric's type, help and the labels of its samples. */
function read(text: string): ReadonlyMap<string, Exported> {
  const helps = [...text.matchAll(/^# HELP (\w+) (.*)$/gm)]
  return new Map(
    helps.map(([, name = '', help = '']) => {
      const type = new RegExp(`^# TYPE ${name} (\\w+)$`, 'm').exec(text)?.[1] ?? 'none'
      const samples = [...text.matchAll(new RegExp(`^${name}(?:_bucket|_sum|_count)?(?:\\{(.*)\\})? \\S+$`, 'gm'))]
      if (samples.length === 0) throw new Error(`${name} has no sample: tell the test how to make one`)
      const labels = samples.flatMap(([, inside = '']) =>
        [...inside.matchAll(/(\w+)="/g)].map(([, label = '']) => label),
      )
      return [name, { type, help, labels: [...new Set(labels)] }]
    }),
  )
}

/** What each kind of process exports once everything has happened that it counts. */
async function exportedBy(...parts: readonly ('process' | 'store')[]): Promise<ReadonlyMap<string, Exported>> {
  const events = new Emitter(() => 5)
  const process = { events, tasks: [], inFlight: () => 0, graphHits: () => 0, now: () => 0 }
  const store = {
    ...{ keyPrefix: 'p', ownQueues: ['default'] },
    queues: () => Promise.resolve([]),
    ping: () => Promise.resolve(),
    onLeftOut: () => undefined,
    serving: () => Promise.resolve([]),
    isLed: () => Promise.resolve(true),
    waits: () => Promise.resolve({ busy: 1 }),
    totals: () =>
      Promise.resolve({
        ...{ now: 0, deadLetters: 1, candidates: 1, bytes: { used: 1, peak: 2, limit: 3 } },
        ended: [{ workflow: 'w', state: 'completed', count: 1 }],
      }),
  }
  const metrics = new Metrics({
    ...(parts.includes('process') && { process }),
    ...(parts.includes('store') && { store }),
  })
  events.emit('branches:settled', {
    ...{ workerId: 'w', succeeded: 1, failed: 1, retried: 1, fenced: 1 },
    tasks: [{ task: 't', succeeded: 1, failed: 1, retried: 1, durationMs: 3 }],
  })
  const text = await metrics.text()
  metrics.close()
  return read(text)
}

const page = readDoc('metrics.md')
const rows = tableRows(page, 'All metrics')
const code = (cell: string): readonly string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
const questions = tableRows(page, 'Questions').map(([question = '', query = '']) => ({
  question,
  query: code(query)[0] ?? '',
}))

/** Of a metric with its series: `_sum` of a histogram is the histogram's. */
const metricOf = (series: string, exported: ReadonlyMap<string, Exported>): string => {
  const base = series.replace(/_(bucket|sum|count)$/, '')
  return exported.get(base)?.type === 'histogram' ? base : series
}

/** What is wrong with a query: a metric or a label that is not exported. */
function faultsOf(query: string, exported: ReadonlyMap<string, Exported>): readonly string[] {
  const series = query.match(/graflow_\w+/g) ?? []
  const names = series.map((one) => metricOf(one, exported))
  const known = new Set(['instance', ...names.flatMap((name) => exported.get(name)?.labels ?? [])])
  const used = [
    ...[...query.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, */)),
    ...[...query.matchAll(/(\w+)="/g)].map(([, label = '']) => label),
  ]
  return [
    ...(names.length === 0 ? [`${query} asks for no metric`] : []),
    ...names.filter((name) => !exported.has(name)),
    ...series
      .filter((one) => exported.get(one)?.type === 'histogram')
      .map((one) => `${one} without _bucket, _sum or _count`),
    ...used.filter((label) => !known.has(label)),
  ]
}

describe('docs/metrics.md', () => {
  let exported: ReadonlyMap<string, Exported>
  beforeAll(async () => {
    exported = await exportedBy('process', 'store')
  })

  it('says of every metric what a worker exports, and of no other', () => {
    const told = rows.map(([name = '', type, labels = '', , , help]) => [code(name)[0], type, code(labels), help])
    expect(told).toEqual([...exported].map(([name, { type, labels, help }]) => [name, type, labels, help]))
  })

  it('says which processes export it', async () => {
    const producers = await exportedBy('process')
    const exporters = await exportedBy('store')
    expect(exporters.size + producers.size).toBe(exported.size)
    const told = rows.map(([name = '', , , , from]) => [code(name)[0], from])
    expect(told).toEqual([...exported.keys()].map((name) => [name, exporters.has(name) ? 'store' : 'process']))
  })

  it('gives every metric a unit, and seconds to those that are named so', () => {
    const units = rows.map(([name = '', , , unit = '']) => [
      name,
      /_seconds`/.test(name),
      unit === 'seconds',
      unit !== '',
    ])
    expect(units.filter(([, named, told, some]) => named !== told || some !== true)).toEqual([])
  })

  it('asks for nothing that is not exported', () => {
    expect(questions.length).toBeGreaterThan(10)
    expect(questions.flatMap(({ query }) => faultsOf(query, exported))).toEqual([])
  })

  it('has a question for every metric', () => {
    const asked = new Set(
      questions.flatMap(({ query }) => (query.match(/graflow_\w+/g) ?? []).map((one) => metricOf(one, exported))),
    )
    expect([...exported.keys()].filter((name) => !asked.has(name))).toEqual([])
  })

  it.each([
    ['rate(graflow_task_total[5m])', 'graflow_task_total'],
    ['sum by (queue) (graflow_tasks_total)', 'queue'],
    ['graflow_tasks_total{result="failed"}', 'result'],
    ['rate(graflow_task_duration_seconds[5m])', 'graflow_task_duration_seconds without _bucket, _sum or _count'],
    ['up == 0', 'up == 0 asks for no metric'],
  ])('would see what is wrong with %s', (query, fault) => {
    expect(faultsOf(query, exported)).toEqual([fault])
  })
})
