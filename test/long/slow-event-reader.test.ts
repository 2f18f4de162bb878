/** One who catches up with the events of a store, and is slower than what comes. */
import { PrefixEvents } from '../../lib/server/prefix-events.js'
import type { EventSink } from '../../lib/server/event-sink.js'
import { openPlane } from '../support/control-plane.js'
import { until } from '../support/waits.js'

/** More than the store keeps. */
const MANY = 20_001

it('is told once that events are missing that went while it read, and then what happens', async () => {
  const plane = await openPlane()
  const { session, clock, log } = plane.services
  const { store } = session
  const pause = (n: number): Promise<unknown> =>
    store.control({ kind: n % 2 === 0 ? 'pause-queue' : 'resume-queue', queue: 'q' })
  await store.keepEvents(60_000)
  const { last = '' } = await store.inspect.events(undefined, 1)
  for (let n = 0; n < 300; n += 1) await pause(n)
  const { events: look } = store.inspect
  const looks = jest.spyOn(store.inspect, 'events')
  looks.mockImplementation(async (...asked) => {
    if (looks.mock.calls.length > 100) throw new Error('it looks again and again')
    return look(...asked)
  })
  const told: string[] = []
  let makeRoom = (): void => undefined
  let isFull = false
  const sink: EventSink = {
    isOpen: true,
    hasRoom: true,
    push: (frame) =>
      void told.push(
        ...(Buffer.from(frame)
          .toString()
          .match(/^event: .*$/gm) ?? []),
      ),
    room: () => {
      isFull = true
      return new Promise((resolve) => (makeRoom = resolve))
    },
    end: () => void told.push('end'),
  }
  const events = new PrefixEvents({ session, clock, log })
  const stop = events.watch(sink, last)
  await until(() => isFull, 'the reader to be slow')
  for (let n = 0; n < MANY; n += 1) await pause(n)
  makeRoom()
  await until(() => told.includes('event: reset'), 'the reset')
  const before = told.length
  await pause(MANY)
  await until(() => told.length > before, 'what happens')
  expect(told.filter((one) => one === 'event: reset')).toHaveLength(1)
  expect(told.at(-1)).toBe('event: queue:resumed')
  stop()
  events.close()
  await plane.close()
})
