/** What is answered about runs that failed: briefly in lists, whole for one, and never as if asking again could help. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { each, task, workflow } from 'graflow'
import { openPlane, type TestPlane } from '../support/control-plane.js'

const ITEMS = 200
const fails = task('fails', () => {
  throw new Error('it does not work')
})
const all = workflow('all', each(fails))
const one = workflow('one', fails)
const long = workflow(
  'long',
  task('wordy', () => {
    throw new Error('long '.repeat(2_000))
  }),
)

describe('failed runs over HTTP', () => {
  let plane: TestPlane
  beforeAll(async () => {
    plane = await openPlane({ tasks: [all, one, long] })
    const start = { workflow: 'all', id: 'many', input: Array.from({ length: ITEMS }, (_, i) => i) }
    await plane.ask('POST', '/api/v1/runs?wait=20000', start)
    await plane.ask('POST', '/api/v1/runs?wait=20000', { workflow: 'one', id: 'one', input: 1 })
  })
  afterAll(() => plane.close())

  it('are brief in lists, also by JSON-RPC, and whole one by one', async () => {
    const { text, json } = await plane.ask('GET', '/api/v1/runs?workflow=all')
    expect(json.items).toMatchObject([{ id: 'many', error: { code: 'GROUP_FAILED', details: {} } }])
    const allowed = ['name', 'code', 'message', 'retryable', 'details']
    const { error } = json.items[0]
    expect(Object.keys(error).filter((key) => !allowed.includes(key))).toEqual([])
    expect(error.details).not.toHaveProperty('outcomes')
    expect(text.length).toBeLessThan(3_000)
    const call = { jsonrpc: '2.0', id: 1, method: 'runs.list', params: { workflow: 'all' } }
    expect((await plane.ask('POST', '/rpc', call)).json.result.items[0].error).toEqual(error)
    const letters = await plane.ask('GET', '/api/v1/dead-letters?limit=1')
    expect(letters.json.items[0].error).not.toHaveProperty('stack')
    const whole = (await plane.ask('GET', '/api/v1/runs/many')).json.error
    expect(whole).toMatchObject({ stack: expect.any(String), details: { outcomes: expect.any(Array) } })
  })

  it('are all in their lists, however much they say', async () => {
    const ids = Array.from({ length: 150 }, (_, i) => `long-${i}`)
    await Promise.all(ids.map((id) => plane.ask('POST', '/api/v1/runs?wait=20000', { workflow: 'long', id, input: 1 })))
    const { json, text } = await plane.ask('GET', '/api/v1/runs?workflow=long&limit=200')
    expect(json.items.map(({ id }: { id: string }) => id).sort()).toEqual([...ids].sort())
    expect(json.items[0]).toMatchObject({ state: 'failed', error: { code: 'TASK_FAILED' } })
    expect(text.length).toBeLessThan(150 * 8_000)
  })

  it('say of a value that there is none, and that asking again gives the same', async () => {
    const { status, json } = await plane.ask('GET', '/api/v1/runs/one/values')
    expect({ status, ...json }).toMatchObject({ status: 409, code: 'TASK_FAILED', retryable: false })
  })
})

const itWithPython = spawnSync('python3', ['--version']).status === 0 ? it : it.skip

describe('the worker in Python', () => {
  itWithPython('calls with the key of GRAFLOW_API_KEY, unless it is given one', () => {
    const program = 'from worker import Worker; print(Worker([], {}).key, Worker([], {}, key="own").key)'
    const { stdout } = spawnSync('python3', ['-B', '-c', program], {
      cwd: join(__dirname, '../../examples/workers/python'),
      env: { ...process.env, GRAFLOW_API_KEY: 'of-the-environment' },
    })
    expect(stdout.toString().trim()).toBe('of-the-environment own')
  })
})
