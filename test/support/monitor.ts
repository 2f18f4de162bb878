/**
 * What a server is asked, by MONITOR over a socket of its own. The client library takes commands that come in one piece with the answer to MONITOR
 * for answers, and fails.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import type { RedisServer } from './redis-server.js'

export interface Monitored {
  /** In capitals. */
  readonly command: string
  /** Its first argument, as MONITOR writes it; empty without one. */
  readonly argument: string
  readonly isFromScript: boolean
}

/** Tells of every command from when this resolves on. Call what it gives to end it. */
export async function monitor(server: RedisServer, tell: (seen: Monitored) => void): Promise<() => void> {
  const socket = connect(server.socket)
  socket.on('error', () => undefined) // it closes
  const lines = createInterface({ input: socket })
  const begun = new Promise<void>((resolve) => {
    lines.on('line', (line) => {
      if (line === '+OK') resolve()
      const [, source, command, argument = ''] = /^\+[\d.]+ \[\d+ (\S+)\] "([^"]*)"(?: "([^"]*)")?/.exec(line) ?? []
      if (command !== undefined) tell({ command: command.toUpperCase(), argument, isFromScript: source === 'lua' })
    })
  })
  await once(socket, 'connect')
  socket.write('MONITOR\r\n')
  await begun
  return () => {
    lines.close()
    socket.destroy()
  }
}
