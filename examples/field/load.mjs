/**
 * Gives workers of `tasks.mjs` something to do: submits runs of `burst` and prints their results.
 *
 *   node examples/field/load.mjs [--runs 5] [--items 400] [--ms 200]
 *
 * Redis is where GRAFLOW_REDIS_URL says.
 */
import { parseArgs } from 'node:util'
import { connect } from 'graflow'
import { burst } from './tasks.mjs'

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' },
    items: { type: 'string', default: '400' },
    ms: { type: 'string', default: '200' },
  },
})
const [runs, items, ms] = [values.runs, values.items, values.ms].map(Number)
const graflow = await connect(process.env.GRAFLOW_REDIS_URL ?? 'redis://localhost:6379', {
  keyPrefix: process.env.GRAFLOW_KEY_PREFIX ?? 'graflow',
})
try {
  const started = await Promise.all(
    Array.from({ length: runs }, () =>
      graflow.submit(
        burst,
        Array.from({ length: items }, (_, id) => ({ id, ms })),
      ),
    ),
  )
  for (const run of started) console.log(`run ${run.id}: ${await run.result()}`)
} finally {
  await graflow.close()
}
