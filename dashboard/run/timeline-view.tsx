/**
 * The time of the run: a canvas that one zooms and moves, with what the pointer is on, and a table of the supersteps that says the same in words.
 * The file is long because pointer, wheel and keys change one view; what is drawn is timeline-draw.ts’s.
 */
import type { JSX } from 'preact'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Timeline } from '../../lib/report/timeline.js'
import { count, duration } from '../format.js'
import { Button } from '../parts/buttons.js'
import { Empty, Show, Skeleton } from '../parts/feedback.js'
import { useStore } from '../store.js'
import { colour, themeChanges } from '../theme.js'
import { type Drawing, draw, TOP, xOf } from './timeline-draw.js'
import { axisTime, tipOf } from './timeline-words.js'
import { type Hit, hitAt, panned, sceneOf, spanOf, type View, wholeOf, within, zoomed } from './timeline-model.js'
import { SuperstepTable } from './superstep-table.js'
import type { TimelineSource } from './timeline-source.js'

const MOST_HEIGHT = 420
const LEFT = 148
const LEFT_NARROW = 78
const NARROW_PX = 620
/** So far beside a block a pointer still hits it. */
const SLACK_PX = 3
const TICK_MS = 500

/** Which colour of the style sheet is which of the drawing. */
const TOKENS = {
  ...{ text: '--text', soft: '--soft', faint: '--faint', line: '--tl-line', card: '--card', lane: '--tl-lane' },
  ...{ band: '--tl-band', bandOther: '--tl-band-other', skew: '--tl-skew', branch: '--tl-branch', step: '--tl-step' },
  ...{ failed: '--failed', dead: '--dead', cancelled: '--tl-cancelled', retrying: '--retrying', running: '--running' },
  ...{ critical: '--accent', onBlock: '--tl-on-block', start: '--tl-start', barrier: '--tl-barrier' },
}
const coloursInForce = (): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(TOKENS).map(([name, token]) => [name, colour(token)]))

export interface TimelineViewProps {
  readonly source: TimelineSource
  /** Chooses a step by its path, or a branch by its group and number. */
  readonly onSelect: (place: { readonly path: string; readonly index?: number }) => void
}

export function TimelineView({ source, onSelect }: TimelineViewProps): JSX.Element {
  return (
    <Show what="The timeline" query={source.query} skeleton={<Skeleton rows={5} />}>
      {(timeline) =>
        timeline.window.lanes.length === 0 && (timeline.steps ?? []).length === 0 ? (
          <Empty title="No time to show yet">
            <p>{emptyText(timeline)}</p>
          </Empty>
        ) : (
          <Drawn timeline={timeline} source={source} onSelect={onSelect} />
        )
      }
    </Show>
  )
}

const emptyText = ({ isOver, notes = [] }: Timeline): string =>
  notes.length > 0
    ? notes.join(' ')
    : isOver
      ? 'Nothing was started in this run, or the times of its branches are not kept any more.'
      : 'Branches appear here once they have ended, steps once they have begun.'

function Drawn({ timeline, source, onSelect }: { readonly timeline: Timeline } & TimelineViewProps): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null)
  const scroller = useRef<HTMLDivElement>(null)
  const scene = useMemo(() => sceneOf(timeline), [timeline])
  const whole = useMemo(() => wholeOf(timeline), [timeline])
  const [hover, setHover] = useState<{ readonly hit: Hit; readonly x: number; readonly y: number } | undefined>(
    undefined,
  )
  const [isZoomed, setZoomed] = useState(false)
  const changes = useStore(themeChanges)
  const colours = useMemo(coloursInForce, [changes])
  const surface = useSurface({
    canvas,
    scroller,
    timeline,
    scene,
    whole,
    source,
    colours,
    hover: hover?.hit,
    setZoomed,
  })
  const height = Math.min(MOST_HEIGHT, TOP + scene.height + 8)
  const choose = (hit: Hit | undefined): void => {
    if (hit?.kind === 'step') onSelect({ path: hit.step.path })
    const group = hit?.kind === 'block' ? whole.groups[hit.group] : undefined
    if (hit?.kind === 'block' && group !== undefined) onSelect({ path: group.path, index: hit.index })
    if (hit?.kind === 'bin')
      surface.look({ from: hit.from - spanOf(surface.view()) / 20, to: hit.to + spanOf(surface.view()) / 20 })
  }
  useGestures(canvas, surface, { setHover, choose })
  return (
    <div class="tl">
      <div class="tl-bar">
        <Legend />
        <div class="tl-tools">
          <Button look="quiet" label="Zoom in" title="Zoom in (+)" onClick={() => surface.zoom(0.5)}>
            +
          </Button>
          <Button
            look="quiet"
            label="Zoom out"
            title="Zoom out (-)"
            isDisabled={!isZoomed}
            onClick={() => surface.zoom(2)}
          >
            −
          </Button>
          <Button look="quiet" title="The whole run (0)" isDisabled={!isZoomed} onClick={() => surface.whole()}>
            Whole run
          </Button>
        </div>
      </div>
      <div class="tl-scroll" ref={scroller} style={{ height: `${height}px` }}>
        <div style={{ height: `${TOP + scene.height + 8}px` }}>
          <canvas
            ref={canvas}
            class="tl-canvas"
            tabIndex={0}
            role="img"
            aria-label={`Timeline of ${count(scene.lanes.length)} lanes over ${duration(timeline.end)}. Arrow keys move, plus and minus zoom, 0 shows the whole run. The table below says the same in words.`}
            data-windows={source.windows}
          />
        </div>
        {hover !== undefined && <Tip hover={hover} whole={whole} />}
      </div>
      <p class="hint small faint tl-hint">
        Drag to move, Ctrl and the wheel to zoom, Shift and drag to zoom to a part, a click to choose.
      </p>
      <SuperstepTable
        groups={whole.groups}
        end={timeline.end}
        onShow={(group) => {
          const room = ((group.releasedAt ?? timeline.end) - group.openedAt) * 0.04 + 1
          surface.look({ from: group.openedAt - room, to: (group.releasedAt ?? timeline.end) + room })
          scroller.current?.scrollIntoView({ block: 'nearest' })
        }}
        onSelect={onSelect}
      />
      {(timeline.notes ?? []).map((note) => (
        <p key={note} class="hint small faint">
          {note}
        </p>
      ))}
    </div>
  )
}

function Tip({
  hover: { hit, x, y },
  whole,
}: {
  readonly hover: { readonly hit: Hit; readonly x: number; readonly y: number }
  readonly whole: ReturnType<typeof wholeOf>
}): JSX.Element {
  const [title, ...lines] = tipOf(hit, whole)
  return (
    <div class={`tl-tip${x > 0.6 ? ' is-left' : ''}`} style={{ left: `${x * 100}%`, top: `${y}px` }} aria-hidden="true">
      <b>{title}</b>
      {lines.map((text) => (
        <span key={text}>{text}</span>
      ))}
    </div>
  )
}

const LEGEND = [
  ['step', 'step'],
  ['branch', 'branch'],
  ['failed', 'failed ✕'],
  ['again', 'started again'],
  ['skew', 'barrier skew'],
  ['critical', 'critical path'],
] as const

const Legend = (): JSX.Element => (
  <ul class="tl-legend">
    {LEGEND.map(([name, word]) => (
      <li key={name}>
        <i class={`tl-key is-${name}`} />
        {word}
      </li>
    ))}
  </ul>
)

interface Surface {
  readonly view: () => View
  readonly look: (to: View) => void
  readonly zoom: (by: number, around?: number) => void
  readonly pan: (byPx: number) => void
  readonly whole: () => void
  /** Redraws within the next frame. */
  readonly invalidate: () => void
  readonly timeAt: (px: number) => number
  readonly hitAt: (x: number, y: number) => Hit | undefined
  readonly select: (range: readonly [number, number] | undefined) => void
  readonly size: () => { readonly width: number; readonly height: number; readonly left: number }
}

interface SurfaceParts {
  readonly canvas: { readonly current: HTMLCanvasElement | null }
  readonly scroller: { readonly current: HTMLDivElement | null }
  readonly timeline: Timeline
  readonly scene: ReturnType<typeof sceneOf>
  readonly whole: ReturnType<typeof wholeOf>
  readonly source: TimelineSource
  readonly colours: Readonly<Record<string, string>>
  readonly hover: Hit | undefined
  readonly setZoomed: (isZoomed: boolean) => void
}

/** The canvas with the part of the time that is in view. What moves it draws in the next frame, past the tree of components. */
function useSurface(parts: SurfaceParts): Surface {
  const held = useRef(parts)
  held.current = parts
  const state = useRef<{
    view: View | undefined
    frame: number
    band: readonly [number, number] | undefined
    at: number
  }>({
    ...{ view: undefined, frame: 0, band: undefined, at: 0 },
  })
  const made = useRef<Surface>(undefined)
  made.current ??= surfaceOf(held, state)
  const surface = made.current
  useLayoutEffect(() => {
    state.current.at = performance.now()
    surface.invalidate()
  }, [parts.timeline, parts.colours, parts.hover, parts.source.windows])
  useEffect(() => {
    const { scroller } = parts
    const observer = new ResizeObserver(surface.invalidate)
    if (scroller.current !== null) observer.observe(scroller.current)
    scroller.current?.addEventListener('scroll', surface.invalidate, { passive: true })
    // while a run goes on, its end moves with the clock
    const timer = setInterval(() => {
      if (!held.current.timeline.isOver && !document.hidden) surface.invalidate()
    }, TICK_MS)
    return () => {
      observer.disconnect()
      scroller.current?.removeEventListener('scroll', surface.invalidate)
      clearInterval(timer)
      cancelAnimationFrame(state.current.frame)
    }
  }, [])
  return surface
}

function surfaceOf(
  held: { readonly current: SurfaceParts },
  state: {
    current: { view: View | undefined; frame: number; band: readonly [number, number] | undefined; at: number }
  },
): Surface {
  const endNow = (): number => {
    const { isOver, end } = held.current.timeline
    return isOver ? end : end + Math.min(5_000, performance.now() - state.current.at)
  }
  /** Undefined: all of it, also what comes. */
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
    const { scene, whole, source, colours, hover, timeline, scroller } = held.current
    const inView = view()
    return {
      ...{ ...size(), scrolled: scroller.current?.scrollTop ?? 0, view: inView, scene, ...whole },
      ...{ data: source.data(inView), end: endNow(), isOver: timeline.isOver, hover, selected: undefined, colours },
      words: { time: (ms) => axisTime(ms, spanOf(inView)), duration },
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
    const isWhole = spanOf(next) >= endNow() - 1
    state.current.view = isWhole ? undefined : next
    held.current.setZoomed(!isWhole)
    held.current.source.watch(view())
    invalidate()
  }
  const timeAt = (px: number): number => {
    const { width, left } = size()
    const { from } = view()
    return from + ((px - left) / Math.max(1, width - left)) * spanOf(view())
  }
  return {
    ...{ view, look, invalidate, timeAt, size },
    zoom: (by, around = view().from + spanOf(view()) / 2) => look(zoomed(view(), by, around, endNow())),
    pan: (byPx) => look(panned(view(), (byPx / Math.max(1, size().width - size().left)) * spanOf(view()), endNow())),
    whole: () => look({ from: 0, to: endNow() }),
    hitAt: (x, y) => {
      const { left, width } = size()
      if (x < left || y < TOP) return undefined
      const { scene, source, scroller } = held.current
      const slack = (SLACK_PX / Math.max(1, width - left)) * spanOf(view())
      return hitAt(scene, source.data(view()), timeAt(x), y - TOP + (scroller.current?.scrollTop ?? 0), slack)
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

interface Says {
  readonly setHover: (hover: { readonly hit: Hit; readonly x: number; readonly y: number } | undefined) => void
  readonly choose: (hit: Hit | undefined) => void
}

/** What pointers, wheels and keys do on the canvas. */
function useGestures(canvas: { readonly current: HTMLCanvasElement | null }, surface: Surface, says: Says): void {
  const held = useRef(says)
  held.current = says
  useEffect(() => {
    const element = canvas.current
    if (element === null) return
    const pointers = pointerGestures(element, surface, held)
    const wheel = (event: WheelEvent): void => {
      const isZoom = event.ctrlKey || event.metaKey
      const across = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX
      if (!isZoom && across === 0) return
      event.preventDefault()
      held.current.setHover(undefined)
      if (isZoom) surface.zoom(Math.exp(event.deltaY / 240), surface.timeAt(event.offsetX))
      else surface.pan(across)
    }
    const key = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return
      const { width, left } = surface.size()
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
      if (move !== undefined) surface.pan((move * (width - left)) / 5)
      else if (event.key === '+' || event.key === '=') surface.zoom(0.5)
      else if (event.key === '-') surface.zoom(2)
      else if (event.key === '0') surface.whole()
      else return
      event.preventDefault()
      event.stopPropagation()
    }
    element.addEventListener('wheel', wheel, { passive: false })
    element.addEventListener('keydown', key)
    return () => {
      pointers()
      element.removeEventListener('wheel', wheel)
      element.removeEventListener('keydown', key)
    }
  }, [])
}

function pointerGestures(element: HTMLCanvasElement, surface: Surface, says: { readonly current: Says }): () => void {
  const down = new Map<number, number>()
  let moved = 0
  let band: number | undefined
  const place = (event: PointerEvent): { readonly x: number; readonly y: number } => ({
    x: event.offsetX,
    y: event.offsetY,
  })
  const begin = (event: PointerEvent): void => {
    if (event.button !== 0) return
    down.set(event.pointerId, event.offsetX)
    element.setPointerCapture(event.pointerId)
    moved = 0
    band = event.shiftKey ? surface.timeAt(event.offsetX) : undefined
    says.current.setHover(undefined)
  }
  const move = (event: PointerEvent): void => {
    const before = down.get(event.pointerId)
    if (before === undefined) {
      if (event.pointerType === 'mouse') hoverAt(event)
      return
    }
    const x = event.offsetX
    if (down.size === 2) pinch(event.pointerId, before, x)
    else if (band !== undefined) surface.select([band, surface.timeAt(x)])
    else surface.pan(before - x)
    moved += Math.abs(before - x)
    down.set(event.pointerId, x)
  }
  const pinch = (id: number, before: number, x: number): void => {
    const other = [...down].find(([one]) => one !== id)?.[1] ?? 0
    const [was, is] = [Math.max(8, Math.abs(before - other)), Math.max(8, Math.abs(x - other))]
    surface.zoom(was / is, surface.timeAt((x + other) / 2))
  }
  const hoverAt = (event: PointerEvent): void => {
    const { x, y } = place(event)
    const hit = surface.hitAt(x, y)
    element.style.cursor = hit === undefined ? 'grab' : 'pointer'
    says.current.setHover(
      hit === undefined ? undefined : { hit, x: x / Math.max(1, surface.size().width), y: y + element.offsetTop },
    )
  }
  const end = (event: PointerEvent): void => {
    if (!down.delete(event.pointerId)) return
    const from = band
    band = undefined
    surface.select(undefined)
    if (event.type === 'pointercancel') return
    if (from !== undefined && moved > 4) {
      const to = surface.timeAt(event.offsetX)
      surface.look({ from: Math.min(from, to), to: Math.max(from, to) })
    } else if (moved <= 4) says.current.choose(surface.hitAt(event.offsetX, event.offsetY))
  }
  const leave = (): void => says.current.setHover(undefined)
  element.addEventListener('pointerdown', begin)
  element.addEventListener('pointermove', move)
  element.addEventListener('pointerup', end)
  element.addEventListener('pointercancel', end)
  element.addEventListener('pointerleave', leave)
  return () => {
    element.removeEventListener('pointerdown', begin)
    element.removeEventListener('pointermove', move)
    element.removeEventListener('pointerup', end)
    element.removeEventListener('pointercancel', end)
    element.removeEventListener('pointerleave', leave)
  }
}
