/**
 * A client of either release. Arguments: address, prefix, what to do with the run (`start`, `submit` or `attach`), its id, its input. Prints the result.
 */
import { connect } from 'graflow'
import { trip } from './two-releases.tasks.js'

const [, , url, keyPrefix, how, id, input] = process.argv
if (url === undefined || keyPrefix === undefined || id === undefined) throw new Error('expected address, prefix and id')
const client = await connect(url, { keyPrefix, logLevel: 'silent' })
const run =
  how === 'attach'
    ? await client.attach(id, trip)
    : how === 'submit'
      ? await client.submit(trip, Number(input), { id })
      : await client.start(trip, Number(input), { id })
console.log('opened')
console.log(`result ${await run.result()}`)
await client.close()
