/** A run with very many groups over HTTP: its status has all that it always has. */
import { each, seq, task, workflow } from 'graflow'
import { openPlane } from '../support/control-plane.js'

it('has its progress, waits and error beside the first and the last of its groups', async () => {
  const inner = each(
    seq(
      task('one', (n: number) => [n]),
      each(task('two', (n: number) => n)),
    ),
  )
  const fails = task('fails', () => {
    throw new Error('at the end')
  })
  const plane = await openPlane({ tasks: [workflow('nested', seq(inner, fails))] })
  const input = Array.from({ length: 2_000 }, (_, i) => i)
  await plane.ask('POST', '/api/v1/runs?wait=60000', { workflow: 'nested', id: 'nested', input })
  const { json } = await plane.ask('GET', '/api/v1/runs/nested')
  const paths = json.groups.map(({ path }: { path: string }) => path)
  expect(paths.length).toBe(1_600)
  expect(json).toMatchObject({ progress: [], waits: [], byHand: [], error: { code: 'TASK_FAILED' } })
  await plane.close()
})
