/** Tasks of language.test.ts. */
import { flow, par, seq, task, workflow } from 'graflow'

export const add = task('add', (n: number) => n + 1)
export const twice = task('twice', (n: number) => n * 2)
export const sum = task('sum', ([x, y]: [number, number]) => x + y)

export const spellings = {
  text: workflow('w', flow('add >> (twice | add) >> sum', { add, twice, sum })),
  function: workflow('w', seq(add, par(twice, add), sum)),
  method: workflow('w', add.to(twice.with(add)).to(sum)),
  template: workflow('w', flow`${add} >> (${twice} | ${add}) >> ${sum}`),
}
