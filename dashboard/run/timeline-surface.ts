/** The canvas of a timeline with the part of the time that is in view: what moves it draws in the next frame, past the tree of components. */
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks'
import type { Timeline } from '../../lib/report/timeline.js'
import { duration } from '../format.js'
import { draw } from './timeline-draw.js'
import { type Busy, type Folding, foldingOf, shownAt, shownView, timeOf, timeView, UNFOLDED } from './timeline-folds.js'
import {
  type Hit,
  hitAt,
  panned,
  type sceneOf,
  spanOf,
  type View,
  type wholeOf,
  within,
  zoomed,
} from './timeline-model.js'
import { type Drawing, TOP, xOf } from './timeline-scale.js'
import type { TimelineSource } from './timeline-source.js'
import { axisTime } from './timeline-words.js'

const LEFT = 148
const LEFT_NARROW = 78
const NARROW_PX = 620
/** So far beside a block a pointer still hits it. */
const SLACK_PX = 3
const TICK_MS = 500

export interface Surface {
  readonly view: () => View
  readonly look: (to: View) => void
  readonly zoom: (by: number, around?: number) => void
  readonly pan: (byPx: number) => void
  readonly whole: () => void
  /** Redraws within the next frame. */
  readonly invalidate: () => void
  readonly timeAt: (px: number) => number
  readonly hitAt: (x: number, y: number) => Hit | undefined
  /** Whether long stretches in which nothing was at work are cut short; they are until told otherwise. */
  readonly fold: (isFolded: boolean) => void
  readonly folding: () => Folding
  readonly select: (range: readonly [number, number] | undefined) => void
  readonly size: () => { readonly width: number; readonly height: number; readonly left: number }
}

export interface SurfaceParts {
  readonly canvas: { readonly current: HTMLCanvasElement | null }
  readonly scroller: { readonly current: HTMLDivElement | null }
  readonly timeline: Timeline
  readonly scene: ReturnType<typeof sceneOf>
  readonly whole: ReturnType<typeof wholeOf>
  readonly busy: readonly Busy[]
  readonly source: TimelineSource
  readonly colours: Readonly<Record<string, string>>
  readonly hover: Hit | undefined
  readonly chosen: Drawing['chosen']
  readonly setZoomed: (isZoomed: boolean) => void
}

/** The canvas with the part of the time that is in view. What moves it draws in the next frame, past the tree of components. */
export function useSurface(parts: SurfaceParts): Surface {
  const held = useRef(parts)
  held.current = parts
  const state = useRef<State>({ view: undefined, frame: 0, band: undefined, at: 0, isFolded: true })
  const made = useRef<Surface>(undefined)
  made.current ??= surfaceOf(held, state)
  const surface = made.current
  useLayoutEffect(() => {
    state.current.at = performance.now()
    surface.invalidate()
  }, [parts.timeline])
  useLayoutEffect(() => surface.invalidate(), [parts.colours, parts.hover, parts.chosen?.path, parts.chosen?.index])
  useEffect(() => {
    const { scroller, canvas } = parts
    const stop = parts.source.onWindow((count) => {
      canvas.current?.setAttribute('data-windows', String(count))
      surface.invalidate()
    })
    const observer = new ResizeObserver(surface.invalidate)
    if (scroller.current !== null) observer.observe(scroller.current)
    scroller.current?.addEventListener('scroll', surface.invalidate, { passive: true })
    // while a run goes on, its end moves with the clock
    const timer = setInterval(() => {
      if (!held.current.timeline.isOver && !document.hidden) surface.invalidate()
    }, TICK_MS)
    return () => {
      stop()
      observer.disconnect()
      scroller.current?.removeEventListener('scroll', surface.invalidate)
      clearInterval(timer)
      cancelAnimationFrame(state.current.frame)
    }
  }, [])
  return surface
}

interface State {
  /** Undefined: all of it, also what comes. */
  view: View | undefined
  frame: number
  band: readonly [number, number] | undefined
  at: number
  isFolded: boolean
}

/** The folding of what is known at a moment; worked out once for it. */
function foldings(): (busy: readonly Busy[], end: number) => Folding {
  let last: { readonly busy: readonly Busy[]; readonly end: number; readonly folding: Folding } | undefined
  return (busy, end) => {
    if (last?.busy !== busy || last.end !== end) last = { busy, end, folding: foldingOf(busy, end) }
    return last.folding
  }
}

function surfaceOf(held: { readonly current: SurfaceParts }, state: { current: State }): Surface {
  const folded = foldings()
  const endNow = (): number => {
    const { isOver, end } = held.current.timeline
    return isOver ? end : end + Math.min(5_000, performance.now() - state.current.at)
  }
  const folding = (): Folding => (state.current.isFolded ? folded(held.current.busy, endNow()) : UNFOLDED)
  const view = (): View =>
    state.current.view === undefined ? { from: 0, to: endNow() } : within(state.current.view, endNow())
  const size = (): { readonly width: number; readonly height: number; readonly left: number } => {
    const element = held.current.canvas.current
    const width = element?.clientWidth ?? 0
    return {
      width,
      height: held.current.scroller.current?.clientHeight ?? 0,
      left: width < NARROW_PX ? LEFT_NARROW : LEFT,
    }
  }
  const drawing = (): Drawing => {
    const { scene, whole, source, colours, hover, chosen, timeline, scroller } = held.current
    const [times, scale] = [view(), folding()]
    const shown = shownView(scale, times)
    return {
      ...{ ...size(), scrolled: scroller.current?.scrollTop ?? 0, view: shown, times, folding: scale, scene, ...whole },
      ...{ data: source.data(times), end: endNow(), isOver: timeline.isOver, hover, chosen, colours },
      words: { time: (ms) => axisTime(ms, spanOf(shown)), duration },
    }
  }
  const paint = (): void => {
    state.current.frame = 0
    const element = held.current.canvas.current
    const context = element?.getContext('2d')
    if (element === null || context === null || context === undefined) return
    const one = drawing()
    const ratio = window.devicePixelRatio
    const [wide, high] = [Math.round(one.width * ratio), Math.round(one.height * ratio)]
    if (element.width !== wide) element.width = wide
    if (element.height !== high) element.height = high
    element.style.height = `${one.height}px`
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    draw(context, one)
    paintBand(context, one, state.current.band)
  }
  const invalidate = (): void => {
    if (state.current.frame === 0) state.current.frame = requestAnimationFrame(paint)
  }
  const look = (to: View): void => {
    const next = within(to, endNow())
    const isWhole = next.from <= 0 && next.to >= endNow() - 1
    state.current.view = isWhole ? undefined : next
    held.current.setZoomed(!isWhole)
    held.current.source.watch(view())
    invalidate()
  }
  const timeAt = (px: number): number => {
    const { width, left } = size()
    const shown = shownView(folding(), view())
    return timeOf(folding(), shown.from + ((px - left) / Math.max(1, width - left)) * spanOf(shown))
  }
  /** Changes what is in view on the scale that is shown. */
  const move = (change: (shown: View, end: number) => View): void => {
    const scale = folding()
    look(timeView(scale, change(shownView(scale, view()), shownAt(scale, endNow()))))
  }
  return {
    ...{ view, look, invalidate, timeAt, size, folding },
    zoom: (by, around) =>
      move((shown, end) => {
        const middle = around === undefined ? shown.from + spanOf(shown) / 2 : shownAt(folding(), around)
        return zoomed(shown, by, middle, end)
      }),
    pan: (byPx) =>
      move((shown, end) => panned(shown, (byPx / Math.max(1, size().width - size().left)) * spanOf(shown), end)),
    whole: () => look({ from: 0, to: endNow() }),
    fold: (isFolded) => {
      state.current.isFolded = isFolded
      invalidate()
    },
    hitAt: (x, y) => {
      const { left, width } = size()
      if (x < left || y < TOP) return undefined
      const { scene, source, scroller, whole } = held.current
      const [at, scale] = [timeAt(x), folding()]
      const fold = scale.folds.find(({ from, to }) => at > from && at < to)
      if (fold !== undefined) return { kind: 'fold', from: fold.from, to: fold.to }
      const slack = (SLACK_PX / Math.max(1, width - left)) * spanOf(shownView(scale, view()))
      const below = y - TOP + (scroller.current?.scrollTop ?? 0)
      return hitAt(scene, source.data(view()), at, below, slack, { running: whole.running, now: endNow() })
    },
    select: (range) => {
      state.current.band = range
      invalidate()
    },
  }
}

function paintBand(
  context: CanvasRenderingContext2D,
  drawing: Drawing,
  band: readonly [number, number] | undefined,
): void {
  if (band === undefined) return
  const [from, to] = [xOf(drawing, Math.min(...band)), xOf(drawing, Math.max(...band))]
  context.fillStyle = drawing.colours['critical'] ?? ''
  context.globalAlpha = 0.16
  context.fillRect(from, 0, to - from, drawing.height)
  context.globalAlpha = 1
}
