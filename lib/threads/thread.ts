/**
 * One thread, seen from outside: starts a handler in it, serves what the handler asks, fires its signal, and ends it where that does not help.
 * A thread ends by an error that nothing caught, by a lack of memory and by an exit: whichever it is, the one start that ran in it has failed.
 */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { messageOf } from '../describe.js'
import { type FreeThread, type ThreadCall, type ThreadEnd, ThrewInThread } from '../engine/thread-runner.js'
import { GraflowError } from '../errors.js'
import { systemClock } from '../time.js'
import { decode, encodeFailure } from '../values/codec.js'
import type { FromThread, ThreadData, ToThread } from './messages.js'

/** Who has threads is told what becomes of each. */
export interface ThreadEvents {
  /** It is loaded, or its start is over. */
  onFree(thread: Thread): void
  /** It has ended. `error`: why, where nobody else is told, since no start ran in it. */
  onGone(thread: Thread, error: Error | undefined): void
}

/** How threads are made. */
export interface ThreadOptions extends ThreadData {
  /** Megabytes of heap; what V8 allows without it. */
  readonly heapMb?: number
}

interface Running {
  readonly number: number
  readonly call: ThreadCall
  readonly resolve: (end: ThreadEnd) => void
  readonly reject: (error: unknown) => void
}

export class Thread implements FreeThread {
  readonly #worker: Worker
  readonly #events: ThreadEvents
  #running: Running | undefined
  #lastNumber = 0
  #error: unknown
  #cancelEnd: (() => void) | undefined
  #hasEnded = false

  /** @throws GraflowError NOT_AVAILABLE where the file that it runs is missing */
  constructor({ modules, timeoutMs, heapMb }: ThreadOptions, events: ThreadEvents) {
    this.#events = events
    const workerData: ThreadData = { modules, timeoutMs }
    // Imported, so that a program of the command line, with its flag --input-type, may start it, too.
    const source = `import ${JSON.stringify(entryFile().href)}`
    this.#worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
      ...{ name: 'graflow-task', workerData },
      ...(heapMb !== undefined && { resourceLimits: { maxOldGenerationSizeMb: heapMb } }),
    })
    this.#worker.on('message', (message: FromThread) => this.#receive(message))
    this.#worker.on('error', (error: unknown) => {
      this.#error ??= error
    })
    this.#worker.on('exit', (code) => this.#exited(code))
  }

  run(call: ThreadCall): Promise<ThreadEnd> {
    const number = (this.#lastNumber += 1)
    return new Promise((resolve, reject) => {
      if (this.#hasEnded) {
        reject(this.#lost(0))
        return
      }
      this.#running = { number, call, resolve, reject }
      const { task, facts } = call
      // The bytes are part of what others read, too.
      const input = new Uint8Array(call.input)
      this.#send({ kind: 'run', call: number, task, input, facts }, input)
    })
  }

  abort(reason: Error, graceMs: number): void {
    if (this.#running === undefined || this.#hasEnded) return
    this.#send({ kind: 'abort', call: this.#running.number, reason: encodeFailure(reason) })
    // By the system's clock: a thread is real, also where a test has the time in its hands.
    this.#cancelEnd ??= systemClock.after(graceMs, () => void this.end())
  }

  release(): void {
    if (!this.#hasEnded) this.#events.onFree(this)
  }

  /** Whether it keeps this process. */
  keepProcess(does: boolean): void {
    if (does) this.#worker.ref()
    else this.#worker.unref()
  }

  /** Ends it, whatever it does. Repeating it is safe. */
  async end(): Promise<void> {
    await this.#worker.terminate()
  }

  #send(message: ToThread, moved?: Uint8Array): void {
    this.#worker.postMessage(message, moved === undefined ? [] : [moved.buffer as ArrayBuffer])
  }

  #receive(message: FromThread): void {
    if (message.kind === 'ready') {
      this.#events.onFree(this)
      return
    }
    if (message.kind === 'unusable') {
      this.#error = decode(message.error)
      void this.end()
      return
    }
    const running = this.#running
    if (running === undefined || running.number !== message.call) return // of a start that is over
    switch (message.kind) {
      case 'note':
        running.call.note(message.note)
        return
      case 'request':
        void this.#serve(running, message)
        return
      case 'ended':
        this.#over()
        running.resolve(message.end)
        this.#events.onFree(this)
        return
      case 'failed': {
        this.#over()
        const error = decode(message.error)
        running.reject(message.isFromHandler ? new ThrewInThread(error) : error)
        this.#events.onFree(this)
        return
      }
      default:
        message satisfies never
    }
  }

  async #serve({ number: call, call: { serve } }: Running, message: FromThread & { kind: 'request' }): Promise<void> {
    const { id, request } = message
    const answer = await serve(request).then(
      (value): ToThread => ({ kind: 'answer', call, id, value }),
      (error: unknown): ToThread => ({ kind: 'refusal', call, id, error: encodeFailure(error) }),
    )
    if (!this.#hasEnded) this.#send(answer, answer.kind === 'answer' ? answer.value : undefined)
  }

  #over(): void {
    this.#running = undefined
    this.#cancelEnd?.()
    this.#cancelEnd = undefined
  }

  #exited(code: number): void {
    this.#hasEnded = true
    const running = this.#running
    this.#over()
    const error = this.#lost(code)
    running?.reject(error)
    this.#events.onGone(this, running === undefined ? error : undefined)
  }

  #lost(exitCode: number): GraflowError {
    const error = this.#error
    if (error instanceof GraflowError) return error // why its modules cannot be loaded
    if (error === undefined)
      return lost(`its thread ended with exit code ${exitCode}: call process.exit in no task`, { exitCode })
    const isMemory = (error as { readonly code?: unknown }).code === 'ERR_WORKER_OUT_OF_MEMORY'
    return isMemory
      ? lost('its thread ran out of memory: raise threadHeapMb, or keep less in memory', { isOutOfMemory: true }, error)
      : lost(`its thread ended by an error that nothing caught: ${messageOf(error)}`, {}, error)
  }
}

const lost = (why: string, details: Readonly<Record<string, unknown>>, cause?: unknown): GraflowError =>
  new GraflowError('THREAD_LOST', why, { details, ...(cause !== undefined && { cause }) })

/** Beside this file; of the TypeScript sources, what was built of them, since a thread compiles nothing. */
function entryFile(): URL {
  const isSource = import.meta.url.endsWith('.ts')
  const url = new URL(isSource ? '../../dist/lib/threads/thread-entry.js' : './thread-entry.js', import.meta.url)
  if (existsSync(fileURLToPath(url))) return url
  throw new GraflowError(
    'NOT_AVAILABLE',
    `threads need the file ${fileURLToPath(url)}, which is missing: leave graflow out of a bundle (external), or run npm run build in a checkout`,
  )
}
