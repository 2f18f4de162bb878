/** The page of one run: what it does, what it asks, its flow, what is chosen of it, and its time. */
import type { JSX } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Graph } from '../../lib/graph/graph.js'
import { nodeAt, staticPath } from '../../lib/graph/locate.js'
import type { Timeline } from '../../lib/report/timeline.js'
import { at } from '../api.js'
import { Empty, Show, Skeleton } from '../parts/feedback.js'
import { Box, Page } from '../parts/page.js'
import { href, setQuery, useRoute } from '../router.js'
import { type Loaded, useQuery } from '../use-query.js'
import type { RunStatus } from '../wire.js'
import { GraphView } from './graph-view.js'
import { branchPath, nodeStates, type NodeState } from './graph-state.js'
import { Panel } from './panel.js'
import { indexOf } from './panel-place.js'
import { Prompts } from './prompts.js'
import { isEnded, RunActions, StateLine } from './run-head.js'
import { changeSeen, type SeenState } from './run-moments.js'
import { STATUS_WORDS, wholeOf } from './timeline-model.js'
import { useTimeline } from './timeline-source.js'
import { TimelineView } from './timeline-view.js'

const LOOK_MS = 3_000
const LOOK_OVER_MS = 15_000

interface GraphAnswer {
  readonly hash: string
  readonly graph: Graph
}

export function RunPage({ id }: { readonly id: string }): JSX.Element {
  const [isOver, setOver] = useState(false)
  const query = useQuery<RunStatus>(at`/runs/${id}`, { on: () => true, everyMs: isOver ? LOOK_OVER_MS : LOOK_MS })
  const status = query.state.is === 'ready' ? query.state.value : undefined
  useEffect(() => setOver(status !== undefined && isEnded(status.state)), [status?.state])
  const seen = useSeenStates(id, status)
  return (
    <Page
      title={status?.workflow ?? 'Run'}
      tab={status?.workflow === undefined ? id : `${status.workflow} ${id}`}
      note={
        <a href={href(['runs'], { workflow: status?.workflow })}>
          {status?.workflow === undefined ? 'all runs' : 'all its runs'}
        </a>
      }
      actions={status !== undefined && <RunActions id={id} status={status} onChanged={() => void query.refresh()} />}
    >
      <Show
        what="The run"
        query={query}
        skeleton={<Skeleton rows={10} />}
        gone={
          <Empty title="There is no such run, or not any more">
            <p>
              <code>{id}</code> is not in the store. Runs are deleted by hand, or once their retention is over.
            </p>
            <p>
              <a class="link" href={href(['runs'])}>
                To the runs
              </a>
            </p>
          </Empty>
        }
      >
        {(value) => <Body id={id} status={value} seen={seen} onChanged={() => void query.refresh()} />}
      </Show>
    </Page>
  )
}

/** States that the run went into while the page was open. */
function useSeenStates(id: string, status: RunStatus | undefined): readonly SeenState[] {
  const [seen, setSeen] = useState<readonly SeenState[]>([])
  const last = useRef<RunStatus | undefined>(undefined)
  useEffect(() => {
    if (status === undefined) return
    const before = last.current
    last.current = status
    if (before === undefined) return
    setSeen((all) => [...all, ...changeSeen(before, status, Date.now())].slice(-12))
  }, [id, status?.state, status?.retries])
  return seen
}

interface BodyProps {
  readonly id: string
  readonly status: RunStatus
  readonly seen: readonly SeenState[]
  readonly onChanged: () => void
}

function Body({ id, status, seen, onChanged }: BodyProps): JSX.Element {
  const isOver = isEnded(status.state)
  const { query: address } = useRoute()
  const chosen = address.get('at') ?? undefined
  const graphQuery = useQuery<GraphAnswer>(at`/runs/${id}/graph`, { everyMs: 0 })
  const graph = useMemo(
    () => (graphQuery.state.is === 'ready' ? graphQuery.state.value.graph : undefined),
    [graphQuery.state.is],
  )
  const source = useTimeline(id, isOver)
  const timeline = source.query.state.is === 'ready' ? source.query.state.value : undefined
  const whole = useMemo(() => (timeline === undefined ? undefined : wholeOf(timeline)), [timeline])
  const running = useMemo(() => new Map((whole?.running ?? []).map((one) => [one.path, one])), [whole])
  const members = useMemo(() => membersOf(graph, timeline), [graph, timeline])
  const states = useMemo(
    () => (graph === undefined ? new Map<string, NodeState>() : nodeStates(graph, status, members)),
    [graph, status, members],
  )
  const select = (path: string | undefined): void => setQuery({ at: path }, 'replace')
  const selectedNode = useMemo(
    () =>
      graph === undefined || chosen === undefined ? undefined : staticPath(graph, chosen.replace(/\/[~+!].*$/, '')),
    [graph, chosen],
  )
  const branch = useMemo(() => branchAt(graph, timeline, chosen), [graph, timeline, chosen])
  /** A click on a node means its only place, where it has one. */
  const selectNode = (path: string): void => {
    const places = states.get(path)?.places ?? []
    select(places.length === 1 ? places[0] : path)
  }
  return (
    <div class="run">
      <StateLine id={id} status={status} seen={seen} onChanged={onChanged} />
      <Prompts
        id={id}
        workflow={status.workflow}
        waits={status.waits}
        onTimeout={(path) => timeoutOf(graph, path)}
        onAnswered={onChanged}
      />
      <div class="run-middle">
        <Box title="Flow" isFlush>
          <GraphBox
            state={graphQuery.state}
            graph={graph}
            states={states}
            selected={selectedNode}
            onSelect={selectNode}
          />
        </Box>
        <Panel
          id={id}
          status={status}
          graph={graph}
          states={states}
          chosen={chosen}
          isOver={isOver}
          running={running}
          onSelect={select}
          onChanged={onChanged}
        />
      </div>
      <Box title="Timeline" isFlush>
        <TimelineView
          source={source}
          chosen={branch}
          onSelect={({ path, index }) => select(index === undefined ? path : branchPath(graph, path, index))}
        />
      </Box>
    </div>
  )
}

const MOST_MEMBERS = 64

/** What became of the branches of small groups, by their paths. */
function membersOf(graph: Graph | undefined, timeline: Timeline | undefined): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const { blocks } of timeline?.window.lanes ?? []) {
    if (blocks === undefined) continue
    for (const [i, of] of blocks.group.entries()) {
      const group = timeline?.groups?.[of]
      if (group === undefined || group.width > MOST_MEMBERS) continue
      found.set(branchPath(graph, group.path, blocks.index[i] ?? 0), STATUS_WORDS[blocks.status[i] ?? ''] ?? '')
    }
  }
  for (const { group: of, index } of timeline?.running ?? []) {
    const group = timeline?.groups?.[of]
    if (group !== undefined && group.width <= MOST_MEMBERS) found.set(branchPath(graph, group.path, index), 'running')
  }
  return found
}

/** The branch of a group that a path names. */
function branchAt(
  graph: Graph | undefined,
  timeline: Timeline | undefined,
  path = '',
): { readonly path: string; readonly index: number } | undefined {
  const group = path.slice(0, Math.max(0, path.lastIndexOf('/')))
  if (graph === undefined || timeline?.groups?.some((one) => one.path === group) !== true) return undefined
  const index = indexOf(graph, group, path)
  return index === undefined ? undefined : { path: group, index }
}

/** What a wait of the flow goes on with once its time is over. */
function timeoutOf(graph: Graph | undefined, path: string): { readonly value: unknown } | undefined {
  const known = graph === undefined ? undefined : staticPath(graph, path)
  const node = graph === undefined || known === undefined ? undefined : nodeAt(graph, known)
  return node?.kind === 'wait' && node.options.onTimeout !== undefined ? { value: node.options.onTimeout } : undefined
}

interface GraphBoxProps extends Omit<Parameters<typeof GraphView>[0], 'graph'> {
  readonly state: Loaded<GraphAnswer>
  readonly graph: Graph | undefined
}

function GraphBox({ state, graph, ...props }: GraphBoxProps): JSX.Element {
  if (state.is === 'loading') return <Skeleton rows={6} />
  if (graph === undefined)
    return (
      <Empty title="The flow is not kept any more">
        <p>{state.is === 'ready' ? '' : state.error.message} Its steps and groups are in the timeline below.</p>
      </Empty>
    )
  return <GraphView graph={graph} {...props} />
}
