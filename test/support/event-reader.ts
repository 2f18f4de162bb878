/** Reads server-sent events of a control plane, as a browser does. */

export interface ReadEvent {
  readonly id: string | undefined
  readonly event: string
  readonly data: any
}

/** A stream that is read; `close` it. */
export interface EventReader {
  readonly status: number
  readonly events: ReadEvent[]
  /** Resolves with the first event that fits, also one that was read before. */
  until(fits: (event: ReadEvent) => boolean): Promise<ReadEvent>
  /** Resolves when the server ends the stream. */
  readonly ended: Promise<void>
  /** The last id that was read. */
  lastId(): string | undefined
  close(): void
}

/** Begins to read. */
export function readEvents(response: Response): EventReader {
  const events: ReadEvent[] = []
  const waiting = new Set<() => void>()
  let isOver = false
  const wake = (): void => {
    for (const look of [...waiting]) look()
  }
  const reader = response.body?.getReader()
  const ended = pump(reader, (event) => {
    events.push(event)
    wake()
  }).then(
    () => {
      isOver = true
      wake()
    },
    () => {
      isOver = true
      wake()
    },
  )
  return {
    ...{ status: response.status, events, ended },
    close: () => {
      isOver = true
      reader?.cancel().catch(() => undefined) // it has ended
    },
    lastId: () => events.findLast(({ id }) => id !== undefined)?.id,
    until: (fits) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = events.find(fits)
          if (found !== undefined) resolve(found)
          else if (isOver) reject(new Error(`the stream has ended: ${JSON.stringify(events.map(({ data }) => data))}`))
          else return
          waiting.delete(look)
        }
        waiting.add(look)
        look()
      }),
  }
}

async function pump(
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
  take: (event: ReadEvent) => void,
): Promise<void> {
  const decoder = new TextDecoder()
  let text = ''
  for (;;) {
    const { value, done = true } = (await reader?.read()) ?? {}
    if (done) return
    text += decoder.decode(value, { stream: true })
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const lines = block.split('\n')
      const of = (field: string): string | undefined =>
        lines.find((line) => line.startsWith(`${field}: `))?.slice(field.length + 2)
      const data = of('data')
      if (data !== undefined) take({ id: of('id'), event: of('event') ?? 'message', data: JSON.parse(data) })
    }
  }
}
