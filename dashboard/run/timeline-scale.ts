/** Where things of a timeline lie on the canvas: its heights, its scale, and what a drawing is made of. */
import { type Folding, shownAt } from './timeline-folds.js'
import { type Hit, type LaneBox, type LaneData, type Scene, spanOf, type View, type Whole } from './timeline-model.js'

/** Heights above the lanes: the axis, names of groups, the critical path. */
export const AXIS = 22
export const NAMES = 18
export const STRIP = 8
export const TOP = AXIS + NAMES + STRIP + 6
export const TEXT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif'
export const MINIMAL = 1.5

export interface Colours {
  readonly [name: string]: string
}

export interface Drawing extends Whole {
  readonly width: number
  readonly height: number
  /** Where the time begins: names of lanes stand before it. */
  readonly left: number
  /** How far the lanes are scrolled. */
  readonly scrolled: number
  /** In view, on the scale that is shown. */
  readonly view: View
  /** In view, in the time of the run. */
  readonly times: View
  readonly folding: Folding
  readonly scene: Scene
  /** The best data for the view, of a lane by its name. */
  readonly data: (name: string) => LaneData | undefined
  /** Until when there is time: the end of the run, or now. */
  readonly end: number
  readonly isOver: boolean
  readonly hover: Hit | undefined
  /** A branch by its group and number. */
  readonly chosen: { readonly path: string; readonly index: number } | undefined
  readonly colours: Colours
  readonly words: { readonly time: (ms: number) => string; readonly duration: (ms: number) => string }
}

export type Context = CanvasRenderingContext2D

/** What follows is drawn within this only. */
export function clip(context: Context, x: number, y: number, width: number, height: number): void {
  context.beginPath()
  context.rect(x, y, width, height)
  context.clip()
}

export const xOf = (
  { left, width, view, folding }: Pick<Drawing, 'left' | 'width' | 'view' | 'folding'>,
  at: number,
): number => left + ((shownAt(folding, at) - view.from) / spanOf(view)) * (width - left)

export const yOf = ({ scrolled }: Drawing, lane: LaneBox): number => TOP + lane.y - scrolled
export const isInSight = (drawing: Drawing, lane: LaneBox): boolean =>
  yOf(drawing, lane) < drawing.height && yOf(drawing, lane) + lane.height > TOP
