/** Watchers of one run: many are told a few at a time, and one that reads slowly catches up at its own pace. */
import { seq, task, waitFor, workflow } from 'graflow'
import type { EventSink } from '../../lib/server/event-sink.js'
import { PrefixEvents } from '../../lib/server/prefix-events.js'
import { RunWatch } from '../../lib/server/run-watch.js'
import { openPlane, type TestPlane } from '../support/control-plane.js'
import { until } from '../support/waits.js'

const add = task('add', (n: number) => n + 1)
const asks = workflow('asks', seq(add, waitFor('first'), waitFor('second')))

let plane: TestPlane
let all: PrefixEvents
let watch: RunWatch | undefined
beforeAll(async () => {
  plane = await openPlane({ tasks: [add, asks] })
  all = new PrefixEvents(plane.services)
})
afterEach(() => {
  watch?.close()
  watch = undefined
})
afterAll(async () => {
  all.close()
  await plane.close()
})

/** Told events by name, of a reader that takes nothing while it is `full`. */
class Reader implements EventSink {
  isOpen = true
  frames: string[] = []
  pushes = 0
  #isFull = false
  #waiting: (() => void)[] = []
  readonly #onPush: () => void

  constructor(onPush: () => void = () => undefined) {
    this.#onPush = onPush
  }

  get hasRoom(): boolean {
    return !this.#isFull
  }

  set isFull(isFull: boolean) {
    this.#isFull = isFull
    if (!isFull) for (const resolve of this.#waiting.splice(0)) resolve()
  }

  push(bytes: Uint8Array): void {
    if (!this.isOpen) return
    if (this.#isFull) throw new Error('expected nothing while the reader reads nothing')
    this.pushes += 1
    this.#onPush()
    this.frames.push(...Buffer.from(bytes).toString().split('\n\n').filter(Boolean))
  }

  room(): Promise<void> {
    return this.#isFull ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve()
  }

  end(): void {
    this.isOpen = false
  }

  named(name: string): readonly string[] {
    return this.frames.filter((frame) => frame.includes(`event: ${name}\n`))
  }
}

it('are told some at a time, each with one chunk a look', async () => {
  const run = await plane.graflow.submit('asks', 1)
  let [inTurn, most, isCounted] = [0, 0, false]
  const onPush = (): void => {
    if (!isCounted) return
    if (inTurn === 0) setImmediate(() => (inTurn = 0))
    inTurn += 1
    most = Math.max(most, inTurn)
  }
  const readers = Array.from({ length: 400 }, () => new Reader(onPush))
  watch = new RunWatch(run.id, plane.services, all)
  for (const reader of readers) watch.add(reader, { after: '0', skip: 0 }, true)
  await until(() => readers.every((reader) => reader.named('run:waits').length > 0), 'all to see what it waits for')
  const before = readers.map(({ pushes }) => pushes)
  const statuses = readers.map((reader) => reader.named('status').length)
  isCounted = true
  await run.signal('first', 1)
  await until(() => readers.every((reader, i) => reader.pushes > (before[i] ?? 0)), 'all to be told of the next wait')
  // a look ends with the status; it may be seen in more than one that the run goes on, and then waits
  const looks = readers.map((reader, i) => reader.named('status').length - (statuses[i] ?? 0))
  expect(readers.map(({ pushes }, i) => pushes - (before[i] ?? 0))).toEqual(looks)
  expect(most).toBeGreaterThan(1)
  expect(most).toBeLessThanOrEqual(50)
  await run.signal('second', [1, 2])
  await until(() => readers.every(({ isOpen }) => !isOpen), 'all to be told of the end')
  expect(readers.map((reader) => reader.frames.at(-1)?.includes('event: end'))).toEqual(readers.map(() => true))
  for (const { frames } of readers) expect(frames.map(withoutStatus)).toEqual(readers[0]?.frames.map(withoutStatus))
})

it('catch up at their own pace where they read slowly: every event once, and the last status', async () => {
  const run = await plane.graflow.submit('asks', 1)
  const [fast, slow] = [new Reader(), new Reader()]
  watch = new RunWatch(run.id, plane.services, all)
  for (const reader of [fast, slow]) watch.add(reader, { after: '0', skip: 0 }, true)
  const seesWaits = (reader: Reader, times: number) => () => reader.named('run:waits').length >= times
  await until(seesWaits(slow, 1), 'the slow one to see the first wait')
  const before = slow.named('status').length
  slow.isFull = true
  await run.signal('first', 1)
  await until(seesWaits(fast, 2), 'the fast one to see the second wait')
  await run.signal('second', [1, 2])
  await until(() => !fast.isOpen, 'the fast one to be told of the end')
  slow.isFull = false
  await until(() => !slow.isOpen, 'the slow one to be told of the end')
  const told = ({ frames }: Reader): readonly string[] => frames.map(withoutStatus).filter(Boolean)
  expect(told(slow)).toEqual(told(fast))
  expect(slow.named('status').length - before).toBe(1)
  expect(slow.named('status').at(-1)).toContain('"state":"completed"')
})

it('are told to look anew where an event that is kept cannot be read; that is said once', async () => {
  const run = await plane.graflow.submit('asks', 1)
  const { store } = plane.services.session
  const append = async (events: string, seen: string): Promise<string> => {
    const { last } = await store.inspect.runEvents(run.id, undefined, 0)
    const [eventBytes, seenBytes] = [Buffer.from(events), Buffer.from(seen)]
    const batch = { runId: run.id, after: last, events: eventBytes, seen: seenBytes, keptMs: 60_000 }
    const answer = await store.appendRunEvents(batch)
    return answer.status === 'ok' ? answer.position : ''
  }
  const positions: string[] = []
  for (const events of ['[{"type":', '{}', '[{"kind":"run:waits"}]', 'null'])
    positions.push(await append(events, '{"state":1}'))
  const log = jest.fn()
  const [one, two] = [new Reader(), new Reader()]
  watch = new RunWatch(run.id, { ...plane.services, log }, all)
  for (const reader of [one, two]) watch.add(reader, { after: '0', skip: 0 }, true)
  await until(() => [one, two].every((reader) => reader.named('run:waits').length > 0), 'both to see what it waits for')
  for (const reader of [one, two])
    expect(reader.named('reset').map((frame) => /id: (\S+)/.exec(frame)?.[1])).toEqual(positions)
  expect(log.mock.calls.map(([level]) => level)).toEqual(positions.map(() => 'warn'))
  await run.cancel()
  await until(() => !one.isOpen && !two.isOpen, 'both to be told of the end')
  const last = await append('[', '{"state":')
  const answer = await plane.ask('GET', `/api/v1/runs/${run.id}/events?after=${last}`)
  expect(answer.status).toBe(200)
})

const withoutStatus = (frame: string): string => (frame.includes('event: status\n') ? '' : frame)
