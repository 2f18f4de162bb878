/** The handler that a call is made for, after its first await: which chains of promises show it, and what looking leaves behind. */
import { Cancellation } from '../../lib/engine/cancellation.js'
import { HandlerContext } from '../../lib/engine/context.js'
import type { Frame } from '../../lib/engine/execution.js'
import { awaited, waitingHandler } from '../../lib/engine/pending-handlers.js'
import { turn } from '../support/waits.js'

const contextOf = (hasEnded = false): HandlerContext => {
  const frame = { execution: { hasEnded } } as unknown as Frame
  return new HandlerContext({} as never, frame, { task: 't', path: '0', attempt: 1, pass: 1 }, new Cancellation())
}

async function looksLater(): Promise<HandlerContext | undefined> {
  await turn()
  return waitingHandler()
}

describe('the handler that waits', () => {
  it.each<[string, () => Promise<unknown>]>([
    ['awaits', async () => await looksLater()],
    ['returns', async () => looksLater()],
    ['calls an async function that awaits', async () => await (async () => await looksLater())()],
    ['calls then', async () => turn().then(looksLater)],
    ['catches and cleans up', () => turn().then(looksLater).catch(String).finally(turn)],
    ['awaits several at once', async () => (await Promise.all([turn(), looksLater()]))[1]],
  ])('is found where it %s', async (_, handler) => {
    const [mine, other] = [contextOf(), contextOf()]
    const [found, foundByOther] = await Promise.all([awaited(handler(), mine), awaited(handler(), other)])
    expect([found === mine, foundByOther === other]).toEqual([true, true])
  })

  it('is nobody in the callback of a timer, nor outside of handlers', async () => {
    const pending = awaited(
      new Promise((resolve) => {
        setImmediate(() => resolve(waitingHandler()))
      }),
      contextOf(),
    )
    expect(await looksLater()).toBeUndefined()
    expect(await pending).toBeUndefined()
    expect(await looksLater()).toBeUndefined()
  })

  it('is found beside many that never end', async () => {
    for (let i = 0; i < 300; i += 1) void awaited(new Promise(() => undefined), contextOf(true))
    const mine = contextOf()
    expect((await awaited(looksLater(), mine)) === mine).toBe(true)
  })
})

it('what a handler rejects with is passed on as it is', async () => {
  const thrown = { no: 'error' }
  await expect(awaited(Promise.reject(thrown as never), contextOf())).rejects.toBe(thrown)
  const thenable = { then: (_: unknown, reject: (error: unknown) => void) => reject(thrown) }
  await expect(awaited(thenable as PromiseLike<unknown>, contextOf())).rejects.toBe(thrown)
})

it('looking leaves the settings of Error as they were', async () => {
  const settings = (): unknown[] => [
    Error.stackTraceLimit,
    Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace')?.value,
  ]
  const [limit, prepare] = [Error.stackTraceLimit, Object.getOwnPropertyDescriptor(Error, 'prepareStackTrace')]
  const own = (): string => 'own'
  try {
    Error.stackTraceLimit = 3
    Error.prepareStackTrace = own
    const mine = contextOf()
    expect((await awaited(looksLater(), mine)) === mine).toBe(true)
    expect(settings()).toEqual([3, own])
  } finally {
    Error.stackTraceLimit = limit
    if (prepare === undefined) Reflect.deleteProperty(Error, 'prepareStackTrace')
    else Object.defineProperty(Error, 'prepareStackTrace', prepare)
  }
})
