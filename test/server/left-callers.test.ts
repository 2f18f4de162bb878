/** Whatever a request waits for ends when its caller leaves. */
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { connect as dial } from 'node:net'
import { connect, task, waitFor, workflow } from 'graflow'
import { openPlane, type TestPlane } from '../support/control-plane.js'
import { until } from '../support/waits.js'

const asks = workflow('asks', waitFor('never').to(task('echo', (given: unknown) => given)))
const group = {
  name: 'g',
  pipelines: [{ name: 'p', source: 'asks' }],
  routes: [{ from: '_external', to: 'p', eventTypes: ['*'] }],
}

describe('a caller that leaves', () => {
  let plane: TestPlane
  let groupId: string
  beforeAll(async () => {
    plane = await openPlane({ tasks: [asks] })
    groupId = (await plane.graflow.deployments.deploy(group)).id
  })
  afterAll(() => plane.close())

  const call = (method: string, params: object): object => ({ jsonrpc: '2.0', id: 1, method, params })
  const start = { workflow: 'asks', wait: 300_000 }
  it.each<[string, () => [path: string, body: unknown]]>([
    ['the start of a run', () => ['/api/v1/runs?wait=300000', { workflow: 'asks' }]],
    [
      'an event',
      () => [`/api/v1/cluster/pipeline-groups/${groupId}/inject?wait=60000`, { eventType: 'a', fields: {} }],
    ],
    ['JSON-RPC: the start of a run', () => ['/rpc', call('runs.start', start)]],
    ['JSON-RPC: a batch', () => ['/rpc', [call('queues.list', {}), call('runs.start', start)]]],
    [
      'JSON-RPC: an event',
      () => ['/rpc', call('cluster.inject', { id: groupId, wait: 60_000, eventType: 'a', fields: {} })],
    ],
    [
      'JSON-RPC: tasks',
      () => [
        '/rpc',
        call('tasks.execute', { tasks: Array.from({ length: 20 }, (_, i) => ({ id: i, name: 'asks', inputs: null })) }),
      ],
    ],
  ])('ends the wait for %s', async (_, ask) => {
    const before = (await plane.graflow.runs.list({ limit: 200 })).items.length
    const [path, body] = ask()
    const left = new AbortController()
    let isAnswered = false
    const headers = { 'content-type': 'application/json' }
    const answer = Promise.resolve(
      plane.app.request(path, { method: 'POST', headers, body: JSON.stringify(body), signal: left.signal }),
    ).finally(() => (isAnswered = true))
    await until(async () => (await plane.graflow.runs.list({ limit: 200 })).items.length > before, 'a run to begin')
    expect(isAnswered).toBe(false)
    left.abort()
    expect((await answer).ok).toBe(true)
  })
})

it('is noticed by its socket, within a call of JSON-RPC, too; and nothing is left behind by requests that end', async () => {
  const graflow = await connect({ logLevel: 'silent', tasks: [asks], serve: { port: 0 } })
  const port = graflow.server?.port ?? 0
  const listening = jest.spyOn(AbortSignal.prototype, 'addEventListener')
  const unlistening = jest.spyOn(AbortSignal.prototype, 'removeEventListener')
  try {
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'runs.start',
      params: { workflow: 'asks', wait: 300_000 },
    })
    const socket = dial(port, '127.0.0.1')
    socket.write(
      `POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    )
    await until(() => listening.mock.calls.length > 0, 'the server to wait')
    expect(unlistening).not.toHaveBeenCalled()
    socket.destroy()
    await until(() => unlistening.mock.calls.length === listening.mock.calls.length, 'the server to wait no longer')
    listening.mockClear()
    // each listener on the signal of a request is one that the garbage collector has to clear away
    for (let n = 0; n < 20; n += 1) {
      const sent = request({ port, path: '/rpc', method: 'POST', headers: { 'content-type': 'application/json' } })
      sent.end(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'queues.list' }))
      const [answer] = (await once(sent, 'response')) as [IncomingMessage]
      expect(answer.statusCode).toBe(200)
      answer.resume()
    }
    expect(listening).not.toHaveBeenCalled()
  } finally {
    listening.mockRestore()
    unlistening.mockRestore()
    await graflow.close()
  }
})
