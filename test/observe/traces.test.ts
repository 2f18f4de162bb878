/** Spans, as the SDK of OpenTelemetry gets them. */
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node'
import { connect, each, seq, task, workflow } from 'graflow'
import { ATTRIBUTES } from '../../lib/observe/traces.js'
import { readDoc, tableRows } from '../repo-rules/doc-table.js'
import { SharedStore } from '../support/shared-store.js'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })

let store: SharedStore
beforeEach(() => {
  provider.register()
  exporter.reset()
  store = new SharedStore()
})
afterEach(async () => {
  await store.end()
  trace.disable()
  context.disable()
})

const list = task('list', (n: number) => [n, n + 1])
const flaky = task('flaky', { retry: { attempts: 2 } }, async (n: number, ctx) => {
  await trace.getTracer('user').startActiveSpan('user work', async (span) => {
    span.end()
  })
  if (n === 2 && ctx.attempt === 1) throw new TypeError('not yet')
  return n
})
const work = workflow('work', seq(list, each(flaky).configure({ name: 'all' })))

/** The span above it, by name. */
const parentOf = (span: ReadableSpan): string | undefined =>
  exporter.getFinishedSpans().find((other) => other.spanContext().spanId === span.parentSpanContext?.spanId)?.name
const spansOf = (name: string): readonly ReadableSpan[] =>
  exporter.getFinishedSpans().filter((span) => span.name === name)
const attributesOf = (name: string, attribute: keyof typeof ATTRIBUTES): readonly unknown[] =>
  spansOf(name).map(({ attributes }) => attributes[ATTRIBUTES[attribute]])

describe('traces', () => {
  it('have a run, its steps, its groups, and every start of a branch, one below the other', async () => {
    const client = await connect({ logLevel: 'silent' })
    await trace.getTracer('user').startActiveSpan('request', async (span) => {
      await client.run(work, 1)
      span.end()
    })
    await client.close()
    const tree = exporter.getFinishedSpans().map((span) => [span.name, parentOf(span)])
    expect(new Set(tree.map(([name, parent]) => `${name} < ${parent}`))).toEqual(
      new Set([
        'request < undefined',
        'run work < request',
        'step list < run work',
        'group all < run work',
        'branch flaky < group all',
        'user work < branch flaky',
      ]),
    )
    expect(new Set(exporter.getFinishedSpans().map((span) => span.spanContext().traceId)).size).toBe(1)
    expect(attributesOf('group all', 'width')).toEqual([2])
    expect(attributesOf('run work', 'outcome')).toEqual(['completed'])
  })

  it('show a retry as one more start, and the error of the one before', async () => {
    const client = await connect({ logLevel: 'silent' })
    await client.run(work, 1)
    await client.close()
    const starts = spansOf('branch flaky')
    expect(starts.map(({ attributes }) => attributes['graflow.attempt']).sort()).toEqual([1, 1, 2])
    const [failed] = starts.filter(({ status }) => status.code === SpanStatusCode.ERROR)
    expect(failed?.attributes).toMatchObject({ 'graflow.outcome': 'retried', 'graflow.retry_in_ms': 0 })
    expect(failed?.status.message).toContain('not yet')
    expect(failed?.kind).toBe(SpanKind.CONSUMER)
  })

  it('stand an error that throws when it is looked at', async () => {
    const hostile = task('hostile', { retry: { attempts: 2 } }, (n: number, ctx) => {
      if (ctx.attempt === 1)
        throw Object.defineProperty(new Error('x'), 'message', {
          get: () => {
            throw new Error('a getter')
          },
        })
      return n
    })
    const client = await connect({ logLevel: 'silent' })
    expect(await client.run(seq(hostile, list), 3)).toEqual([3, 4])
    await client.close()
    expect(attributesOf('step hostile', 'outcome')).toEqual(['retried', 'succeeded'])
  })

  it('have the failure of a step and of its run', async () => {
    const bad = task('bad', (_: number): number => {
      throw new Error('no')
    })
    const client = await connect({ logLevel: 'silent' })
    await client.run(bad, 1).catch(() => undefined)
    await client.close()
    for (const name of ['step bad', 'run']) {
      const [span] = spansOf(name)
      expect([name, span?.status.code, span?.attributes['graflow.outcome']]).toEqual([
        name,
        SpanStatusCode.ERROR,
        'failed',
      ])
    }
  })

  it('go on in the worker that drives a submitted run', async () => {
    await store.started({ tasks: [work], workerId: 'w' })
    const client = await store.client()
    const { findTracer } = await import('../../lib/observe/traces.js')
    Object.assign(client.events, { tracer: await findTracer() })
    const run = await client.submit(work, 5)
    await run.result()
    const [drive] = spansOf('run')
    expect(drive === undefined ? undefined : parentOf(drive)).toBe('submit work')
    expect(drive?.attributes).toMatchObject({ 'graflow.workflow': 'work', 'graflow.worker.id': 'w' })
    expect(spansOf('branch flaky').map(parentOf)).toEqual(['group all', 'group all'])
  })

  it('are not made where nothing is sampled or registered', async () => {
    trace.disable()
    const client = await connect({ logLevel: 'silent' })
    await client.run(work, 5)
    await client.close()
    expect(exporter.getFinishedSpans()).toEqual([])
  })

  it('have the attributes that docs/traces.md names', () => {
    const told = tableRows(readDoc('traces.md'), 'Attributes').map(([name = '']) => name.replaceAll('`', ''))
    expect(told).toEqual([...Object.values(ATTRIBUTES), 'messaging.system.name'])
  })
})
