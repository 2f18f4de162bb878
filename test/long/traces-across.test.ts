/** One trace over processes, of which one is killed. */
import { join } from 'node:path'
import { context, trace } from '@opentelemetry/api'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { connect } from 'graflow'
import { endChildren, startWorker, type Child } from '../support/processes.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { hangs } from '../observe/hang.tasks.js'

const exporter = new InMemorySpanExporter()

beforeAll(() => {
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register()
})
afterAll(async () => {
  await endChildren()
  trace.disable()
  context.disable()
})

interface Printed {
  readonly traceId: string
  readonly parent: string
  readonly attributes: Readonly<Record<string, unknown>>
}

describe('a trace over processes', () => {
  it('shows that another worker has taken a branch over, below the group of the client', async () => {
    const { port } = await sharedRedis()
    const [url, keyPrefix] = [`redis://127.0.0.1:${port}`, freshPrefix()]
    const start = (id: string): Promise<Child> =>
      startWorker({
        ...{ tasks: join(__dirname, '../observe/hang.tasks.ts'), url, keyPrefix, id },
        nodeFlags: ['--import', join(__dirname, '../observe/print-spans.mjs')],
      })
    const client = await connect(url, { keyPrefix, logLevel: 'silent' })
    const first = await start('first')
    const result = client.run(hangs, [7])
    await first.said(/started 1/)
    await first.kill9()
    const second = await start('second')
    expect(await result).toEqual([7])
    const [, line = ''] = await second.said(/^span (\{"name":"branch hang".*\})$/m)
    await client.close()
    const branch = JSON.parse(line) as Printed
    const group = exporter.getFinishedSpans().find(({ name }) => name === 'group all')
    const { traceId, spanId } = group?.spanContext() ?? {}
    expect(branch).toMatchObject({
      ...{ traceId, parent: spanId },
      attributes: { 'graflow.attempt': 2, 'graflow.losses': 1, 'graflow.worker.id': 'second' },
    })
    expect(first.output).not.toContain('"name":"branch hang"')
  })
})
