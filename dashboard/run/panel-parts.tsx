/** What all of the panel is made of: its frame, its parts, and what handlers say of how far they are. */
import type { JSX } from 'preact'
import type { Graph, GraphNode } from '../../lib/graph/graph.js'
import { Button } from '../parts/buttons.js'
import { State } from '../parts/state.js'
import { Copy, Time } from '../parts/text.js'
import type { RunStatus } from '../wire.js'
import type { NodeState } from './graph-state.js'
import type { NamedRunning } from './timeline-model.js'

export interface PanelProps {
  readonly id: string
  readonly status: RunStatus
  readonly graph: Graph | undefined
  readonly states: ReadonlyMap<string, NodeState>
  /** A path of the run, or of the graph where nobody has come there; undefined: the run. */
  readonly chosen: string | undefined
  readonly isOver: boolean
  /** What is at work now, by its path. */
  readonly running: ReadonlyMap<string, NamedRunning>
  readonly onSelect: (path: string | undefined) => void
  readonly onChanged: () => void
}

/** `1/0/~1` is of the handler at `1/0`. */
export const withoutSpecial = (path: string): string => path.replace(/\/[~+!].*$/, '')

export const titleOf = (node: GraphNode): string => {
  switch (node.kind) {
    case 'task':
    case 'wait':
    case 'workflow':
      return node.name
    case 'each':
    case 'group':
      return node.options.name ?? (node.kind === 'each' ? 'each' : 'group')
    default:
      return node.kind
  }
}

interface FrameProps {
  readonly title: string
  readonly kind?: string
  readonly path?: string
  /** What people call the item by. */
  readonly label?: string
  readonly state?: string
  readonly onClose?: () => void
  readonly children: preact.ComponentChildren
}

export function Frame({ title, kind, path, label, state, onClose, children }: FrameProps): JSX.Element {
  return (
    <section class="panel" aria-label={`Chosen: ${title}`}>
      <header class="panel-head">
        <div class="panel-title">
          <h2 class="wrap">
            {title}
            {label !== undefined && <span class="panel-label"> {label}</span>}
          </h2>
          {state !== undefined && <State state={state} />}
        </div>
        <div class="panel-where small soft">
          {kind !== undefined && kind !== title && <span>{kind}</span>}
          {path !== undefined && (
            <span class="id">
              <code>{path}</code>
              <Copy text={path} what="the path" />
            </span>
          )}
          {onClose !== undefined && (
            <Button look="quiet" onClick={onClose}>
              Show the run
            </Button>
          )}
        </div>
      </header>
      {children}
    </section>
  )
}

export const Part = ({
  title,
  children,
}: {
  readonly title: string
  readonly children: preact.ComponentChildren
}): JSX.Element => (
  <div class="panel-part">
    <h3>{title}</h3>
    {children}
  </div>
)

export const Fact = ({
  name,
  children,
}: {
  readonly name: string
  readonly children: preact.ComponentChildren
}): JSX.Element => (
  <div>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
)

/** What handlers said last of how far they are. */
/** What tasks tell of how far they are: that of a place, and inside it that of those only that are under way. */
export function Progress({ status, path }: { readonly status: RunStatus; readonly path: string }): JSX.Element | null {
  const isInside = ({ path: of }: { readonly path: string }): boolean => path === '' || of.startsWith(`${path}/`)
  const shown = status.progress
    .filter((one) => one.path === path || (isInside(one) && one.fraction < 1 && status.endedAt === undefined))
    .slice(0, 6)
  if (shown.length === 0) return null
  return (
    <Part title="Progress">
      <ul class="panel-progress">
        {shown.map((one) => (
          <li key={one.path}>
            <span class="panel-progress-head">
              <span class="cut">
                {one.task} <code class="faint">{one.path}</code>
              </span>
              <span class="num">{Math.round(one.fraction * 100)} %</span>
            </span>
            <progress max={1} value={one.fraction} aria-label={`Progress of ${one.task} at ${one.path}`} />
            <span class="small soft wrap">
              {one.message === undefined || one.message === '' ? '' : `${one.message} · `}
              <Time of={one.at} />
            </span>
          </li>
        ))}
      </ul>
    </Part>
  )
}
