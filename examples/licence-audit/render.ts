/** Prints the report for people: tables as wide as the terminal, optional colour, and names without control characters. */
import type { Report } from './audit.js'
import { CLASSES, type LicenceClass } from './licences.js'

export interface Paper {
  readonly columns: number
  readonly hasColour: boolean
}

const MOST_FINDINGS = 12
const MOST_DUPLICATES = 10
const LONGEST_BAR = 24
const WIDEST = 120
/** The least width of text in the last column (bars use the rest), and the least width of the other columns. */
const LEAST_ROOM = 28
const NARROWEST = 9

const STYLES = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33', magenta: '35', cyan: '36' } as const
type Style = keyof typeof STYLES
const STYLE_OF: Readonly<Record<LicenceClass, Style>> = {
  permissive: 'green',
  'weak copyleft': 'yellow',
  copyleft: 'red',
  unknown: 'magenta',
}

/** One cell: its text, or a bar in the last column whose length is its share of the width; and its style. */
interface Cell {
  readonly text?: string
  readonly share?: number
  readonly style?: Style
  readonly isNumber?: boolean
}

/** The whole report. Every line ends in a line break. */
export function render(report: Report, paper: Paper): string {
  const page = new Page(paper)
  renderLicences(page, report)
  renderLargest(page, report)
  renderDuplicates(page, report)
  renderFindings(page, report)
  return page.text()
}

function renderLicences(page: Page, report: Report): void {
  const most = Math.max(1, ...report.licences.map(({ packages }) => packages))
  page.title('Licences', `${count(report.packages, 'package')}, ${bytesText(report.bytes)}`)
  page.table(
    ['licence', 'class', 'packages', 'size', ''],
    report.licences.map((row) => {
      const style = STYLE_OF[row.class]
      return [
        { text: row.licence },
        { text: row.class, style },
        { text: numberText(row.packages), isNumber: true },
        { text: bytesText(row.bytes), isNumber: true },
        // For licences that a person must check, names help more than a bar.
        row.class === 'permissive' ? { share: row.packages / most, style } : { text: row.names.join(', ') },
      ]
    }),
  )
  const classes = CLASSES.filter((name) => report.classes[name] > 0)
  page.line(
    classes.map((name) => page.styled(`${numberText(report.classes[name])} ${name}`, STYLE_OF[name])).join(' · '),
  )
}

function renderLargest(page: Page, report: Report): void {
  page.title('Largest', `${report.largest.length} of ${numberText(report.packages)}`)
  page.table(
    ['package', 'version', 'licence', 'files', 'size', ''],
    report.largest.map((found) => [
      { text: found.name },
      { text: found.version ?? '' },
      { text: found.licence, style: STYLE_OF[found.class] },
      { text: numberText(found.files), isNumber: true },
      { text: bytesText(found.bytes), isNumber: true },
      { share: found.bytes / (report.largest[0]?.bytes || 1), style: 'cyan' },
    ]),
  )
}

function renderDuplicates(page: Page, { duplicates }: Report): void {
  if (duplicates.length === 0) return
  page.title('In several versions', count(duplicates.length, 'package'))
  page.table(
    ['package', 'versions'],
    duplicates
      .slice(0, MOST_DUPLICATES)
      .map(({ name, versions }) => [{ text: name }, { text: versions.map(({ version }) => version).join(', ') }]),
  )
  page.more(duplicates.length - MOST_DUPLICATES)
}

function renderFindings(page: Page, { findings, links }: Report): void {
  if (findings.length === 0 && links === 0) return
  page.title('To look at', count(findings.length, 'finding'))
  page.table(
    ['path', 'problem'],
    findings.slice(0, MOST_FINDINGS).map(({ path, problem }) => [{ text: path, style: 'yellow' }, { text: problem }]),
  )
  page.more(findings.length - MOST_FINDINGS)
  if (links > 0) page.line(page.styled(`${count(links, 'link')} to packages that are counted where they are`, 'dim'))
}

/** Lines with their greatest width. */
class Page {
  readonly #paper: Paper
  readonly #lines: string[] = []

  constructor({ columns, hasColour }: Paper) {
    this.#paper = { columns: Math.min(columns, WIDEST), hasColour }
  }

  text(): string {
    return `${this.#lines.join('\n')}\n`
  }

  styled(text: string, style: Style): string {
    return this.#paper.hasColour && text !== '' ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text
  }

  line(text: string): void {
    this.#lines.push(`  ${text}`)
  }

  title(text: string, detail: string): void {
    this.#lines.push('', `${this.styled(text, 'bold')}  ${this.styled(detail, 'dim')}`)
  }

  more(count: number): void {
    if (count > 0) this.line(this.styled(`… and ${numberText(count)} more (--json has all)`, 'dim'))
  }

  /** Each column is as wide as its content, and the last one takes the rest. If that is too little, the widest columns shrink. */
  table(head: readonly string[], rows: readonly (readonly Cell[])[]): void {
    if (rows.length === 0) return
    const last = head.length - 1
    const texts = [head.map((text): Cell => ({ text, style: 'dim' })), ...rows].map((row) =>
      row.map((cell) => ({ ...cell, text: harmless(cell.text ?? '') })),
    )
    const widths = head.map((_, column) => Math.max(...texts.map((row) => width(row[column]?.text ?? ''))))
    const least = Math.min(LEAST_ROOM, widths[last] ?? 0)
    const room = (): number => this.#paper.columns - widths.slice(0, last).reduce((a, b) => a + 2 + b, 2)
    while (room() < least) {
      const widest = Math.max(...widths.slice(0, last))
      if (widest <= NARROWEST) break
      widths[widths.lastIndexOf(widest, last - 1)] = widest - 1
    }
    widths[last] = Math.max(0, room())
    const isNumber = (column: number): boolean => rows[0]?.[column]?.isNumber === true
    for (const row of texts) {
      const drawn = row.map(({ text, share, style }, column) => {
        const wide = widths[column] ?? 0
        const fitting = share === undefined ? cut(text, wide) : bar(share, Math.min(wide, LONGEST_BAR))
        const padding = ' '.repeat(Math.max(0, wide - width(fitting)))
        const shown = style === undefined ? fitting : this.styled(fitting, style)
        if (isNumber(column)) return padding + shown
        return column === last ? shown : shown + padding
      })
      this.#lines.push(`  ${drawn.join('  ')}`.trimEnd())
    }
  }
}

const bar = (share: number, longest: number): string =>
  longest < 3 ? '' : '━'.repeat(Math.max(1, Math.round(Math.min(1, share) * longest)))

/** Text of a package.json is not trusted: its control characters could draw on the reader's terminal. */
const harmless = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\u00b7')

const width = (text: string): number => [...text].length

function cut(text: string, room: number): string {
  const characters = [...text]
  return characters.length <= room ? text : `${characters.slice(0, Math.max(0, room - 1)).join('')}…`
}

const formatter = new Intl.NumberFormat('en')
export const numberText = (value: number): string => formatter.format(value)

/** `1 package`, `2 packages` */
export const count = (value: number, noun: string, several = `${noun}s`): string =>
  `${numberText(value)} ${value === 1 ? noun : several}`

export function bytesText(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`
  const [divisor, unit] = bytes < 1e6 ? [1e3, 'kB'] : bytes < 1e9 ? [1e6, 'MB'] : [1e9, 'GB']
  return `${(bytes / divisor).toFixed(1)} ${unit}`
}
