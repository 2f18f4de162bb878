/** H6: connections that send or read as slowly as they like cost the others nothing, and end. */
import { connect as dial, type Socket } from 'node:net'
import { connect, type Graflow } from 'graflow'
import { until } from '../support/waits.js'

const SOCKETS = 500

let graflow: Graflow
let port: number
const sockets: Socket[] = []
beforeAll(async () => {
  graflow = await connect({ logLevel: 'silent', serve: { port: 0 } })
  port = graflow.server?.port ?? 0
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await graflow.close()
})

/** Connections that say this and no more; gives what counts those that were ended. */
function slow(text: string): () => number {
  let ended = 0
  for (let i = 0; i < SOCKETS; i += 1) {
    const socket = dial(port, '127.0.0.1')
    socket.on('error', () => undefined).on('close', () => (ended += 1))
    socket.resume().write(text)
    sockets.push(socket)
  }
  return () => ended
}

/** The median of how long others wait for an answer meanwhile. */
async function othersWaitMs(): Promise<number> {
  const took: number[] = []
  for (let i = 0; i < 50; i += 1) {
    const from = performance.now()
    expect((await fetch(`http://127.0.0.1:${port}/api/v1/queues`)).status).toBe(200)
    took.push(performance.now() - from)
  }
  return took.sort((a, b) => a - b)[25] ?? Infinity
}

it('FT-H6: ends 500 connections that never finish their headers, and 500 that never finish their body, while others are served', async () => {
  const head = 'POST /rpc HTTP/1.1\r\nhost: localhost\r\n'
  const noHeaders = slow(head)
  const noBody = slow(`${head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{`)
  await until(() => sockets.every(({ connecting }) => !connecting), 'all to be connected')
  // in tests no bound is tighter than seconds; alone it takes about 2 ms
  expect(await othersWaitMs()).toBeLessThan(1_000)
  await until(
    () => noHeaders() === SOCKETS && noBody() === SOCKETS,
    () => `${noHeaders()} and ${noBody()} ended`,
    40_000,
  )
  expect(await othersWaitMs()).toBeLessThan(1_000)
}, 60_000)
