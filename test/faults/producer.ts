/**
 * A producer that is killed: starts one group of the given width, says the run's id, and waits for it. Arguments: address,
 * prefix, width, and an id and idempotency key for the run, if it is to have any.
 */
import { connect, each } from 'graflow'
import { gated } from './fault.tasks.js'

const [, , url, keyPrefix, width, id] = process.argv
if (url === undefined || keyPrefix === undefined) throw new Error('expected address, prefix and width')
const client = await connect(url, { keyPrefix, logLevel: 'silent' })
const items = Array.from({ length: Number(width) }, (_, n) => ({ n, gate: 'go' }))
console.log('connected')
const run = await client.start(each(gated), items, id === undefined ? {} : { id, idempotencyKey: id })
console.log(`run ${run.id}`)
console.log(`result ${JSON.stringify(await run.result())}`)
await client.close()
