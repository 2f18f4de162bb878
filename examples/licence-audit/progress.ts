/** Shows how a run gets on: on a terminal one line that is drawn again and again, elsewhere a line for each group. */
import type { Run, RunEvent } from 'graflow'

/** What is written to; standard error, so that the report alone is on standard output. */
export interface Screen {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

const REDRAW_MS = 50
const LONGEST_BAR = 40

/** Follows the run to its end, however that is. `titles` names its groups by their paths; `''` is what comes before the first. */
export async function showProgress(
  run: Run<unknown>,
  titles: Readonly<Record<string, string>>,
  screen: Screen,
): Promise<void> {
  const show = screen.isTTY === true ? new Line(screen, titles) : new Lines(screen, titles)
  try {
    for await (const event of run.events()) show.see(event)
  } finally {
    show.end()
  }
}

/** For files and pipes. */
class Lines {
  readonly #screen: Screen
  readonly #titles: Readonly<Record<string, string>>

  constructor(screen: Screen, titles: Readonly<Record<string, string>>) {
    this.#screen = screen
    this.#titles = titles
  }

  see(event: RunEvent): void {
    if (event.type === 'group:dispatched') {
      this.#screen.write(`${this.#titles[event.path] ?? event.path}: ${event.width} branches\n`)
    } else if (event.type === 'group:released') {
      const { succeeded, failed, withdrawn, durationMs } = event
      const lost = failed + withdrawn === 0 ? '' : `, ${failed} failed, ${withdrawn} withdrawn`
      this.#screen.write(`${this.#titles[event.path] ?? event.path}: ${succeeded} done in ${durationMs} ms${lost}\n`)
    }
  }

  end(): void {
    // every line stands by itself
  }
}

/** For terminals. */
class Line {
  readonly #screen: Screen
  readonly #titles: Readonly<Record<string, string>>
  #title: string
  #done = 0
  #total = 0
  #drawnAt = 0

  constructor(screen: Screen, titles: Readonly<Record<string, string>>) {
    this.#screen = screen
    this.#titles = titles
    this.#title = titles[''] ?? ''
    this.#draw()
  }

  see(event: RunEvent): void {
    if (event.type === 'group:dispatched') {
      this.#title = this.#titles[event.path] ?? event.path
      this.#total += event.width
    } else if (event.type === 'branch:settled') {
      this.#done += 1
    }
    if (performance.now() - this.#drawnAt >= REDRAW_MS) this.#draw()
  }

  end(): void {
    this.#screen.write('\r\u001b[K')
  }

  #draw(): void {
    this.#drawnAt = performance.now()
    const columns = this.#screen.columns ?? 80
    const counts = this.#total === 0 ? '' : `  ${this.#done}/${this.#total}`
    const length = Math.min(LONGEST_BAR, columns - this.#title.length - counts.length - 6)
    const filled = this.#total === 0 ? 0 : Math.floor((length * this.#done) / this.#total)
    const bar = length < 5 ? '' : `  ${'━'.repeat(filled)}${'╌'.repeat(length - filled)}`
    // A line as wide as the terminal would break, and could not be drawn over.
    this.#screen.write(`\r\u001b[K${`  ${this.#title}${bar}${counts}`.slice(0, columns - 1)}`)
  }
}
