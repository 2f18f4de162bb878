/**
 * What is chosen of the run: a step, a group, a branch, or the run itself.
 * The file is long because each of these is shown with the same parts, side by side.
 */
import type { JSX } from 'preact'
import type { Graph, GraphNode } from '../../lib/graph/graph.js'
import { nodeAt, staticPath } from '../../lib/graph/locate.js'
import type { ReportError } from '../../lib/report/report.js'
import type { BranchPage } from '../../lib/report/timeline.js'
import { at, post } from '../api.js'
import { duration } from '../format.js'
import { ActButton, Button } from '../parts/buttons.js'
import { State } from '../parts/state.js'
import { Copy, Tag, Time, Took } from '../parts/text.js'
import { waitWords } from '../pages/wait-words.js'
import { useQuery } from '../use-query.js'
import type { RunStatus, WireError } from '../wire.js'
import { BranchList } from './branch-list.js'
import { COUNT_SIGNS } from './counts.js'
import { ErrorView } from '../parts/values.js'
import type { NodeState } from './graph-state.js'
import { count } from '../format.js'
import { openSettle } from './settle.js'
import { ValueView } from './value-view.js'

export interface PanelProps {
  readonly id: string
  readonly status: RunStatus
  readonly graph: Graph | undefined
  readonly states: ReadonlyMap<string, NodeState>
  /** A path of the run, or of the graph where nobody has come there; undefined: the run. */
  readonly chosen: string | undefined
  readonly isOver: boolean
  readonly onSelect: (path: string | undefined) => void
  readonly onChanged: () => void
}

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

/** `1/0/~1` is of the handler at `1/0`. */
const withoutSpecial = (path: string): string => path.replace(/\/[~+!].*$/, '')

const titleOf = (node: GraphNode): string => {
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
  readonly state?: string
  readonly onClose?: () => void
  readonly children: preact.ComponentChildren
}

function Frame({ title, kind, path, state, onClose, children }: FrameProps): JSX.Element {
  return (
    <section class="panel" aria-label={`Chosen: ${title}`}>
      <header class="panel-head">
        <div class="panel-title">
          <h2 class="wrap">{title}</h2>
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

const Part = ({
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

/** Steps that failed or hang, when nothing is chosen: the run, and why it failed. */
function OfRun({ id, status, isOver, onSelect }: PanelProps): JSX.Element {
  const { workflow, tags, retries, byHand, error, state, done, total } = status
  const version = `${state} ${retries}`
  return (
    <Frame title={workflow ?? 'The run'} kind={workflow === undefined ? '' : 'the whole run'}>
      {error !== undefined && (
        <Part title={state === 'cancelled' ? 'Why it was cancelled' : 'Why it failed'}>
          <ErrorView error={error} isStackOpen={false} />
          <FailedPlaces status={status} onSelect={onSelect} />
        </Part>
      )}
      <dl class="facts">
        <Fact name="Done">
          {count(done)} of {count(total)}
        </Fact>
        {retries > 0 && <Fact name="Retried">{retries === 1 ? 'once' : `${count(retries)} times`}</Fact>}
        {tags.length > 0 && (
          <Fact name="Tags">
            <span class="tags">
              {tags.map((tag) => (
                <Tag key={tag}>{tag}</Tag>
              ))}
            </span>
          </Fact>
        )}
      </dl>
      <Progress status={status} path="" />
      {byHand.length > 0 && (
        <Part title="Decided by hand">
          <ul class="by-hand">
            {byHand.map((one) => (
              <li key={`${one.path} ${one.at}`}>
                <State state={one.as} />
                <button type="button" class="run-link" onClick={() => onSelect(one.path)}>
                  <code>{one.path}</code>
                </button>
                <span class="soft">
                  <Time of={one.at} />
                </span>
              </li>
            ))}
          </ul>
        </Part>
      )}
      <Part title="Input">
        <ValueView id={id} path="" which="input" version="" />
      </Part>
      {isOver && error === undefined && (
        <Part title="Result">
          <ValueView id={id} path="" which="output" version={version} />
        </Part>
      )}
    </Frame>
  )
}

/** Links to what failed: the way from «it failed» to the place. */
function FailedPlaces({
  status: { steps, groups },
  onSelect,
}: {
  readonly status: RunStatus
  readonly onSelect: (path: string) => void
}): JSX.Element | null {
  const places = [
    ...steps.filter(({ state }) => state === 'failed').map(({ path, task }) => ({ path, text: task })),
    ...groups
      .filter(({ failed, dead }) => failed + dead > 0)
      .map(({ path, failed, dead }) => ({ path, text: `${count(failed + dead)} failed` })),
  ].slice(0, 8)
  if (places.length === 0) return null
  return (
    <ul class="failed-places">
      {places.map(({ path, text }) => (
        <li key={path}>
          <button type="button" class="run-link" onClick={() => onSelect(path)}>
            {text} at <code>{path}</code>
          </button>
        </li>
      ))}
    </ul>
  )
}

const Fact = ({
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

interface PlaceProps extends PanelProps {
  readonly path: string
  readonly node: GraphNode
  readonly state: NodeState | undefined
}

function OfPlace(props: PlaceProps): JSX.Element {
  const { id, status, path, node, graph, isOver, onSelect } = props
  const step = status.steps.find((one) => one.path === path)
  const group = status.groups.find((one) => one.path === path)
  const above = path.slice(0, Math.max(0, path.lastIndexOf('/')))
  const isBranch = status.groups.some((one) => one.path === above && one.width > 0)
  const index = isBranch && graph !== undefined ? indexOf(graph, above, path) : undefined
  const branch = useQuery<BranchPage>(index === undefined ? undefined : at`/runs/${id}/branches`, {
    ...{ query: { path: above, index }, on: () => true, everyMs: isOver ? 0 : 4_000 },
  })
  const found = branch.state.is === 'ready' ? branch.state.value.items[0] : undefined
  const waits = status.waits.filter((wait) => wait.path === path || wait.path.startsWith(`${path}/`))
  const isGroup = node.kind === 'each' || node.kind === 'group'
  const word =
    step?.state ??
    found?.status ??
    (group === undefined
      ? undefined
      : group.state === 'released' && group.failed + group.dead > 0
        ? 'failed'
        : group.state)
  const version = `${status.state} ${status.retries} ${step?.state ?? ''} ${group?.state ?? ''} ${found?.status ?? ''}`
  const error = step?.error ?? (found?.error === undefined ? undefined : wireErrorOf(found.error))
  return (
    <Frame
      title={titleOf(node)}
      kind={node.kind}
      path={path}
      onClose={() => onSelect(undefined)}
      {...(word !== undefined && { state: word })}
    >
      {waits.length > 0 && (
        <Part title="Waits">
          <ul class="panel-waits">
            {waits.slice(0, 8).map((wait) => (
              <li key={`${wait.path} ${wait.why}`}>
                <span class="wrap">{waitWords(wait)}</span>
                <span class="small faint">
                  {wait.count > 1 && `${count(wait.count)} of them, `}since <Time of={wait.since} form="age" />
                </span>
              </li>
            ))}
          </ul>
        </Part>
      )}
      {error !== undefined && (
        <Part title="Error">
          <ErrorView error={error} isStackOpen={false} />
        </Part>
      )}
      <dl class="facts">
        {step !== undefined && (
          <>
            <Fact name="Took">
              <Took from={step.startedAt} to={step.endedAt} />
            </Fact>
            <Fact name="Attempt">{step.attempt}</Fact>
            <Fact name="Started">
              <Time of={step.startedAt} />
            </Fact>
          </>
        )}
        {found !== undefined && (
          <>
            {found.start !== undefined && found.end !== undefined && (
              <Fact name="Took">{duration(found.end - found.start)}</Fact>
            )}
            {found.workerName !== undefined && <Fact name="Worker">{found.workerName}</Fact>}
            <Fact name="Attempt">
              {found.errors + found.losses + 1}
              {found.losses > 0 && <span class="soft"> ({count(found.losses)} lost with a worker)</span>}
            </Fact>
          </>
        )}
        {group !== undefined && isGroup && (
          <Fact name="Branches">
            <span class="panel-counts">
              {COUNT_SIGNS.filter(({ of }) => group[of] > 0).map(({ of, sign, word: said, mark }) => (
                <span key={of} class={`counted is-${mark}`} title={said}>
                  {count(group[of])} {sign} <span class="small soft">{said}</span>
                </span>
              ))}
            </span>
          </Fact>
        )}
      </dl>
      <Progress status={status} path={path} />
      <PlaceActions {...props} isOpen={step?.state !== 'succeeded' && found?.status !== 'succeeded' && !isGroup} />
      {group !== undefined && isGroup && (
        <Part title="Branches that have ended">
          <BranchList key={path} id={id} path={path} counts={group} isOver={isOver} onSelect={onSelect} />
        </Part>
      )}
      <Part title="Input">
        <ValueView id={id} path={path} which="input" version="" />
      </Part>
      <Part title="Output">
        <ValueView id={id} path={path} which="output" version={version} />
      </Part>
    </Frame>
  )
}

/** Of a report, whose causes are messages. */
const wireErrorOf = ({ causes = [], ...error }: ReportError): WireError =>
  withCause(
    error,
    causes.reduceRight<WireError | undefined>((cause, message) => withCause({ name: '', message }, cause), undefined),
  )
const withCause = (error: WireError, cause: WireError | undefined): WireError =>
  cause === undefined ? error : { ...error, cause }

/** Its number in the group; undefined where its path names none. */
function indexOf(graph: Graph, group: string, path: string): number | undefined {
  const segment = path.slice(group.length + 1)
  const node = nodeAt(graph, staticPath(graph, group) ?? '')
  const index = node?.kind === 'group' && node.keys !== undefined ? node.keys.indexOf(segment) : Number(segment)
  return Number.isInteger(index) && index >= 0 ? index : undefined
}

function PlaceActions({
  id,
  path,
  node,
  status,
  isOver,
  isOpen,
  onChanged,
}: PlaceProps & { readonly isOpen: boolean }): JSX.Element | null {
  const title = titleOf(node)
  const mayRepeat = isOver
  const maySettle = isOpen && status.state !== 'completed' && status.state !== 'cancelled' && !path.includes('*')
  if (!mayRepeat && !maySettle) return null
  return (
    <div class="panel-actions">
      {mayRepeat && (
        <ActButton
          icon="retry"
          needs="operate"
          ask={{
            title: `Repeat from ${title}?`,
            text: (
              <p>
                The run goes on under its id from <code>{path}</code>: this and all that comes after it is done again.
                What came before is kept.
              </p>
            ),
            action: 'Repeat from here',
          }}
          run={() => post<{ readonly changed: boolean }>(at`/runs/${id}/retry`, { from: path })}
          done={({ changed }) => (changed ? `The run goes on from ${path}.` : 'Nothing changed: the run is not over.')}
          onDone={onChanged}
        >
          Repeat from here
        </ActButton>
      )}
      {maySettle && (
        <Button icon="person" needs="operate" onClick={() => openSettle(id, path, title, onChanged)}>
          Decide by hand
        </Button>
      )}
    </div>
  )
}

/** What handlers said last of how far they are. */
function Progress({ status, path }: { readonly status: RunStatus; readonly path: string }): JSX.Element | null {
  const shown = status.progress
    .filter((one) => path === '' || one.path === path || one.path.startsWith(`${path}/`))
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
              {one.message} <Time of={one.at} />
            </span>
          </li>
        ))}
      </ul>
    </Part>
  )
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
            isOver={isOver}
            onSelect={(branch) => onSelect(below === '' ? branch : `${branch}/${below}`)}
          />
        </Part>
      )}
    </Frame>
  )
}
