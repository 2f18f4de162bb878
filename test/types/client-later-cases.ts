/** Rows of the client's types for what it does not have yet. Not compiled: the tsconfig beside it leaves it out; move each over with its feature. */
import { connect, flow, task, type Run } from 'graflow'

type Eq<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function is<T extends true>(): void
const graflow = await connect('redis://localhost:6379', { keyPrefix: 'myapp:workflows' })
const geo = task('geo', async (u: { id: string }) => ({ city: 'London' }))
const e2 = flow('geo', { geo })
declare const run: Run<{ city: string }>

const res = await graflow.resume('id', e2)
is<Eq<typeof res, Run<{ city: string }>>>()
graflow.events.subscribe('leader:changed', (e) => {
  const id: string | undefined = e.leaderId
  e.term.toFixed()
})
for await (const event of run.events()) {
  // @ts-expect-error worker events are no events of a run
  if (event.type === 'worker:registered') {
  }
}
