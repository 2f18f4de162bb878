/** A step, a group or a branch of the run: what it waits for, why it failed, where and how long it ran, what one may do with it, and its values. */
import type { JSX } from 'preact'
import type { Graph, GraphNode } from '../../lib/graph/graph.js'
import { nodeAt, staticPath } from '../../lib/graph/locate.js'
import type { ReportError } from '../../lib/report/report.js'
import type { BranchPage } from '../../lib/report/timeline.js'
import { at, post } from '../api.js'
import { count, duration } from '../format.js'
import { waitWords } from '../pages/wait-words.js'
import { ActButton, Button } from '../parts/buttons.js'
import { Time, Took } from '../parts/text.js'
import { ErrorView } from '../parts/values.js'
import { useQuery } from '../use-query.js'
import type { WireError } from '../wire.js'
import { BranchList } from './branch-list.js'
import { COUNT_SIGNS } from './counts.js'
import type { NodeState } from './graph-state.js'
import { Fact, Frame, type PanelProps, Part, Progress, titleOf } from './panel-parts.js'
import { openSettle } from './settle.js'
import type { NamedRunning } from './timeline-model.js'
import { ValueView } from './value-view.js'

interface PlaceProps extends PanelProps {
  readonly path: string
  readonly node: GraphNode
  readonly state: NodeState | undefined
}

export function OfPlace(props: PlaceProps): JSX.Element {
  const { id, status, path, node, state, graph, isOver, onSelect } = props
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
  const running = props.running.get(path)
  const label = found?.label ?? running?.label ?? waits[0]?.label
  const word =
    step?.state ??
    found?.status ??
    (running === undefined ? undefined : 'running') ??
    (group === undefined
      ? undefined
      : group.state === 'released' && group.failed + group.dead > 0
        ? 'failed'
        : group.state)
  const came = [status.retries, step?.attempt, group?.path, found?.status, running?.start].join(' ')
  const version = `${status.state} ${status.retries} ${step?.state ?? ''} ${group?.state ?? ''} ${found?.status ?? ''}`
  const error = step?.error ?? (found?.error === undefined ? undefined : wireErrorOf(found.error))
  return (
    <Frame
      title={titleOf(node)}
      kind={node.kind}
      path={path}
      {...(label !== undefined && { label })}
      onClose={() => onSelect(undefined)}
      {...(word !== undefined && { state: word })}
    >
      {waits.length > 0 && (
        <Part title="Waits">
          <ul class="panel-waits">
            {waits.slice(0, 8).map((wait) => (
              <li key={`${wait.path} ${wait.why}`}>
                <span class="wrap">
                  {waitWords(wait)}
                  {wait.label !== undefined && wait.label !== label && ` (${wait.label})`}
                </span>
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
        {found === undefined && running !== undefined && (
          <>
            <Fact name="Runs for">
              <Took
                from={new Date(new Date(status.createdAt).getTime() + running.start).toISOString()}
                to={undefined}
              />
            </Fact>
            {running.workerName !== undefined && <Fact name="Worker">{running.workerName}</Fact>}
            <Fact name="Attempt">{count(running.again + 1)}</Fact>
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
      <PlaceActions
        {...props}
        isReached={state !== undefined || isBranch}
        isOpen={(isBranch || node.kind === 'task') && step?.state !== 'succeeded' && found?.status !== 'succeeded'}
      />
      {group !== undefined && isGroup && (
        <Part title="Branches">
          <BranchList key={path} {...{ id, path, isOver, onSelect }} counts={group} running={runningIn(props, path)} />
        </Part>
      )}
      {group === undefined && isGroup && status.state === 'completed' && state !== undefined && !path.includes('*') && (
        <Part title="Branches">
          <p class="soft wrap">{NOT_KEPT}</p>
        </Part>
      )}
      <Part title="Input">
        <ValueView id={id} path={path} which="input" version={came} />
      </Part>
      <Part title="Output">
        <ValueView id={id} path={path} which="output" version={version} />
      </Part>
    </Frame>
  )
}

/** Seen where the flow has a group of which the status has nothing. */
const NOT_KEPT = 'None is kept: those of a completed run go ten minutes after its end.'

/** Of a report, whose causes are messages. */
const wireErrorOf = ({ causes = [], ...error }: ReportError): WireError =>
  withCause(
    error,
    causes.reduceRight<WireError | undefined>((cause, message) => withCause({ name: '', message }, cause), undefined),
  )
const withCause = (error: WireError, cause: WireError | undefined): WireError =>
  cause === undefined ? error : { ...error, cause }

/** Of one group. */
export const runningIn = ({ running }: Pick<PanelProps, 'running'>, group: string): readonly NamedRunning[] =>
  [...running.values()].filter(
    ({ path }) => path.startsWith(`${group}/`) && !path.slice(group.length + 1).includes('/'),
  )

/** Its number in the group; undefined where its path names none. */
export function indexOf(graph: Graph, group: string, path: string): number | undefined {
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
  isReached,
  isOpen,
  onChanged,
}: PlaceProps & { readonly isReached: boolean; readonly isOpen: boolean }): JSX.Element | null {
  const title = titleOf(node)
  const mayRepeat = isOver && isReached
  const maySettle =
    node.kind !== 'wait' &&
    isOpen &&
    isReached &&
    status.state !== 'completed' &&
    status.state !== 'cancelled' &&
    !path.includes('*')
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
