/** Flows written as text over the names that a deployment knows. */
import { task, workflow } from 'graflow'
import type { SessionStatus, StoredWorkflow } from '../../lib/backend/backend.js'
import { Registry } from '../../lib/engine/registry.js'
import { expressionOf } from '../../lib/flow/node.js'
import { print } from '../../lib/flow/print.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { flowOfText, type FlowTextServices } from '../../lib/admin/flow-text.js'

const double = task('double', { retry: { attempts: 3 } }, (n: number) => n * 2)
const twice = workflow('twice', double.to(double))

/** A deployment with a live worker that knows `ingest`, and a workflow of a worker that is gone. */
function deployment(own: readonly Parameters<typeof expressionOf>[0][] = []): FlowTextServices {
  const registry = new Registry()
  for (const node of own) registry.learn(expressionOf(node))
  const graph = graphOf(expressionOf(task('sleeper', () => 1).to(task('waker', () => 1))))
  const stored: StoredWorkflow = { name: 'nightly', graph: 'hash' }
  const sessions = [{ tasks: ['ingest', 'store.all', 'policy:vote'] }, { tasks: 'all' }] as unknown as SessionStatus[] // what is read of them
  const inspect = {
    sessions: () => Promise.resolve(sessions),
    workflowNames: () => Promise.resolve(['nightly', 'gone']),
    workflow: (name: string) => Promise.resolve(name === 'nightly' ? stored : undefined),
  }
  const graphs = { load: () => Promise.resolve(graph) }
  return { backend: { inspect }, engine: { registry, graphs } } as unknown as FlowTextServices // what is asked of them
}

const compiled = async (text: unknown, own?: Parameters<typeof deployment>[0]): Promise<string> =>
  print(expressionOf(await flowOfText(deployment(own), text)))

describe('a flow as text', () => {
  it('is made of tasks that live workers know, declared', async () => {
    expect(await compiled('ingest >> (store.all | ingest*)')).toBe('ingest >> (store.all | ingest*)')
    const node = await flowOfText(deployment(), 'ingest')
    expect(expressionOf(node)).toMatchObject({ kind: 'task', name: 'ingest', options: {} })
  })

  it('takes the code that is here, with its options, and its workflows', async () => {
    const node = await flowOfText(deployment([twice]), 'double >> twice')
    expect(expressionOf(node)).toMatchObject({
      steps: [
        { name: 'double', options: { retry: { attempts: 3 } }, handler: expect.any(Function) },
        { name: 'twice' },
      ],
    })
  })

  it('knows tasks of registered workflows where no worker lives', async () => {
    expect(await compiled('sleeper >> waker')).toBe('sleeper >> waker')
  })

  it.each([
    ['ingst >> store.all', 'UNKNOWN_NAME', 'got "ingst" at 0 (did you mean "ingest"?); known are ingest, sleeper'],
    ['par(ingest)', 'UNKNOWN_NAME', 'unknown name "par" at 0: calls'],
    ['policy:vote', 'UNKNOWN_NAME', 'got "policy" at 0'],
    ['ingest >>', 'FLOW_SYNTAX', 'a name or a bracket is missing at 9, the text ends'],
    ['', 'FLOW_SYNTAX', 'the text is empty'],
    [
      7,
      'INVALID_OPTION',
      'flow: expected the text of a flow, such as "a >> (b | c)", of at most 65536 characters, got 7',
    ],
    ['x'.repeat(70_000), 'INVALID_OPTION', 'got one of 70000 characters'],
  ])('refuses %j', async (text, code, message) => {
    await expect(compiled(text)).rejects.toMatchObject({ code, message: expect.stringContaining(message) as unknown })
  })
})
