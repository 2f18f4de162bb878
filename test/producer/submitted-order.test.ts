/** When a submitted run is taken while all slots are held by branches of runs before it. */
import { each, task } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { Gate } from '../support/gate.js'
import { turn } from '../support/waits.js'

describeOnBothStores('a submitted run', (open) => {
  it('is taken after the branches of runs before it, and before them where its priority is higher', async () => {
    const gate = new Gate()
    const order: unknown[] = []
    const held = task('held', async (n: number) => {
      await gate.pass()
      // embedded, the driver of a run needs no slot, and takes some turns to begin
      for (let i = 0; i < 20; i += 1) await turn()
      order.push(n)
    })
    const quick = task('quick', (word: string) => {
      order.push(word)
    })
    const graflow = await open([held, quick], { maxConcurrentTasks: 1 })
    const large = await graflow.submit(each(held), [0, 1, 2, 3])
    await gate.reached(1)
    const runs = [await graflow.submit(quick, 'plain'), await graflow.submit(quick, 'urgent', { priority: 1 })]
    gate.open()
    await Promise.all([large, ...runs].map((run) => run.result()))
    expect(order.filter((what) => what !== 'urgent')).toEqual([0, 1, 2, 3, 'plain'])
    expect(order.indexOf('urgent')).toBeLessThan(order.indexOf(3))
  })
})
