/**
 * A process that stands between clients and a server and keeps every byte for a while each way, so that a run pays for its round trips as on
 * a real network. Started with the path of the server's socket and the milliseconds; says its port.
 */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

const [, , path, msText] = process.argv
const ms = Number(msText)
if (path === undefined || !(ms > 0))
  throw new Error(`expected a socket and a delay, got ${process.argv.slice(2).join(' ')}`)

/** Timers of one length fire in the order in which they were made. */
function pass(from: Socket, to: Socket): void {
  from.on('data', (chunk: Buffer) => setTimeout(() => to.write(chunk), ms))
  from.on('close', () => setTimeout(() => to.destroy(), ms))
  from.on('error', () => undefined) // it closes
}

const server = createServer({ noDelay: true }, (client) => {
  const redis = connect(path)
  pass(client, redis)
  pass(redis, client)
})
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.on('disconnect', () => process.exit())
