/**
 * One answer that goes on: server-sent events to one reader. A reader that does not read is dropped once 1 MiB waits for it; it comes back with
 * Last-Event-ID. Frames are bytes, so that one is made once for all readers.
 */
import type { Context } from 'hono'
import type { ServerEnv } from './route.js'
import type { ServerServices } from './services.js'

/** What may wait for one reader. */
const MOST_BYTES = 1024 * 1024
/** With so much left a frame of any size fits, so that one which is larger than all that may wait does not drop its reader each time. */
const ROOM_BYTES = MOST_BYTES / 2
/** A sign of life, which proxies need, and by which a reader that is gone is noticed. */
const HEARTBEAT_MS = 15_000
/** A reader that has not made room for so long is dropped. */
const ROOM_MS = 30_000

const encoder = new TextEncoder()
const STREAM_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no', // proxies that would wait for more send each frame at once
}

/** One event as it is sent. */
export interface Frame {
  /** Its position, which the reader says when it comes back. */
  readonly id?: string
  readonly event?: string
  /** Sent as JSON. */
  readonly data: unknown
}

/** An event as bytes. JSON has no line breaks, so one `data:` line holds it. */
export function frameOf({ id, event, data }: Frame): Uint8Array {
  const lines = [
    ...(id === undefined ? [] : [`id: ${id.replaceAll(/[\r\n\0]/g, '')}`]),
    ...(event === undefined ? [] : [`event: ${event.replaceAll(/[\r\n]/g, '')}`]),
    `data: ${JSON.stringify(data)}`,
  ]
  return encoder.encode(`${lines.join('\n')}\n\n`)
}

/** Where one reader's events go. */
export interface EventSink {
  /** False once the reader is gone, was dropped, or the stream has ended. */
  readonly isOpen: boolean
  /** Whether a frame of any size may be pushed now without waiting. */
  readonly hasRoom: boolean
  /** Sends a frame; nothing where it is not open. A reader for which too much waits is dropped. */
  push(frame: Uint8Array): void
  /** Resolves when there is room again for most of what may wait, or it is not open any more: for who has much to tell at once. */
  room(): Promise<void>
  /** Ends the stream in good order. */
  end(): void
}

/**
 * An answer with events; to HEAD one without.
 * @param begin called at once with where events go; what it returns is called once when the stream is over, whoever ended it
 */
export function eventStream(
  c: Context<ServerEnv>,
  { clock, closing }: Pick<ServerServices, 'clock' | 'closing'>,
  begin: (sink: EventSink) => () => void,
): Response {
  // nobody would read the body, nor cancel it
  if (c.req.method === 'HEAD') return new Response(null, { headers: STREAM_HEADERS })
  const outgoing = (c.env as ServerEnv['Bindings'] | undefined)?.outgoing // none without a socket
  const sink = new Sink(clock, outgoing && (() => outgoing.destroy()))
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        sink.open(controller)
        sink.push(encoder.encode('retry: 1000\n\n'))
        const stops = [begin(sink)]
        const end = (): void => {
          sink.end()
        }
        let disarm: (() => void) | undefined
        const beat = (): void => {
          disarm = clock.after(
            HEARTBEAT_MS,
            () => {
              sink.push(encoder.encode(': \n\n'))
              if (sink.isOpen) beat()
            },
            true,
          )
        }
        beat()
        closing.addEventListener('abort', end, { once: true })
        stops.push(
          () => disarm?.(),
          () => {
            closing.removeEventListener('abort', end)
          },
        )
        sink.whenOver(() => {
          for (const stop of stops) stop()
        })
        if (closing.aborted) end()
      },
      pull: () => {
        sink.taken()
      },
      cancel: () => {
        sink.gone()
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: MOST_BYTES }),
  )
  return new Response(body, { headers: STREAM_HEADERS })
}

class Sink implements EventSink {
  readonly #clock: ServerServices['clock']
  readonly #destroy: (() => void) | undefined
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #over: (() => void) | undefined
  /** Those who wait for room. */
  #waiting: (() => void)[] = []
  #disarm: (() => void) | undefined
  #isOpen = true

  /** @param destroy ends the connection of a reader that does not read */
  constructor(clock: ServerServices['clock'], destroy: (() => void) | undefined) {
    this.#clock = clock
    this.#destroy = destroy
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  get hasRoom(): boolean {
    return this.#left >= ROOM_BYTES
  }

  open(controller: ReadableStreamDefaultController<Uint8Array>): void {
    this.#controller = controller
  }

  whenOver(fn: () => void): void {
    if (this.#isOpen) this.#over = fn
    else fn()
  }

  push(frame: Uint8Array): void {
    if (!this.#isOpen) return
    if (this.#left < Math.min(frame.byteLength, ROOM_BYTES)) this.#drop()
    else this.#controller?.enqueue(frame)
  }

  room(): Promise<void> {
    if (!this.#isOpen || this.hasRoom) return Promise.resolve()
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#disarm ??= this.#clock.after(
        ROOM_MS,
        () => {
          this.#drop()
        },
        true,
      )
    })
  }

  /** The reader has taken something. */
  taken(): void {
    if (this.#waiting.length > 0 && this.hasRoom) this.#letOn()
  }

  /** How much may be pushed now. */
  get #left(): number {
    return this.#controller?.desiredSize ?? 0
  }

  #letOn(): void {
    this.#disarm?.()
    this.#disarm = undefined
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #drop(): void {
    this.gone()
    if (this.#destroy === undefined) this.#controller?.error(new Error('the reader does not read'))
    else this.#destroy() // which cancels the stream, too
  }

  end(): void {
    if (!this.#isOpen) return
    this.gone()
    this.#controller?.close()
  }

  /** Nobody reads any more. */
  gone(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#letOn()
    this.#over?.()
  }
}
