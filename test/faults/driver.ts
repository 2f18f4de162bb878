/**
 * A process that drives a run and is killed: starts, runs or resumes a flow of drivers.tasks.ts, and waits for its end. Arguments: address, prefix,
 * id of the run, `start`, `run` or `resume`, name of the flow, input as JSON, and a gate to wait for before, if there is one.
 */
import { connect } from 'graflow'
import { passGate } from '../support/ledger.js'
import { bulk, journey, waitAndTotal, waitThenOn } from './drivers.tasks.js'

const [, , url, keyPrefix, id, how, flow, json = 'null', gate] = process.argv
if (url === undefined || keyPrefix === undefined || id === undefined) throw new Error('expected address, prefix and id')
const client = await connect(url, { keyPrefix, logLevel: 'silent', instanceId: id })
const node = { bulk, journey, waitAndTotal, waitThenOn }[flow as 'bulk' | 'journey' | 'waitAndTotal' | 'waitThenOn']
const input = JSON.parse(json) as never // of that flow: the test says so
console.log('connected')
if (gate !== undefined) await passGate(gate)
const run =
  how === 'run'
    ? { result: () => client.run(node, input, { id }) }
    : how === 'resume'
      ? await client.resume(id, node)
      : await client.start(node, input, { id })
console.log(`result ${JSON.stringify(await run.result())}`)
await client.close()
