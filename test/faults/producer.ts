/** A producer that is killed: starts one group of the given width, says the run's id, and waits for it. Arguments: address, prefix, width. */
import { connect, each } from 'graflow'
import { gated } from './fault.tasks.js'

const [, , url, keyPrefix, width] = process.argv
if (url === undefined || keyPrefix === undefined) throw new Error('expected address, prefix and width')
const client = await connect(url, { keyPrefix, logLevel: 'silent' })
const items = Array.from({ length: Number(width) }, (_, n) => ({ n, gate: 'go' }))
console.log('connected')
const run = await client.start(each(gated), items)
console.log(`run ${run.id}`)
console.log(`result ${JSON.stringify(await run.result())}`)
await client.close()
