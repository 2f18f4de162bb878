/**
 * Draws a Grafana dashboard as a page: its rows, panels, titles and units, with the answers of a Prometheus. It knows what dashboards/graflow.json
 * uses and refuses anything else, so that a picture shows what Grafana would show.
 */

/** As in the JSON of Grafana, as far as it is drawn. */
export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat?: string }[]
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit?: string
      readonly min?: number
      readonly thresholds?: { readonly steps: readonly { readonly color: string; readonly value: number | null }[] }
      readonly mappings?: readonly { readonly options: Readonly<Record<string, { readonly text: string }>> }[]
      readonly custom?: { readonly stacking?: { readonly mode: string } }
    }
  }
}

/** Values of one line, by time in seconds, in order; a time without a value is left out. */
export interface Series {
  readonly name: string
  readonly points: readonly (readonly [at: number, value: number])[]
}

export interface Picture {
  readonly title: string
  readonly panels: readonly Panel[]
  /** By panel. */
  readonly series: ReadonlyMap<number, readonly Series[]>
  readonly from: number
  readonly to: number
  /** Below it, in small letters. */
  readonly note: string
}

/** Pixels of the page, and of a row of the grid with the gap below it. */
const WIDTH = 1200
const ROW = 29
const GAP = 8
const COLUMNS = 24
const COLOURS = [
  '#3f7fbf',
  '#e0902f',
  '#4f9d54',
  '#c4443c',
  '#8662a8',
  '#8c6d5c',
  '#cf6fa8',
  '#5f6b73',
  '#a8a235',
  '#35a3ad',
]
const NAMED: Readonly<Record<string, string>> = { green: '#3d8b44', orange: '#d9822b', red: '#c4443c' }

const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')

/** The whole page. */
export function pageOf(picture: Picture): string {
  const rows = Math.max(...picture.panels.map(({ gridPos: { y, h } }) => y + h))
  const panels = picture.panels.map((panel) => panelOf(panel, picture)).join('\n')
  return `<!doctype html><meta charset="utf-8"><title>${escaped(picture.title)}</title>
<style>
  body { margin: 0; width: ${WIDTH}px; height: ${heightOf(picture)}px; background: #f4f5f5; position: relative; font: 12px "DejaVu Sans", sans-serif; color: #24292e }
  h1 { font-size: 17px; margin: 0; position: absolute; left: ${GAP + 4}px; top: 12px }
  .when { position: absolute; right: ${GAP + 4}px; top: 16px; color: #57606a }
  .note { position: absolute; left: ${GAP + 4}px; top: ${HEAD + rows * ROW + 2}px; color: #57606a }
  .panel { position: absolute; background: #fff; border: 1px solid #dfe1e4; border-radius: 2px; box-sizing: border-box; overflow: hidden }
  .panel b { position: absolute; left: 8px; top: 6px; font-weight: 600 }
  .panel svg { position: absolute; left: 0; top: 0 }
  .row { position: absolute; font-weight: 700; line-height: ${ROW - GAP}px }
  .legend { position: absolute; left: 8px; right: 8px; bottom: 5px; height: 15px; overflow: hidden; white-space: nowrap; font-size: 10px }
  .legend i { display: inline-block; width: 9px; height: 3px; vertical-align: middle; margin-right: 3px }
  .legend span { margin-right: 7px }
</style>
<h1>${escaped(picture.title)}</h1><div class="when">${timeOf(picture.from, true)} – ${timeOf(picture.to, true)} UTC</div>
${panels}
<div class="note">${escaped(picture.note)}</div>
`
}

const HEAD = 44

/** Pixels of the page, which a screenshot needs. */
export const sizeOf = (picture: Picture): { readonly width: number; readonly height: number } => ({
  width: WIDTH,
  height: heightOf(picture),
})

const heightOf = ({ panels }: Picture): number =>
  HEAD + Math.max(...panels.map(({ gridPos: { y, h } }) => y + h)) * ROW + 26

interface Box {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

function boxOf({ gridPos: { x, y, w, h } }: Panel): Box {
  const column = (WIDTH - GAP) / COLUMNS
  return { left: GAP + x * column, top: HEAD + y * ROW, width: w * column - GAP, height: h * ROW - GAP }
}

function panelOf(panel: Panel, picture: Picture): string {
  const box = boxOf(panel)
  const style = `left:${box.left}px;top:${box.top}px;width:${box.width}px;height:${box.height}px`
  if (panel.type === 'row') return `<div class="row" style="${style}">▾ ${escaped(panel.title)}</div>`
  const series = picture.series.get(panel.id) ?? []
  const draw = { stat: statOf, timeseries: chartOf }[panel.type]
  if (draw === undefined) throw new Error(`expected a panel of type row, stat or timeseries, got ${panel.type}`)
  return `<div class="panel" style="${style}"><b>${escaped(panel.title)}</b>${draw(panel, series, box, picture)}</div>`
}

// ------------------------------------------------------------------------------------------------------------------------ stat

function statOf(panel: Panel, [series]: readonly Series[], { width, height }: Box, { from, to }: Picture): string {
  const { mappings = [], thresholds, unit } = panel.fieldConfig?.defaults ?? {}
  const points = series?.points ?? []
  const last = points.at(-1)?.[1]
  if (last === undefined) return ''
  const step = (thresholds?.steps ?? []).findLast(({ value }) => value === null || last >= value)
  const colour = NAMED[step?.color ?? 'green'] ?? '#24292e'
  const mapped = mappings.map(({ options }) => options[String(last)]?.text).find((text) => text !== undefined)
  const most = topOf(points.map(([, value]) => value))
  const x = (at: number): number => ((at - from) / (to - from)) * width
  const y = (value: number): number => height - (value / most) * height * 0.3
  const line = points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(' ')
  return `<svg width="${width}" height="${height}">
<polygon points="${x(points[0]?.[0] ?? from).toFixed(1)},${height} ${line} ${width},${height}" fill="${colour}" fill-opacity="0.13"/>
<polyline points="${line}" fill="none" stroke="${colour}" stroke-opacity="0.6"/>
<text x="${width / 2}" y="${height / 2 + 8}" font-size="28" font-weight="600" text-anchor="middle" fill="${colour}">${escaped(mapped ?? shown(last, unit))}</text></svg>`
}

/** What a scale ends with; one of nothing but zeros has 1. */
const topOf = (values: readonly number[]): number => Math.max(...values, 0) || 1

// ----------------------------------------------------------------------------------------------------------------------- chart

const AXIS = { left: 62, right: 10, top: 28, bottom: 40 }

function chartOf(panel: Panel, series: readonly Series[], { width, height }: Box, { from, to }: Picture): string {
  const { unit, min, custom } = panel.fieldConfig?.defaults ?? {}
  const isStacked = custom?.stacking?.mode === 'normal'
  const drawn = isStacked ? stacked(series) : series.map((one) => ({ ...one, floor: [] }))
  const values = drawn.flatMap(({ points }) => points.map(([, value]) => value))
  const ticks = ticksOf(min ?? Math.min(...values, 0), topOf(values), unit)
  const [low = 0, high = 1] = [ticks[0], ticks.at(-1)]
  const x = (at: number): number => AXIS.left + ((at - from) / (to - from)) * (width - AXIS.left - AXIS.right)
  const y = (value: number): number =>
    height - AXIS.bottom - ((value - low) / (high - low)) * (height - AXIS.top - AXIS.bottom)
  const grid = ticks.map(
    (tick) =>
      `<path d="M${AXIS.left} ${y(tick).toFixed(1)}H${width - AXIS.right}" stroke="#e8eaec"/><text x="${AXIS.left - 6}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end" font-size="11" fill="#57606a">${escaped(shown(tick, unit))}</text>`,
  )
  // half a text of a time must fit beside the end
  const isWithin = (at: number): boolean => x(at) + 28 < width
  const times = timesBetween(from, to)
    .filter(isWithin)
    .map(
      (at) =>
        `<text x="${x(at).toFixed(1)}" y="${height - AXIS.bottom + 14}" text-anchor="middle" font-size="11" fill="#57606a">${timeOf(at)}</text>`,
    )
  const place = ([at, value]: readonly [number, number]): string => `${x(at).toFixed(1)},${y(value).toFixed(1)}`
  const lines = drawn.flatMap(({ points, floor }, i) => {
    const colour = COLOURS[i % COLOURS.length] ?? ''
    const base = floor.length > 0 ? floor : points.map(([at]) => [at, Math.max(low, 0)] as const)
    return runsOf(points).map((run) => {
      const below = base.filter(([at]) => at >= (run[0]?.[0] ?? 0) && at <= (run.at(-1)?.[0] ?? 0)).reverse()
      const fill = `<polygon points="${[...run, ...below].map(place).join(' ')}" fill="${colour}" fill-opacity="${isStacked ? 0.3 : 0.1}"/>`
      return `${fill}<polyline points="${run.map(place).join(' ')}" fill="none" stroke="${colour}" stroke-width="1.3"/>`
    })
  })
  const legend = series.map(
    ({ name }, i) => `<span><i style="background:${COLOURS[i % COLOURS.length] ?? ''}"></i>${escaped(name)}</span>`,
  )
  return `<svg width="${width}" height="${height}">${[...grid, ...times, ...lines].join('')}</svg><div class="legend">${legend.join('')}</div>`
}

type Points = Series['points']

/** Each on top of those before it. */
function stacked(series: readonly Series[]): readonly (Series & { readonly floor: Points })[] {
  const heights = new Map<number, number>()
  return series.map(({ name, points }) => {
    const floor = points.map(([at]) => [at, heights.get(at) ?? 0] as const)
    const raised = points.map(([at, value]) => [at, (heights.get(at) ?? 0) + value] as const)
    for (const [at, value] of raised) heights.set(at, value)
    return { name, points: raised, floor }
  })
}

/** A line ends where a value is missing, and begins again after it. */
function runsOf(points: Points): readonly Points[] {
  const gaps = points.slice(1).map(([at], i) => at - (points[i]?.[0] ?? at))
  const usual = Math.min(...gaps)
  const starts = [0, ...gaps.flatMap((gap, i) => (gap > 1.5 * usual ? [i + 1] : []))]
  return starts.map((start, i) => points.slice(start, starts[i + 1]))
}

/** Round values from below the least to above the most. */
function ticksOf(least: number, most: number, unit: string | undefined): readonly number[] {
  const base = unit === 'bytes' ? 2 : 10
  const rough = Math.max(most - least, 1e-9) / 4
  const power = base ** Math.floor(Math.log(rough) / Math.log(base))
  const step =
    (base === 2 ? [1, 2] : [1, 2, 2.5, 5, 10]).map((factor) => factor * power).find((one) => one >= rough) ?? rough
  const first = Math.floor(least / step)
  const last = Math.max(first + 1, Math.ceil((most * 1.02) / step))
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step)
}

/** Whole steps of a clock, about six. */
function timesBetween(from: number, to: number): readonly number[] {
  const step = [5, 10, 15, 30, 60, 120, 300, 600].find((one) => (to - from) / one <= 6) ?? 1_800
  const first = Math.ceil(from / step) * step
  return Array.from({ length: Math.max(0, Math.floor((to - 1 - first) / step) + 1) }, (_, i) => first + i * step)
}

/** `14:03:30`, with its day on request. */
const timeOf = (at: number, withDay = false): string =>
  new Date(at * 1_000)
    .toISOString()
    .replace('T', ' ')
    .slice(withDay ? 0 : 11, 19)

// ----------------------------------------------------------------------------------------------------------------------- units

const round = (value: number): string => String(Number(value.toPrecision(3)))

function scaled(value: number, factor: number, names: readonly string[]): string {
  const place = value === 0 ? 0 : Math.floor(Math.log(Math.abs(value)) / Math.log(factor) + 1e-9)
  const at = Math.min(names.length - 1, Math.max(0, place))
  return `${round(value / factor ** at)}${names[at] ?? ''}`
}

/** A value in a unit of Grafana. @throws Error for a unit that is not known here */
function shown(value: number, unit = 'short'): string {
  switch (unit) {
    case 'short':
      return scaled(value, 1_000, ['', ' K', ' Mil', ' Bil'])
    case 'ops':
      return `${scaled(value, 1_000, ['', 'k', 'M'])} ops/s`
    case 'bytes':
      return scaled(value, 1_024, [' B', ' KiB', ' MiB', ' GiB', ' TiB'])
    case 'percentunit':
      return `${round(value * 100)}%`
    case 's':
      if (value === 0) return '0 s'
      if (Math.abs(value) < 1e-3) return `${round(value * 1e6)} µs`
      if (Math.abs(value) < 1) return `${round(value * 1e3)} ms`
      return Math.abs(value) < 60 ? `${round(value)} s` : `${round(value / 60)} mins`
    default:
      throw new Error(`expected a unit that is drawn here, got ${unit}`)
  }
}
