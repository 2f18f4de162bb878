/** Streams of events to readers: a reader that does not read costs no more than 1 MiB. */
import { connect } from 'node:net'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { getRequestListener } from '@hono/node-server'
import { Hono } from 'hono'
import { manualClock } from 'graflow/testing'
import { eventStream, frameOf, type EventSink } from '../../lib/server/event-sink.js'
import type { ServerEnv } from '../../lib/server/route.js'
import { until } from '../support/waits.js'

const clock = manualClock()
let closing: AbortController
let sinks: EventSink[]
let over: number
const app = new Hono<ServerEnv>()
app.get('/events', (c) =>
  eventStream(c, { clock, closing: closing.signal }, (sink) => {
    sinks.push(sink)
    return () => {
      over += 1
    }
  }),
)
let server: Server
beforeEach(async () => {
  closing = new AbortController()
  sinks = []
  over = 0
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false })
  server = createServer((request, response) => void listener(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})
const portOf = (): number => (server.address() as AddressInfo).port

it('sends frames with their ids, a sign of life every 15 s, and ends when the server closes', async () => {
  const response = await fetch(`http://127.0.0.1:${portOf()}/events`)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  expect((await reader.read()).value).toBe('retry: 1000\n\n')
  sinks[0]!.push(frameOf({ id: '7-1', event: 'run', data: { text: 'a\nb' } }))
  expect((await reader.read()).value).toBe('id: 7-1\nevent: run\ndata: {"text":"a\\nb"}\n\n')
  clock.advance(15_000)
  expect((await reader.read()).value).toBe(': \n\n')
  closing.abort()
  expect(await reader.read()).toMatchObject({ done: true })
  expect([sinks[0]!.isOpen, over]).toEqual([false, 1])
})

it('FT-H6: drops a reader that does not read once 1 MiB waits for it, and ends its connection', async () => {
  const socket = connect(portOf(), '127.0.0.1').pause()
  socket.on('error', () => undefined)
  socket.write('GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await until(() => sinks.length === 1, 'the stream to begin')
  const frame = frameOf({ data: 'x'.repeat(60_000) })
  let frames = 0
  for (; sinks[0]!.isOpen && frames < 2_000; frames += 1) {
    sinks[0]!.push(frame)
    if (frames % 16 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  // what the kernel holds of the connection on both ends comes to it
  expect(frames * frame.byteLength).toBeLessThan(16 * 1024 * 1024)
  expect(over).toBe(1)
  await until(
    () => new Promise<boolean>((resolve) => server.getConnections((_, count) => resolve(count === 0))),
    'the connection to be ended',
  )
  socket.destroy()
})

it('answers HEAD with its headers, and begins nothing', async () => {
  const response = await fetch(`http://127.0.0.1:${portOf()}/events`, { method: 'HEAD' })
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
  expect(sinks).toEqual([])
})

it('tells who waits for room when the reader has taken enough, so that it gets all, however much it is', async () => {
  const response = await fetch(`http://127.0.0.1:${portOf()}/events`)
  const frame = frameOf({ data: 'x'.repeat(250_000) })
  const push = async (): Promise<void> => {
    for (let n = 0; n < 100; n += 1) {
      await sinks[0]!.room()
      sinks[0]!.push(frame)
    }
    sinks[0]!.end()
  }
  const pushed = push()
  const { byteLength } = await response.arrayBuffer()
  await pushed
  expect(byteLength).toBe(100 * frame.byteLength + 'retry: 1000\n\n'.length)
})

it('sends a frame that is larger than all that may wait to a reader that reads', async () => {
  const response = await fetch(`http://127.0.0.1:${portOf()}/events`)
  const reader = response.body!.getReader()
  await reader.read()
  sinks[0]!.push(frameOf({ data: 'x'.repeat(3 * 1024 * 1024) }))
  let bytes = 0
  while (bytes < 3 * 1024 * 1024) {
    const { value, done } = await reader.read()
    if (done) break
    bytes += value.byteLength
  }
  expect([bytes > 3 * 1024 * 1024, sinks[0]!.isOpen]).toEqual([true, true])
  closing.abort()
})

it('drops a reader that makes no room for 30 s', async () => {
  const stream = await app.request('/events')
  sinks[0]!.push(frameOf({ data: 'x'.repeat(600_000) }))
  const room = sinks[0]!.room()
  clock.advance(29_000)
  expect(sinks[0]!.isOpen).toBe(true)
  clock.advance(1_000)
  await room
  expect([sinks[0]!.isOpen, over]).toEqual([false, 1])
  await expect(stream.text()).rejects.toThrow('the reader does not read')
})

it('ends when its reader goes', async () => {
  const abort = new AbortController()
  await fetch(`http://127.0.0.1:${portOf()}/events`, { signal: abort.signal })
  await until(() => sinks.length === 1, 'the stream to begin')
  abort.abort()
  await until(() => over === 1, 'the stream to be over')
  expect(sinks[0]!.isOpen).toBe(false)
})
