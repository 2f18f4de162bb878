/** The types of graflow/testing: what test runs and stand-ins take and give. It compiles; each error that must come is marked. Nothing here is run. */
import { declareTask, each, flow, seq, task, workflow } from 'graflow'
import { failAttempt, hang, loseWorker, standIn, testRun, type TestRun, type TestState } from 'graflow/testing'

type Eq<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function is<T extends true>(): void

const geo = task('geo', async (u: { id: string }) => ({ city: 'London' }))
const score = task('score', { retry: { attempts: 3 } }, (place: { city: string }, ctx) => place.city.length)
const noInput = task('no-input', () => 1)
const whole = workflow('whole', seq(geo, score))

// the input and the result are those of the flow, in every spelling
const run = await testRun(seq(geo, score), { id: '42' })
is<Eq<typeof run, TestRun<number>>>()
is<Eq<Awaited<ReturnType<typeof run.result>>, number>>()
is<Eq<Awaited<ReturnType<typeof run.advance>>, TestState>>()
const places = await testRun(each(geo), [{ id: '1' }], {})
is<Eq<Awaited<ReturnType<typeof places.result>>, { city: string }[]>>()
const text = await testRun(flow('geo >> score', { geo, score }), { id: '42' }, { workMs: 1 })
is<Eq<Awaited<ReturnType<typeof text.result>>, number>>()
is<Eq<Awaited<ReturnType<Awaited<ReturnType<typeof testRun<typeof whole>>>['result']>>, number>>()
const none = await testRun(noInput)
is<Eq<Awaited<ReturnType<typeof none.result>>, number>>()
await testRun(noInput, undefined, { seed: 2 })
is<Eq<Awaited<ReturnType<typeof run.signal>>, boolean>>()
const city: Promise<{ city: string }> = run.run.result(geo)

// @ts-expect-error the flow takes an id
await testRun(whole, { name: 'x' })
// @ts-expect-error the flow needs an input
await testRun(whole)
// @ts-expect-error there is no such option
await testRun(whole, { id: '42' }, { replaces: [] })
// @ts-expect-error a handler is no stand-in
await testRun(whole, { id: '42' }, { replace: [() => 1] })
// @ts-expect-error no flow
await testRun('geo', { id: '42' })

// a stand-in takes and gives what its task does, and directs as any handler
standIn(geo, (user) => ({ city: user.id }))
standIn(geo, async (user, ctx) => {
  is<Eq<typeof user, { id: string }>>()
  if (ctx.attempt > 1) return ctx.finish(1)
  return ctx.cycle > 2 ? { city: 'Paris' } : ctx.again({ id: 'next' })
})
standIn(declareTask<string, number>('far'), (word) => word.length)
standIn(noInput, () => 2)
// @ts-expect-error the task gives a city
standIn(geo, (user) => ({ town: user.id }))
// @ts-expect-error the task gets an id
standIn(geo, (user: { name: string }) => ({ city: user.name }))
// @ts-expect-error the task again takes an id
standIn(geo, (user, ctx) => ctx.again({ name: user.id }))
// @ts-expect-error a workflow is no task: name the tasks in it
standIn(whole, () => 1)

// faults
await testRun(whole, { id: '42' }, { faults: [failAttempt(geo, 1, new Error('no')), hang(score), loseWorker(geo, 2)] })
loseWorker(geo, 1, { after: true, path: '0' })
// @ts-expect-error there is no such option
hang(geo, 1, { after: true })
// @ts-expect-error which attempt?
failAttempt(geo)
