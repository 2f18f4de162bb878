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

/** What a caller counts by itself. */
export interface Bar {
  /** One more is done. */
  advance(): void
  end(): void
}

/** Shows `total` things getting done, as a run's branches are shown; nothing where there is no terminal. */
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

/** One line, drawn over and over. */
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
    // A line as wide as the terminal would break, and could not be drawn over.
    this.#screen.write(`\r\u001b[K${`  ${this.#title}${bar}${counts}`.slice(0, columns - 1)}`)
  }
}
