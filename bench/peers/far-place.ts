/** The process of delay-proxy.ts: where a server is behind a delay. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Place } from './adapter.js'

export interface FarPlace extends Place {
  close(): void
}

/** @param ms each way */
export async function openFarPlace(socket: string, ms: number): Promise<FarPlace> {
  const proxy = fork(fileURLToPath(new URL('delay-proxy.ts', import.meta.url)), [socket, String(ms)])
  const port = await Promise.race([
    once(proxy, 'message').then(([said]) => Number(said)),
    once(proxy, 'exit').then(() => Promise.reject(new Error('the proxy with the delay has ended'))),
  ])
  const connection = { host: '127.0.0.1', port }
  return { connection, url: `redis://127.0.0.1:${port}`, close: () => void proxy.kill('SIGKILL') }
}
