/** A TCP relay in front of a server that changes or delays what comes back. See fault-proxy.ts for one that knows commands. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Relay {
  readonly port: number
  stop(): Promise<void>
}

export interface RelayOptions {
  readonly port: number
  /** What the client gets instead of these bytes. */
  readonly change?: (bytes: Buffer) => Buffer
  /** Each reply comes so much later. */
  readonly delayMs?: number
}

/** Starts a relay on a loopback port of its own. */
export async function startRelay({ port, change = (bytes) => bytes, delayMs = 0 }: RelayOptions): Promise<Relay> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => undefined) // one side is gone
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
      })
    }
    client.pipe(upstream)
    upstream.on('data', (bytes: Buffer) => setTimeout(() => client.write(change(bytes)), delayMs))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
