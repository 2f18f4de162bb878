/** A process that starts a run of each flow of deadlines.tasks.ts, and one with a deadline of its own, and is killed. Arguments: address, prefix. */
import { connect } from 'graflow'
import { IN_TIME, LATE, TIMEOUT_MS, WHOLE } from './deadlines.tasks.js'

const [, , url, keyPrefix] = process.argv
if (url === undefined || keyPrefix === undefined) throw new Error('expected address and prefix')
const client = await connect(url, { keyPrefix, logLevel: 'silent' })
const start = (name: string, flow: (typeof LATE)['a step'], timeoutMs?: number) =>
  client.start(flow, name.endsWith('before') ? 'early' : 'end', {
    id: name.replaceAll(' ', '-'),
    ...(timeoutMs !== undefined && { timeoutMs }),
  })
await Promise.all([
  ...Object.entries(LATE).map(([name, flow]) => start(name, flow)),
  ...Object.entries(IN_TIME).map(([name, flow]) => start(name, flow)),
  start('the run', WHOLE, TIMEOUT_MS),
])
console.log('started')
