/** What is chosen of the run: a step, a group, a branch, or the run itself. */
import type { JSX } from 'preact'
import type { GraphNode } from '../../lib/graph/graph.js'
import { nodeAt, staticPath } from '../../lib/graph/locate.js'
import { count } from '../format.js'
import { State } from '../parts/state.js'
import { BranchList } from './branch-list.js'
import { Frame, type PanelProps, Part, titleOf, withoutSpecial } from './panel-parts.js'
import { OfPlace, runningIn } from './panel-place.js'
import { OfRun } from './panel-run.js'

export function Panel(props: PanelProps): JSX.Element {
  const { chosen, graph, states } = props
  if (chosen === undefined || graph === undefined) return <OfRun {...props} />
  const known = staticPath(graph, withoutSpecial(chosen)) ?? ''
  const node = nodeAt(graph, known)
  if (node === undefined)
    return (
      <Frame title="Nothing there" path={chosen} onClose={() => props.onSelect(undefined)}>
        <p class="soft">The flow has no such place.</p>
      </Frame>
    )
  const state = states.get(known)
  if (!chosen.includes('*')) return <OfPlace {...props} path={chosen} node={node} state={state} />
  const [only, ...others] = state?.places ?? []
  if (only !== undefined && others.length === 0) return <OfPlace {...props} path={only} node={node} state={state} />
  if (only !== undefined) return <Places {...props} node={node} path={chosen} places={state?.places ?? []} />
  return <Inside {...props} node={node} path={chosen} />
}

const SHOWN_PLACES = 100

/** A node that the run came to more than once: in passes of a loop, or for items. */
function Places({
  node,
  path,
  places,
  status,
  onSelect,
}: PanelProps & { readonly node: GraphNode; readonly path: string; readonly places: readonly string[] }): JSX.Element {
  const states = new Map([
    ...status.steps.map((one) => [one.path, one.state] as const),
    ...status.groups.map((one) => [one.path, one.failed + one.dead > 0 ? 'failed' : one.state] as const),
  ])
  return (
    <Frame title={titleOf(node)} kind={node.kind} path={path} onClose={() => onSelect(undefined)}>
      <Part title={`${count(places.length)} places in this run`}>
        <ul class="branch-rows">
          {places.slice(0, SHOWN_PLACES).map((place) => (
            <li key={place}>
              <button type="button" class="branch-row" onClick={() => onSelect(place)}>
                <State state={states.get(place) ?? 'waiting'} />
                <code class="cut">{place}</code>
              </button>
            </li>
          ))}
        </ul>
        {places.length > SHOWN_PLACES && <p class="small faint">and {count(places.length - SHOWN_PLACES)} more</p>}
      </Part>
    </Frame>
  )
}

/** A node inside branches: these are listed at their group. */
function Inside({
  node,
  path,
  id,
  status,
  graph,
  isOver,
  running,
  onSelect,
}: PanelProps & { readonly node: GraphNode; readonly path: string }): JSX.Element {
  const group = status.groups.find(
    (one) => graph !== undefined && path.startsWith(`${staticPath(graph, withoutSpecial(one.path)) ?? '?'}/`),
  )
  const below =
    group === undefined || graph === undefined ? '' : path.slice((staticPath(graph, group.path) ?? '').length + 3)
  return (
    <Frame title={titleOf(node)} kind={node.kind} path={path} onClose={() => onSelect(undefined)}>
      {group === undefined ? (
        <p class="soft">The run has not come here yet.</p>
      ) : (
        <Part title="Choose a branch">
          <BranchList
            key={group.path}
            id={id}
            path={group.path}
            counts={group}
            running={runningIn({ running }, group.path)}
            isOver={isOver}
            onSelect={(branch) => onSelect(below === '' ? branch : `${branch}/${below}`)}
          />
        </Part>
      )}
    </Frame>
  )
}
