/** The flow of a run with what it does at each node: a picture whose nodes are chosen by a click or by keys. Where they stand is graph-layout.ts’s; how it moves, graph-move.ts’s. */
import type { JSX } from 'preact'
import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Graph } from '../../lib/graph/graph.js'
import { count } from '../format.js'
import { Button } from '../parts/buttons.js'
import { StateShape } from '../parts/state.js'
import { type Box, type Direction, HEAD_HEIGHT, layoutOf, type Line, type Picture, smooth } from './graph-layout.js'
import { COUNT_SIGNS, countsText } from './counts.js'
import { best, moveByKey, scaledAround, useDrag, usePlace, useWheel } from './graph-move.js'
import type { NodeMark, NodeState } from './graph-state.js'

const DIRECTIONS: readonly Direction[] = ['LR', 'TB']

export interface GraphViewProps {
  readonly graph: Graph
  readonly states: ReadonlyMap<string, NodeState>
  /** The path in the graph of what is chosen. */
  readonly selected: string | undefined
  readonly onSelect: (path: string) => void
}

export function GraphView({ graph, states, selected, onSelect }: GraphViewProps): JSX.Element {
  const frame = useRef<HTMLDivElement>(null)
  const [size, setSize] = useState({ width: 0, height: 0 })
  useLayoutEffect(() => {
    const element = frame.current
    if (element === null) return
    const measure = (): void => setSize({ width: element.clientWidth, height: element.clientHeight })
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  const pictures = useMemo(() => DIRECTIONS.map((direction) => layoutOf(graph, direction)), [graph])
  const picture = useMemo(() => best(pictures, size), [pictures, size.width, size.height])
  const current = useMemo(() => [...states].find(([, state]) => state.isCurrent)?.[0], [states])
  const { place, setPlace, isMoved, fit } = usePlace(picture, size, selected ?? current)
  const drag = useDrag(place, setPlace)
  useWheel(frame, setPlace)
  const choose = useRef<(path: string) => void>(onSelect)
  choose.current = (path) => {
    if (!drag.wasMoved()) onSelect(path)
  }
  // the same nodes, however the picture moves
  const nodes = useMemo(
    () => <Nodes picture={picture} states={states} selected={selected} onSelect={(path) => choose.current(path)} />,
    [picture, states, selected],
  )
  const zoom = (by: number): void => setPlace((at) => scaledAround(at, by, size.width / 2, size.height / 2))
  return (
    <div class="graph">
      <div
        class="graph-frame"
        ref={frame}
        onPointerDown={drag.begin}
        onKeyDown={(event) => moveByKey(event, zoom, setPlace, fit)}
      >
        <svg
          class={`graph-picture${drag.isDragging ? ' is-dragged' : ''}`}
          role="group"
          aria-label="The flow. Arrow keys go from node to node, Enter chooses one."
        >
          <Arrows />
          <g transform={`translate(${place.x} ${place.y}) scale(${place.scale})`}>{nodes}</g>
        </svg>
      </div>
      <div class="graph-tools">
        <Button look="quiet" label="Zoom in" title="Zoom in (+)" onClick={() => zoom(1.25)}>
          +
        </Button>
        <Button look="quiet" label="Zoom out" title="Zoom out (-)" onClick={() => zoom(0.8)}>
          −
        </Button>
        <Button look="quiet" title="Show all of it (0)" onClick={fit} isDisabled={!isMoved}>
          Fit
        </Button>
      </div>
    </div>
  )
}

const Arrows = (): JSX.Element => (
  <defs>
    {['taken', 'ahead'].map((kind) => (
      <marker
        key={kind}
        id={`arrow-${kind}`}
        viewBox="0 0 8 8"
        refX="7"
        refY="4"
        markerWidth="7"
        markerHeight="7"
        orient="auto"
        markerUnits="userSpaceOnUse"
      >
        <path class={`graph-tip is-${kind}`} d="M0 .5 8 4 0 7.5z" />
      </marker>
    ))}
  </defs>
)

interface NodesProps {
  readonly picture: Picture
  readonly states: ReadonlyMap<string, NodeState>
  readonly selected: string | undefined
  readonly onSelect: (path: string) => void
}

function Nodes({ picture, states, selected, onSelect }: NodesProps): JSX.Element {
  const group = useRef<SVGGElement>(null)
  const choosable = picture.boxes.filter(({ kind }) => kind !== 'more')
  const [reached, setReached] = useState<string | undefined>(undefined)
  const inTabOrder = choosable.some(({ path }) => path === reached) ? reached : (selected ?? choosable[0]?.path)
  const go = (event: KeyboardEvent, path: string): void => {
    if (event.shiftKey) return
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault()
      onSelect(path)
      return
    }
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key]
    const next = by === undefined ? undefined : choosable[choosable.findIndex((one) => one.path === path) + by]
    if (next === undefined) return
    event.preventDefault()
    setReached(next.path)
    group.current?.querySelector<SVGGElement>(`[data-path="${CSS.escape(next.path)}"]`)?.focus()
  }
  return (
    <g ref={group}>
      {picture.boxes.map((box) =>
        box.kind === 'more' ? (
          <More key={box.path} box={box} />
        ) : (
          <Node
            key={box.path}
            box={box}
            state={states.get(box.path)}
            isSelected={box.path === selected}
            isInTabOrder={box.path === inTabOrder}
            onSelect={() => onSelect(box.path)}
            onKeyDown={(event) => go(event, box.path)}
          />
        ),
      )}
      {picture.lines.map((line) => (
        <Edge key={`${line.from} ${line.to}`} line={line} isTaken={states.has(line.from) && states.has(line.to)} />
      ))}
    </g>
  )
}

function Edge({ line, isTaken }: { readonly line: Line; readonly isTaken: boolean }): JSX.Element {
  const kind = isTaken ? 'taken' : 'ahead'
  const middle = line.points[Math.floor(line.points.length / 2)]
  return (
    <>
      <path class={`graph-edge is-${kind}`} d={smooth(line.points)} marker-end={`url(#arrow-${kind})`} />
      {line.label !== undefined && middle !== undefined && (
        <text class="graph-key" x={middle.x} y={middle.y + 3} text-anchor="middle">
          {line.label}
        </text>
      )}
    </>
  )
}

interface NodeProps {
  readonly box: Box
  readonly state: NodeState | undefined
  readonly isSelected: boolean
  readonly isInTabOrder: boolean
  readonly onSelect: () => void
  readonly onKeyDown: (event: KeyboardEvent) => void
}

function Node({ box, state, isSelected, isInTabOrder, onSelect, onKeyDown }: NodeProps): JSX.Element {
  const mark: NodeMark = state?.mark ?? 'ahead'
  const classes = [
    'node',
    `is-${box.kind}`,
    `is-${mark}`,
    isSelected ? 'is-selected' : '',
    state?.isCurrent === true ? 'is-current' : '',
  ]
  return (
    <g
      class={classes.filter((one) => one !== '').join(' ')}
      data-path={box.path}
      role="button"
      tabindex={isInTabOrder ? 0 : -1}
      aria-pressed={isSelected}
      aria-label={nodeLabel(box, state)}
      onClick={(event) => {
        event.stopPropagation()
        onSelect()
      }}
      onKeyDown={onKeyDown}
    >
      {box.kind === 'each' && (
        <rect class="node-behind" x={box.x + 4} y={box.y - 4} width={box.width} height={box.height} rx="10" />
      )}
      <rect
        class="node-body"
        x={box.x}
        y={box.y}
        width={box.width}
        height={box.height}
        rx={box.isContainer ? 10 : box.kind === 'wait' ? 22 : 8}
      />
      {/* its label says all of it in words */}
      <g aria-hidden="true">
        {box.isContainer ? <Head box={box} state={state} mark={mark} /> : <Leaf box={box} state={state} mark={mark} />}
      </g>
    </g>
  )
}

/** What stands in the node, then the same in words: readers of screens and people who say what they see find it by either. */
const nodeLabel = (box: Box, state: NodeState | undefined): string => {
  const hasCounts = state?.counts !== undefined && (box.isContainer || state.width > 1)
  const seen = [
    box.title,
    ...(box.isContainer || !hasCounts ? [box.note] : []),
    ...(hasCounts ? shownCounts(state) : []),
  ]
  const counts = state?.counts === undefined ? '' : `, ${countsText(state.counts)}`
  const said = `${box.kind} at ${box.path}, ${state === undefined ? 'not reached yet' : state.mark}${counts}`
  return `${seen.filter((text) => text !== '').join(' ')}: ${said}`
}

const shownCounts = (state: NodeState): readonly string[] =>
  COUNT_SIGNS.filter(({ of }) => (state.counts?.[of] ?? 0) > 0).map(
    ({ of, sign }) => `${count(state.counts?.[of] ?? 0)} ${sign}`,
  )

interface InsideProps {
  readonly box: Box
  readonly state: NodeState | undefined
  readonly mark: NodeMark
}

function Leaf({ box, state, mark }: InsideProps): JSX.Element {
  const counts = state?.counts !== undefined && state.width > 1
  const hasLine = counts || box.note !== ''
  const middle = box.y + (hasLine ? 18 : 27)
  return (
    <>
      {mark !== 'ahead' && (
        <g transform={`translate(${box.x + 12} ${middle - 10.5})`}>
          <StateShape state={mark} />
        </g>
      )}
      <text class="node-title" x={box.x + (mark === 'ahead' ? 12 : 30)} y={middle}>
        {box.title}
      </text>
      {counts ? (
        <CountsLine x={box.x + 12} y={box.y + 35} state={state} />
      ) : (
        box.note !== '' && (
          <text class="node-note" x={box.x + 12} y={box.y + 35}>
            {` ${box.note}`}
          </text>
        )
      )}
    </>
  )
}

function Head({ box, state, mark }: InsideProps): JSX.Element {
  const left = box.x + 12
  return (
    <>
      {mark !== 'ahead' && (
        <g transform={`translate(${left} ${box.y + 9})`}>
          <StateShape state={mark} />
        </g>
      )}
      <text class="node-title" x={left + (mark === 'ahead' ? 0 : 19)} y={box.y + 20}>
        {box.title}
        <tspan class="node-note" dx={box.title === '' ? 0 : 5}>
          {` ${box.note}`}
        </tspan>
      </text>
      {state?.counts !== undefined && <CountsLine x={left} y={box.y + HEAD_HEIGHT - 9} state={state} />}
    </>
  )
}

/** `1 203 ✓ 4 ✕ 17 ◐ 776 ○` */
function CountsLine({
  x,
  y,
  state,
}: {
  readonly x: number
  readonly y: number
  readonly state: NodeState
}): JSX.Element {
  const shown = COUNT_SIGNS.filter(({ of }) => (state.counts?.[of] ?? 0) > 0)
  return (
    <text class="node-counts" x={x} y={y}>
      {shown.map(({ of, sign, mark }, i) => (
        <tspan key={of} class={`is-${mark}`} dx={i === 0 ? 0 : 6}>
          {` ${count(state.counts?.[of] ?? 0)} ${sign}`}
        </tspan>
      ))}
    </text>
  )
}

const More = ({ box }: { readonly box: Box }): JSX.Element => (
  <g class="node-more">
    <rect x={box.x} y={box.y} width={box.width} height={box.height} rx="13" />
    <text class="node-note" x={box.x + box.width / 2} y={box.y + 17} text-anchor="middle">
      {box.title}
    </text>
  </g>
)
