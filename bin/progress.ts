/**
 * The progress of a run on standard error: a block that is redrawn on a terminal, else plain lines. Counts come from the store, so they are
 * right whatever events are lost; names and stragglers come from events.
 */
import type { GroupProgress, Run, RunStatus } from '../lib/producer/types.js'
import type { RunEvent } from '../lib/events.js'
import { named } from '../lib/values/item-label.js'
import { elapsedMs, systemClock } from '../lib/time.js'
import type { Host, Screen } from './host.js'
import { columnsOf, duration, type Paint, painter, plainText } from './output.js'
import { Stragglers } from './stragglers.js'

export type ProgressMode = 'auto' | 'live' | 'lines' | 'none'

/** A progress display; `end` it when the run is over. */
export interface Progress {
  /** Writes a line above it. */
  say(line: string): void
  end(): Promise<void>
}

const LOOK_MS = 250
const LINE_EVERY_MS = 10_000
/** Looking takes at most one part of so many of the time: a look reads all groups of the run. */
const LOOK_SHARE = 10
/** Of the live display. */
const MOST_GROUPS = 8
const MOST_STRAGGLERS = 3
const BAR = 20
/** The rate is that of so long. */
const RATE_MS = 5_000

/** Shows the progress of a run until it is over. */
export function showProgress(run: Run<unknown>, mode: ProgressMode, host: Host): Progress {
  const { err } = host
  if (mode === 'none') return { say: (line) => void err.write(`${line}\n`), end: () => Promise.resolve() }
  const isLive = mode === 'live' || (mode === 'auto' && err.isTTY === true && host.env['TERM'] !== 'dumb')
  return new Shown(run, host, isLive ? new Block(err) : undefined)
}

/** How many were done when, by a clock that never goes back, of one group. */
interface Sample {
  readonly at: number
  readonly done: number
}

class Shown implements Progress {
  readonly #run: Run<unknown>
  readonly #host: Host
  readonly #block: Block | undefined
  readonly #paint: Paint
  readonly #startedAt: number
  readonly #names = new Map<string, string>()
  readonly #samples = new Map<string, Sample[]>()
  readonly #stragglers = new Stragglers()
  readonly #timer: NodeJS.Timeout
  readonly #reading: Promise<void>
  readonly #events: AsyncIterableIterator<RunEvent>
  #isOver = false
  /** By a clock that never goes back. */
  #nextLookAt = 0
  #status: RunStatus | undefined
  #looking: Promise<void> | undefined

  constructor(run: Run<unknown>, host: Host, block: Block | undefined) {
    this.#run = run
    this.#host = host
    this.#block = block
    this.#paint = painter(host.err, host.env)
    this.#startedAt = elapsedMs(systemClock)
    this.#events = run.events()
    this.#reading = this.#read()
    // lines are due seldom, and only they show what a look finds
    this.#timer = setInterval(() => this.#turn(), block === undefined ? LINE_EVERY_MS : LOOK_MS)
    this.#draw()
  }

  say(line: string): void {
    this.#block?.clear()
    this.#host.err.write(`${line}\n`)
    this.#draw()
  }

  async end(): Promise<void> {
    this.#isOver = true
    clearInterval(this.#timer)
    await this.#looking
    await this.#events.return?.()
    await this.#reading
    if (this.#block === undefined) return
    await this.#look()
    this.#draw()
    this.#block.keep()
  }

  async #read(): Promise<void> {
    try {
      for await (const event of this.#events) this.#see(event)
    } catch {
      // the run is gone, or the client is closed: who waits for the result is told
    }
  }

  #see(event: RunEvent): void {
    this.#stragglers.see(event)
    if (event.type === 'group:dispatched') {
      if (event.name !== undefined) this.#names.set(event.path, event.name)
      this.#samples.set(event.path, [{ at: elapsedMs(systemClock), done: 0 }])
    }
    if (this.#block !== undefined) return
    if (event.type === 'group:dispatched') this.#line(`${this.#title(event.path)}: ${branches(event.width)}`)
    if (event.type === 'group:released') {
      const { succeeded, failed, withdrawn, durationMs } = event
      const others = [...(failed > 0 ? [`${failed} failed`] : []), ...(withdrawn > 0 ? [`${withdrawn} withdrawn`] : [])]
      const counts = [`${succeeded} succeeded`, ...others].join(', ')
      this.#line(`${this.#title(event.path)}: ${counts} in ${duration(durationMs)}`)
    }
  }

  #line(text: string): void {
    this.#host.err.write(`${plainText(text)}\n`)
  }

  /** The time that is shown goes on also between two looks. */
  #turn(): void {
    if (elapsedMs(systemClock) >= this.#nextLookAt) void this.#look()
    this.#draw()
  }

  /** Asks the store, unless it is being asked. */
  #look(): Promise<void> {
    if (this.#looking !== undefined) return this.#looking
    const askedAt = elapsedMs(systemClock)
    this.#looking = this.#run
      .status()
      .then(
        (status) => {
          this.#status = status
          for (const group of status.groups) this.#sample(group)
        },
        () => undefined, // asked again soon
      )
      .finally(() => {
        this.#looking = undefined
        const now = elapsedMs(systemClock)
        this.#nextLookAt = now + LOOK_SHARE * (now - askedAt)
        if (this.#block !== undefined) this.#draw()
        else if (!this.#isOver) this.#lines()
      })
    return this.#looking
  }

  #sample(group: GroupProgress): void {
    const now = elapsedMs(systemClock)
    const all = this.#samples.get(group.path) ?? []
    this.#samples.set(group.path, all)
    all.push({ at: now, done: doneOf(group) })
    while (all.length > 2 && (all[1]?.at ?? now) < now - RATE_MS) all.shift()
  }

  /** Branches a second, over the last seconds. */
  #rateOf(path: string): number {
    const all = this.#samples.get(path) ?? []
    const [first, last] = [all[0], all.at(-1)]
    if (first === undefined || last === undefined || last.at === first.at) return 0
    return ((last.done - first.done) * 1_000) / (last.at - first.at)
  }

  #lines(): void {
    const open = this.#status?.groups.filter(({ state }) => state === 'open') ?? []
    for (const group of open.slice(-MOST_GROUPS)) this.#line(`${this.#title(group.path)}: ${this.#countsOf(group)}`)
    for (const text of this.#late()) this.#line(text)
  }

  #draw(): void {
    if (this.#block === undefined) return
    const { id, state = 'running', workflow, groups = [] } = { id: this.#run.id, ...this.#status }
    const colour = state === 'completed' ? 'green' : state === 'failed' || state === 'cancelled' ? 'red' : 'bold'
    const head = `${this.#paint(colour, state)}  ${workflow ?? 'run'} ${id}  ${duration(elapsedMs(systemClock) - this.#startedAt)}`
    const left = groups.length - MOST_GROUPS
    const rows = groups.slice(-MOST_GROUPS).map((group) => {
      const done = group.width === 0 ? BAR : Math.floor((BAR * doneOf(group)) / group.width)
      const bar = this.#paint('green', '━'.repeat(done)) + this.#paint('dim', '╌'.repeat(BAR - done))
      return `  ${this.#title(group.path)}  ${bar}  ${this.#countsOf(group)}`
    })
    const more = left > 0 ? [`  … ${left} groups before`] : []
    this.#block.draw([head, ...more, ...rows, ...this.#late().map((text) => `  ${this.#paint('yellow', text)}`)])
  }

  #late(): readonly string[] {
    return this.#stragglers
      .at(this.#host.now(), MOST_STRAGGLERS)
      .map(({ path, task, label, workerId, forMs }) =>
        plainText(`slow: ${named(path, label)} ${task} for ${duration(forMs)} on ${workerId}`),
      )
  }

  #countsOf(group: GroupProgress): string {
    const { path, width, running, delayed, failed, dead, withdrawn, state } = group
    const done = doneOf(group)
    const rate = state === 'open' ? this.#rateOf(path) : 0
    const leftMs = rate > 0 ? ((width - done) * 1_000) / rate : undefined
    return [
      `${done}/${width}`,
      ...(state === 'open' && running > 0 ? [`${running} running`] : []),
      ...(delayed > 0 ? [`${delayed} to be retried`] : []),
      ...(failed > 0 ? [`${failed} failed`] : []),
      ...(dead > 0 ? [`${dead} dead`] : []),
      ...(withdrawn > 0 ? [`${withdrawn} withdrawn`] : []),
      ...(rate > 0 ? [`${rate < 10 ? rate.toFixed(1) : Math.round(rate)}/s`] : []),
      ...(leftMs !== undefined ? [`${duration(leftMs)} left`] : []),
    ].join(', ')
  }

  #title(path: string): string {
    const name = this.#names.get(path)
    return plainText(name === undefined ? path : `${path} ${name}`)
  }
}

const doneOf = ({ succeeded, failed, dead, withdrawn }: GroupProgress): number => succeeded + failed + dead + withdrawn

const branches = (count: number): string => (count === 1 ? '1 branch' : `${count} branches`)

/** Lines at the end of a terminal that are drawn again in place. */
class Block {
  readonly #screen: Screen
  #height = 0

  constructor(screen: Screen) {
    this.#screen = screen
  }

  draw(lines: readonly string[]): void {
    // a line as wide as the terminal would wrap, and could not be drawn again
    const most = columnsOf(this.#screen) - 1
    const text = lines.map((line) => `${cut(line, most)}\u001b[K\n`).join('')
    this.#screen.write(`${this.#up()}${text}\u001b[J`)
    this.#height = lines.length
  }

  clear(): void {
    if (this.#height > 0) this.#screen.write(`${this.#up()}\u001b[J`)
    this.#height = 0
  }

  /** What was drawn last stays. */
  keep(): void {
    this.#height = 0
  }

  #up(): string {
    return this.#height === 0 ? '' : `\u001b[${this.#height}A\r`
  }
}

/** The first characters of a line; codes of colours take no room. */
function cut(line: string, most: number): string {
  let room = most
  const parts = line.split(/(\u001b\[\d+m)/)
  return parts
    .map((part) => {
      if (part.startsWith('\u001b')) return part
      const kept = [...part].slice(0, Math.max(0, room))
      room -= kept.length
      return kept.join('')
    })
    .join('')
}
