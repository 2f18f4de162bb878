/** Code of users may throw a proxy that throws itself as soon as it is asked anything: the run fails with that, and the process goes on. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { each, par, policy, seq, task, type AnyNode } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOfRun } from '../support/runs.js'

const refuse = (): never => {
  throw new Error('trap')
}
const trap: unknown = new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse, getPrototypeOf: refuse })
const throwsTrap = (): never => {
  throw trap
}
const schema: StandardSchemaV1<number, number> = {
  '~standard': { version: 1, vendor: 'test', validate: throwsTrap },
}

describeOnBothStores('a thrown proxy', (open) => {
  const inputs = task('inputs', { input: schema }, (n) => n)
  const outputs = task('outputs', { output: schema }, (n: number) => n)
  const handler = task('handler', { retry: { attempts: 2 } }, throwsTrap)
  const late = task('late', { timeoutMs: 60_000 }, async () => Promise.resolve().then(throwsTrap))
  const later = task('later', async () => Promise.resolve().then(throwsTrap))
  const whole = task('whole', (n: number) => n)
  const refuses = par(whole, whole).join(policy('refuses', throwsTrap))

  it('of a schema, a handler or a policy fails the run that it was thrown in', async () => {
    const tasks: AnyNode[] = [inputs, outputs, handler, late, later, whole, refuses]
    const graflow = await open(tasks)
    for (const one of [inputs, outputs, handler, late, later] as (typeof inputs)[]) {
      const step = await failureOfRun(graflow, seq(one, whole), 1)
      expect([step.code, step.details['task']]).toEqual(['TASK_FAILED', one.name])
      const branch = await failureOfRun(graflow, each(one), [1])
      expect([branch.code, branch.errors]).toEqual(['GROUP_FAILED', [expect.objectContaining({ code: 'TASK_FAILED' })]])
    }
    expect((await failureOfRun(graflow, refuses, 1)).code).toBe('GROUP_FAILED')
    expect(await graflow.run(whole, 1)).toBe(1)
  })
})
