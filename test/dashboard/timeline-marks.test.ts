/** What is cut out of a timeline is seen to be: hatched, with how long it was, and drawn within the view whatever one zooms into. */
import { foldingOf, shownView } from '../../dashboard/run/timeline-folds.js'
import { drawFolds } from '../../dashboard/run/timeline-marks.js'
import type { Context, Drawing } from '../../dashboard/run/timeline-scale.js'

const HOUR = 3_600_000
const [WIDTH, HEIGHT, LEFT] = [1_000, 200, 100]
/** At work for a minute, and for another one after an hour. */
const folding = foldingOf(
  [
    [0, 60_000],
    [HOUR, HOUR + 60_000],
  ],
  HOUR + 60_000,
)

interface Drawn {
  /** Where each line of the hatching begins; all lean alike. */
  readonly hatching: readonly number[]
  readonly strips: readonly { readonly x: number; readonly width: number }[]
  readonly texts: readonly string[]
}

/** What is drawn of a stretch of time. */
function drawn(from: number, to: number): Drawn {
  const [hatching, strips, texts]: [number[], { x: number; width: number }[], string[]] = [[], [], []]
  const context = {
    ...{ save() {}, restore() {}, beginPath() {}, rect() {}, clip() {}, fillRect() {}, lineTo() {}, stroke() {} },
    ...{ setLineDash() {}, measureText: (text: string) => ({ width: 7 * text.length }) },
    moveTo: (x: number) => hatching.push(x),
    strokeRect: (x: number, _y: number, width: number) => strips.push({ x, width }),
    fillText: (text: string) => texts.push(text),
  }
  const view = shownView(folding, { from, to })
  const drawing: Pick<Drawing, 'folding' | 'colours' | 'height' | 'left' | 'width' | 'view'> = {
    ...{ folding, view, colours: {}, height: HEIGHT, left: LEFT, width: WIDTH },
  }
  drawFolds(context as unknown as Context, drawing as Drawing) // it takes no more of both
  return { hatching, strips, texts }
}

/** From line to line. */
const gaps = (lines: readonly number[]): readonly number[] =>
  lines.slice(1).map((x, i) => Math.round(x - (lines[i] ?? 0)))

describe('a stretch that was cut', () => {
  it('is hatched from its begin to its end, and says how long it was', () => {
    const { hatching, strips, texts } = drawn(0, HOUR + 60_000)
    expect(texts).toEqual(['59 min'])
    const [{ x, width } = { x: 0, width: 0 }] = strips
    // the strip is a tenth as long as the work: 12 of 132 seconds of 900 pixels
    expect([Math.round(x), Math.round(width)]).toEqual([LEFT + 410, 81])
    expect(new Set(gaps(hatching))).toEqual(new Set([7]))
    // lines lean by the height: the first reaches the top at the left edge, the last begins at the right one
    expect((hatching[0] ?? 0) + HEIGHT - x).toBeLessThan(1)
    expect(x + width - (hatching.at(-1) ?? 0)).toBeLessThan(8)
  })

  it('is hatched in view only when one zooms into it, where it is many times as wide', () => {
    const middle = HOUR / 2
    const { hatching, strips } = drawn(middle - 50, middle + 50)
    const [{ x, width } = { x: 0, width: 0 }] = strips
    expect(x).toBeGreaterThan(0)
    expect(x).toBeLessThan(LEFT)
    expect(x + width).toBeGreaterThan(WIDTH)
    expect(width).toBeLessThan(WIDTH)
    expect(hatching.length).toBeLessThan((WIDTH + HEIGHT) / 7)
    expect(new Set(gaps(hatching))).toEqual(new Set([7]))
    expect(hatching[0]).toBeLessThanOrEqual(x - HEIGHT + 7)
    expect(x + width - (hatching.at(-1) ?? 0)).toBeLessThan(9)
  })

  it('moves with its hatching', () => {
    const [first, second] = [drawn(0, HOUR + 60_000), drawn(1_000, HOUR + 61_000)]
    const moved = (second.strips[0]?.x ?? 0) - (first.strips[0]?.x ?? 0)
    expect(moved).toBeLessThan(-5)
    expect(second.hatching.map((x) => Math.round(x))).toEqual(first.hatching.map((x) => Math.round(x + moved)))
  })

  it('is not drawn where it is out of view', () => {
    expect(drawn(1_000, 30_000)).toEqual({ hatching: [], strips: [], texts: [] })
  })
})
