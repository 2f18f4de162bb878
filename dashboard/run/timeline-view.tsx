/**
 * The time of the run: a canvas that one zooms and moves, with what the pointer is on, and a table of the supersteps that says the same in words.
 */
import type { JSX } from 'preact'
import { useMemo, useRef, useState } from 'preact/hooks'
import type { Timeline } from '../../lib/report/timeline.js'
import { count, duration } from '../format.js'
import { Button } from '../parts/buttons.js'
import { Empty, Show, Skeleton } from '../parts/feedback.js'
import { useStore } from '../store.js'
import { colour, themeChanges } from '../theme.js'
import { SuperstepTable } from './superstep-table.js'
import { useGestures } from './timeline-gestures.js'
import { busyOf, foldingOf } from './timeline-folds.js'
import { type Hit, sceneOf, spanOf, wholeOf } from './timeline-model.js'
import { TOP } from './timeline-scale.js'
import type { TimelineSource } from './timeline-source.js'
import { useSurface } from './timeline-surface.js'
import { tipOf } from './timeline-words.js'

const MOST_HEIGHT = 420

/** Which colour of the style sheet is which of the drawing. */
const TOKENS = {
  ...{ text: '--text', soft: '--soft', faint: '--faint', line: '--tl-line', card: '--card', lane: '--tl-lane' },
  ...{ band: '--tl-band', bandOther: '--tl-band-other', skew: '--tl-skew', branch: '--tl-branch', step: '--tl-step' },
  ...{ failed: '--failed', dead: '--dead', cancelled: '--tl-cancelled', retrying: '--retrying', running: '--running' },
  ...{
    critical: '--accent',
    onBlock: '--tl-on-block',
    runningFill: '--tl-running',
    start: '--tl-start',
    barrier: '--tl-barrier',
  },
}
const coloursInForce = (): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(TOKENS).map(([name, token]) => [name, colour(token)]))

export interface TimelineViewProps {
  readonly source: TimelineSource
  /** A branch that is chosen, by its group and number. */
  readonly chosen: { readonly path: string; readonly index: number } | undefined
  /** Chooses a step by its path, or a branch by its group and number. */
  readonly onSelect: (place: { readonly path: string; readonly index?: number }) => void
}

export function TimelineView({ source, chosen, onSelect }: TimelineViewProps): JSX.Element {
  return (
    <Show what="The timeline" query={source.query} skeleton={<Skeleton rows={5} />}>
      {(timeline) =>
        timeline.window.lanes.length === 0 && (timeline.steps ?? []).length === 0 ? (
          <Empty title="No time to show yet">
            <p>{emptyText(timeline)}</p>
          </Empty>
        ) : (
          <Drawn timeline={timeline} source={source} chosen={chosen} onSelect={onSelect} />
        )
      }
    </Show>
  )
}

const emptyText = ({ isOver, notes = [] }: Timeline): string =>
  notes.length > 0
    ? notes.join(' ')
    : isOver
      ? 'No branch of this run ended by itself, or their times are not kept any more.'
      : 'Branches appear here once a worker has them, steps once they have begun.'

function Drawn({
  timeline,
  source,
  chosen,
  onSelect,
}: { readonly timeline: Timeline } & TimelineViewProps): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null)
  const scroller = useRef<HTMLDivElement>(null)
  const scene = useMemo(() => sceneOf(timeline), [timeline])
  const whole = useMemo(() => wholeOf(timeline), [timeline])
  const busy = useMemo(() => busyOf(timeline), [timeline])
  const { folds } = useMemo(() => foldingOf(busy, timeline.end), [busy])
  const [isFolded, setFolded] = useState(true)
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
    busy,
    source,
    colours,
    hover: hover?.hit,
    chosen,
    setZoomed,
  })
  const height = Math.min(MOST_HEIGHT, TOP + scene.height + 8)
  const toggleIdle = (): void => {
    surface.fold(!isFolded)
    setFolded(!isFolded)
    setHover(undefined)
  }
  const choose = (hit: Hit | undefined): void => {
    if (hit?.kind === 'fold') toggleIdle()
    if (hit?.kind === 'step') onSelect({ path: hit.step.path })
    const branch = hit?.kind === 'block' ? hit : hit?.kind === 'running' ? hit.branch : undefined
    const group = branch === undefined ? undefined : whole.groups[branch.group]
    if (branch !== undefined && group !== undefined) onSelect({ path: group.path, index: branch.index })
    if (hit?.kind === 'bin')
      surface.look({ from: hit.from - spanOf(surface.view()) / 20, to: hit.to + spanOf(surface.view()) / 20 })
  }
  useGestures(canvas, surface, { setHover, choose, toggleIdle })
  return (
    <div class="tl">
      <div class="tl-bar">
        <Legend />
        <div class="tl-tools">
          {folds.length > 0 && (
            <Button
              look="quiet"
              title={`${idleText(folds)}: show it as long as it was, or cut it short (i)`}
              isPressed={!isFolded}
              onClick={toggleIdle}
            >
              Idle time
            </Button>
          )}
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
      <div class="tl-stage">
        <div class="tl-scroll" ref={scroller} style={{ height: `${height}px` }}>
          <div style={{ height: `${TOP + scene.height + 8}px` }}>
            <canvas
              ref={canvas}
              class="tl-canvas"
              tabIndex={0}
              role="img"
              aria-label={`Timeline of ${count(scene.lanes.length)} lanes over ${duration(timeline.end)}. Arrow keys move, plus and minus zoom, 0 shows the whole run.${folds.length === 0 ? '' : ` ${idleText(folds)}, which ${isFolded ? 'is cut short; i shows it' : 'i cuts short'}.`} The table below says the same in words.`}
            />
          </div>
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

/** `Nothing was at work for 8 h 3 min` */
const idleText = (folds: readonly { readonly from: number; readonly to: number }[]): string =>
  `Nothing was at work for ${duration(folds.reduce((sum, { from, to }) => sum + to - from, 0))}`

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
  ['running', 'running'],
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
