/** The dashboard's stream of events: what is a loss of it, and what is none. */
import { type Live, liveStream } from '../../dashboard/live.js'

// no component is drawn here, and no page is open
jest.mock('preact/hooks', () => ({}))
jest.mock('../../dashboard/router.js', () => ({ base: '' }))

const answers: Response[] = []
let live: Live | undefined
const globals = globalThis as Record<string, unknown>
const NAMES = ['document', 'fetch', 'requestAnimationFrame', 'cancelAnimationFrame'] as const
const before = Object.fromEntries(NAMES.map((name) => [name, globals[name]]))
beforeEach(() => {
  jest.useFakeTimers()
  Object.assign(globals, {
    document: Object.assign(new EventTarget(), { hidden: false }),
    fetch: async () => answers.shift() ?? Promise.reject(new TypeError('fetch failed')),
    requestAnimationFrame: () => 1,
    cancelAnimationFrame: () => undefined,
  })
})
afterEach(() => {
  live?.close()
  answers.length = 0
  Object.assign(globals, before)
  jest.useRealTimers()
})

const settled = (): Promise<void> => jest.advanceTimersByTimeAsync(0).then(() => undefined)

it('takes 204 for what it is: there is nothing more, and the server is there', async () => {
  answers.push(new Response('event: end\ndata: {}\n\n'), new Response(null, { status: 204 }))
  live = liveStream('/runs/a/events')
  live.start()
  await settled()
  await jest.advanceTimersByTimeAsync(3_000)
  expect(answers).toEqual([])
  expect(live.state.get()).toEqual({ is: 'live' })
})

it('has all looked at anew when the server says that events are missing', async () => {
  answers.push(new Response('id: 7-0\nevent: reset\ndata: {}\n\n'))
  live = liveStream('/events')
  live.start()
  let gaps = 0
  live.onGap(() => (gaps += 1))
  await settled()
  expect(gaps).toBe(1)
})
