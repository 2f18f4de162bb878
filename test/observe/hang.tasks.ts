/** Tasks of traces-across.test.ts. */
import { each, task } from 'graflow'

/** Its first start says so and never ends. */
const hang = task('hang', async (n: number, ctx) => {
  ctx.log.info(`started ${ctx.attempt}`)
  if (ctx.attempt === 1) await new Promise(() => undefined)
  return n
})
export const hangs = each(hang).configure({ name: 'all' })
