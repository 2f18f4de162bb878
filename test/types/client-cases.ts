/** The client's types: what runs take and give. It compiles; each error that must come is marked. Nothing here is run. */
import {
  task,
  declareTask,
  flow,
  seq,
  par,
  each,
  workflow,
  connect,
  type Node,
  type Outcome,
  type Run,
  type GraflowError,
  type WaitReason,
} from 'graflow'
import * as tasks from './edge-tasks.js'

type Eq<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function is<T extends true>(): void

const fetchUser = task('fetch-user', async (input: { id: string }) => ({ id: input.id, name: 'Ada' }))
const geo = task('geo', async (u: { id: string }) => ({ city: 'London' }))
const score = task('score', { retry: { attempts: 3 }, timeoutMs: 5_000 }, async (u: { name: string }, ctx) => 0.97)
const merge = task('merge', ([g, s]: [{ city: string }, number]) => ({ ...g, score: s }))
const noInput = task('no-input', () => 1)
type G = { city: string }
const e1 = flow('fetchUser >> (geo | score) >> merge', { fetchUser, geo, score, merge })
const e2 = seq(fetchUser, par(geo, score), merge)
const e4 = flow`${fetchUser} >> (${geo} | ${score}) >> ${merge}`
const wf = workflow('enrich', e1, { timeoutMs: 3 })

const graflow = await connect('redis://localhost:6379', { keyPrefix: 'myapp:workflows' })
const out = await graflow.run(wf, { id: '42' })
is<Eq<typeof out, { score: number; city: string }>>()
const run = await graflow.start(e1, { id: '42' }, { id: 'x', timeoutMs: 3 })
is<Eq<typeof run, Run<{ score: number; city: string }>>>()
const got = await run.result()
is<Eq<typeof got, { score: number; city: string }>>()
const ofTask = await run.result(geo)
is<Eq<typeof ofTask, G>>()
const byPath = await run.result('0/1')
is<Eq<typeof byPath, unknown>>()
const att = await graflow.attach('id', wf)
is<Eq<typeof att, Run<{ score: number; city: string }>>>()
const att2 = await graflow.attach('id')
is<Eq<typeof att2, Run<unknown>>>()
const res = await graflow.resume('id', wf)
is<Eq<typeof res, Run<{ score: number; city: string }>>>()
const sent = await run.signal('approve', { ok: true }, { index: 0 })
is<Eq<typeof sent, boolean>>()
for (const wait of await graflow.waits.of(run.id)) {
  is<Eq<typeof wait.why, WaitReason>>()
  const due: Date | undefined = wait.details.dueAt
}
const sub = await graflow.submit(wf, { id: 'x' })
is<Eq<typeof sub, Run<{ score: number; city: string }>>>()
const sub2 = await graflow.submit('enrich', { anything: 1 })
is<Eq<typeof sub2, Run<unknown>>>()
const sub3 = await graflow.submit('enrich')
is<Eq<typeof sub3, Run<unknown>>>()
const { items } = await graflow.builds.list({ limit: 2 })
is<Eq<(typeof items)[number]['runs'], number>>()
await graflow.run(noInput)
await graflow.start(noInput)
await graflow.run(noInput, undefined, { timeoutMs: 3 })
const each10 = await graflow.run(each(geo), [{ id: 'x' }] as const)
is<Eq<typeof each10, G[]>>()
const weak: Date = await graflow.run(e4, 3)
async function wrap<I, O>(node: Node<I, O>, input: I): Promise<O> {
  return graflow.run(node, input)
}
const w = await wrap(e1, { id: 'x' })
is<Eq<typeof w, { score: number; city: string }>>()
// @ts-expect-error wrong input
await graflow.run(e1, { id: 3 })
// @ts-expect-error excess property
await graflow.run(e1, { id: 'x', nmae: 'y' })
// @ts-expect-error missing input
await graflow.run(e1)
// @ts-expect-error missing input
await graflow.submit(e1)
const off = graflow.events.subscribe('run:state', (event) => {
  is<Eq<typeof event.runId, string>>()
})
// @ts-expect-error no such event
graflow.events.subscribe('leader:change', () => {})
for await (const event of run.events()) {
  if (event.type === 'branch:settled') {
    const s: Outcome<unknown>['status'] = event.status
  }
}
for await (const b of run.branches())
  if (b.outcome.status === 'failed') {
    const err: GraflowError = b.outcome.error
  }
await using scoped = await connect()
off()
const either = Math.random() > 0.5 ? tasks.geo : tasks.other
const ran: G = await graflow.run(either, { id: 'x', zip: 'y' })
// @ts-expect-error a gap: a handler's default does not make the input optional
await graflow.run(task('d', (x: { id: string } = { id: 'q' }) => x.id))
