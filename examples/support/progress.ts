/** Shows the progress of a run: one line that is redrawn on a terminal, otherwise one line per group. */
import type { Run, RunEvent } from 'graflow'

/** The output stream: standard error, so that only the report is on standard output. */
export interface Screen {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

const REDRAW_MS = 50
const LONGEST_BAR = 40

/** Follows the run until it is over. `titles` names its groups by their paths; `''` is the part before the first group. */
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
    // every line is complete by itself
  }
}

/** A progress display that the caller advances. */
export interface Bar {
  /** Counts one more as done. */
  advance(): void
  end(): void
}

/** Shows the progress of `total` items, like the branches of a run. Shows nothing without a terminal. */
export function openBar(title: string, total: number, screen: Screen): Bar {
  if (screen.isTTY !== true) return { advance: () => undefined, end: () => undefined }
  const drawn = new DrawnBar(screen, title)
  drawn.add(total)
  return drawn
}

/** For terminals. */
class Line {
  readonly #bar: DrawnBar
  readonly #titles: Readonly<Record<string, string>>

  constructor(screen: Screen, titles: Readonly<Record<string, string>>) {
    this.#titles = titles
    this.#bar = new DrawnBar(screen, titles[''] ?? '')
  }

  see(event: RunEvent): void {
    if (event.type === 'group:dispatched') this.#bar.add(event.width, this.#titles[event.path] ?? event.path)
    else if (event.type === 'branch:settled') this.#bar.advance()
  }

  end(): void {
    this.#bar.end()
  }
}

/** One line that is redrawn. */
class DrawnBar implements Bar {
  readonly #screen: Screen
  #title: string
  #done = 0
  #total = 0
  #drawnAt = 0

  constructor(screen: Screen, title: string) {
    this.#screen = screen
    this.#title = title
    this.#draw()
  }

  add(count: number, title = this.#title): void {
    this.#title = title
    this.#total += count
    this.#drawSoon()
  }

  advance(): void {
    this.#done += 1
    this.#drawSoon()
  }

  end(): void {
    this.#screen.write('\r\u001b[K')
  }

  #drawSoon(): void {
    if (performance.now() - this.#drawnAt >= REDRAW_MS) this.#draw()
  }

  #draw(): void {
    this.#drawnAt = performance.now()
    const columns = this.#screen.columns ?? 80
    const counts = this.#total === 0 ? '' : `  ${this.#done}/${this.#total}`
    const length = Math.min(LONGEST_BAR, columns - this.#title.length - counts.length - 6)
    const filled = this.#total === 0 ? 0 : Math.floor((length * this.#done) / this.#total)
    const bar = length < 5 ? '' : `  ${'━'.repeat(filled)}${'╌'.repeat(length - filled)}`
    // A line as wide as the terminal would wrap, and could not be redrawn.
    this.#screen.write(`\r\u001b[K${`  ${this.#title}${bar}${counts}`.slice(0, columns - 1)}`)
  }
}
