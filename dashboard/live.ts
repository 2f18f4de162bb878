/**
 * What happens, as it happens: one stream of events a page, read by fetch so that the key goes as a header. What comes is handed on once a frame. The
 * stream is let go while the tab is hidden. After a gap it goes on behind the last event (Last-Event-ID), and whoever shows a list is told to look anew.
 */
import { ApiError, apiPath, failureOf } from './api.js'
import { keyHeaders } from './keys.js'
import { type Store, store } from './store.js'

export interface LiveEvent {
  /** What the stream calls it, such as `run:state`; `message` where it says nothing. */
  readonly type: string
  /** Its data, parsed; the text itself where that is no JSON. */
  readonly data: unknown
  readonly id: string | undefined
}

/** How the stream stands; `since` is when it was lost. */
export type LiveState =
  | { readonly is: 'connecting' }
  | { readonly is: 'live' }
  | { readonly is: 'paused' }
  | { readonly is: 'lost'; readonly since: Date }
  | { readonly is: 'refused'; readonly why: string }

const FIRST_DELAY_MS = 500
const MOST_DELAY_MS = 10_000
/** After a stream that the server has ended. */
const ENDED_DELAY_MS = 3_000
/** What pages load meanwhile may be older than the stream. */
const LONG_MS = 500
/** The server says something every 15 s. */
const SILENCE_MS = 40_000

/** Splits a stream of server-sent events: feed it text, it calls back for each whole event. */
function eventParser(onEvent: (event: LiveEvent) => void, onRetry: (ms: number) => void): (text: string) => void {
  let rest = ''
  let type = ''
  let data: string[] = []
  let id: string | undefined
  const line = (text: string): void => {
    if (text === '') {
      if (data.length > 0) onEvent({ type: type === '' ? 'message' : type, data: parsed(data.join('\n')), id })
      type = ''
      data = []
      return
    }
    if (text.startsWith(':')) return
    const colon = text.indexOf(':')
    const field = colon < 0 ? text : text.slice(0, colon)
    const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') data.push(value)
    else if (field === 'event') type = value
    else if (field === 'id' && !value.includes('\0')) id = value
    else if (field === 'retry' && /^\d+$/.test(value)) onRetry(Number(value))
  }
  return (text) => {
    rest += text
    const lines = rest.split(/\r\n|\n|\r(?!$)/)
    rest = lines.pop() ?? ''
    for (const one of lines) line(one)
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export interface Live {
  readonly state: Store<LiveState>
  /** Called once a frame with what has come since the last one. Returns how to stop that. */
  onEvents(listener: (events: readonly LiveEvent[]) => void): () => void
  /** Called when events may be missing: after a gap that the server could not fill, or a pause. Returns how to stop that. */
  onGap(listener: () => void): () => void
  /** Opens it; nothing is asked before. */
  start(): void
  close(): void
}

/** @param path of a route that streams, such as `/events` or `/runs/a/events` */
export function liveStream(path: string): Live {
  const state = store<LiveState>({ is: 'connecting' })
  const listeners = new Set<(events: readonly LiveEvent[]) => void>()
  const gaps = new Set<() => void>()
  let waiting: LiveEvent[] = []
  let frame = 0
  let isClosed = false
  let lastId: string | undefined
  let current: AbortController | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let delay = FIRST_DELAY_MS
  let failures = 0
  /** When it was asked for first; undefined once it is there. */
  let beganAt: number | undefined

  const flush = (): void => {
    frame = 0
    const events = waiting
    waiting = []
    for (const listener of [...listeners]) listener(events)
  }
  const tellGap = (): void => {
    for (const listener of [...gaps]) listener()
  }
  const take = (event: LiveEvent): void => {
    if (event.id !== undefined) lastId = event.id
    // the server could not tell all that has happened
    if (event.type === 'reset') tellGap()
    waiting.push(event)
    if (frame === 0) frame = requestAnimationFrame(flush)
  }
  const lost = (): void => {
    const now = state.get()
    if (now.is !== 'lost') state.set({ is: 'lost', since: new Date() })
    failures += 1
    const wait = Math.min(MOST_DELAY_MS, delay * 2 ** Math.min(failures - 1, 6))
    timer = setTimeout(() => void connect(), wait * (0.75 + Math.random() / 2))
  }

  async function connect(): Promise<void> {
    clearTimeout(timer)
    current?.abort()
    if (isClosed || document.hidden) return
    const controller = new AbortController()
    current = controller
    const wasLost = state.get().is === 'lost'
    let silence = setTimeout(() => controller.abort(), SILENCE_MS)
    try {
      const headers = {
        accept: 'text/event-stream',
        ...keyHeaders(),
        ...(lastId !== undefined && { 'last-event-id': lastId }),
      }
      const answer = await fetch(apiPath(path), {
        headers,
        credentials: 'omit',
        cache: 'no-store',
        signal: controller.signal,
      })
      if (!answer.ok) {
        const failure = await failureOf(answer)
        throw failure
      }
      failures = 0
      state.set({ is: 'live' })
      // it begins now: of what was loaded long before, events are missing
      if (wasLost || (beganAt !== undefined && performance.now() - beganAt > LONG_MS)) tellGap()
      beganAt = undefined
      const parse = eventParser(take, (ms) => (delay = Math.min(ms, MOST_DELAY_MS)))
      // 204 has none: there is nothing more for now
      const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
      while (reader !== undefined) {
        const { value, done } = await reader.read()
        if (done) break
        clearTimeout(silence)
        silence = setTimeout(() => controller.abort(), SILENCE_MS)
        parse(value)
      }
      // that of a run ends with the run, and begins anew where it is retried: only a failure to come back is a loss
      if (current === controller) timer = setTimeout(() => void connect(), ENDED_DELAY_MS)
    } catch (error) {
      // it was closed meanwhile, or another connection has taken its place
      if (current !== controller) return
      if (
        error instanceof ApiError &&
        error.status >= 400 &&
        error.status < 500 &&
        error.status !== 429 &&
        error.status !== 408
      )
        state.set({ is: 'refused', why: error.message })
      else lost()
    } finally {
      clearTimeout(silence)
    }
  }

  const visibility = (): void => {
    if (isClosed) return
    if (document.hidden) {
      clearTimeout(timer)
      const old = current
      current = undefined
      old?.abort()
      state.set({ is: 'paused' })
    } else if (state.get().is === 'paused') {
      state.set({ is: 'connecting' })
      tellGap()
      void connect()
    }
  }

  return {
    state,
    onEvents: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    onGap: (listener) => {
      gaps.add(listener)
      return () => gaps.delete(listener)
    },
    start: () => {
      isClosed = false
      beganAt = performance.now()
      document.addEventListener('visibilitychange', visibility)
      // a tab may be opened behind another one
      if (document.hidden) state.set({ is: 'paused' })
      else void connect()
    },
    close: () => {
      isClosed = true
      clearTimeout(timer)
      cancelAnimationFrame(frame)
      document.removeEventListener('visibilitychange', visibility)
      const old = current
      current = undefined
      old?.abort()
    },
  }
}
