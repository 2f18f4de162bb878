/**
 * Orders over HTTP, as runs that survive this process: after a kill -9, start it again, and every order goes on. Start more of them for more orders.
 * `REDIS_URL=… PORT=8080 node --import tsx examples/http-service/main.ts`, then for example
 *   curl -XPOST localhost:8080/orders -H 'Idempotency-Key: 1' -d '{"item":"pen","makeMs":5000}'
 */
import { createServer, type IncomingMessage } from 'node:http'
import { connect, ERROR_CODES, GraflowError } from 'graflow'
import { Worker } from 'graflow/worker'
import { type Order, order } from './tasks.js'

const redisUrl = process.env['REDIS_URL'] ?? 'redis://localhost:6379'
const keyPrefix = process.env['KEY_PREFIX'] ?? 'orders'
const graflow = await connect(redisUrl, { keyPrefix, logLevel: 'warn' })
const worker = new Worker({ redisUrl, keyPrefix, tasks: [order], maxConcurrentTasks: 100, logLevel: 'warn' })
type Answer = readonly [status: number, body: unknown]

/** The answer to a request: POST /orders, GET /orders/ID, POST /orders/ID/(approve | cancel). */
async function answer(request: IncomingMessage): Promise<Answer> {
  const [, orders, id, what] = (request.url ?? '').split('/')
  if (orders !== 'orders') return [404, { error: 'expected /orders' }]
  const asked = `${request.method} ${id === undefined ? '' : `ID ${what ?? ''}`}`.trim()
  if (asked === 'POST') {
    // The same key, also after a crash, gives the same order: a client that got no answer asks again.
    const idempotencyKey = request.headers['idempotency-key']
    if (typeof idempotencyKey !== 'string') return [400, { error: 'expected the header Idempotency-Key' }]
    const run = await graflow.submit(order, await orderIn(request), { idempotencyKey })
    return [202, { id: run.id }]
  }
  const run = await graflow.attach(id ?? '', order)
  if (asked === 'GET ID') {
    const { state, error } = await run.status()
    const result = state === 'completed' ? await run.result() : undefined
    return [200, { id, state, result, error: error?.code }]
  }
  if (asked === 'POST ID approve') return [200, { changed: await run.signal('approve', true) }]
  if (asked === 'POST ID cancel') return [200, { changed: await run.cancel('the customer has cancelled it') }]
  return [405, { error: 'expected GET /orders/ID or POST /orders/ID/(approve | cancel)' }]
}

async function orderIn(request: IncomingMessage): Promise<Order> {
  let text = ''
  for await (const chunk of request)
    if ((text += String(chunk)).length > 10_000) throw new Error('the order is too long')
  const { item, makeMs } = JSON.parse(text) as Partial<Order>
  if (typeof item !== 'string' || typeof makeMs !== 'number')
    throw new Error('expected {"item": text, "makeMs": number}')
  return { item, makeMs }
}

const server = createServer((request, response) => {
  const failed = (error: unknown): Answer =>
    error instanceof GraflowError
      ? [ERROR_CODES[error.code].httpStatus, { error: error.code }]
      : [400, { error: String(error) }]
  void answer(request)
    .catch(failed)
    .then(([status, body]) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`)
    })
})
await worker.start()
server.listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => {
  console.log(`listening on ${JSON.stringify(server.address())}`)
})
