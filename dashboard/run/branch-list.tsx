/** Branches of a group: those that have ended, all of them page by page, or those that people look for; and those that are at work. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { reasonIn } from '../../lib/report/reason.js'
import type { BranchPage, ListedBranch } from '../../lib/report/timeline.js'
import { at } from '../api.js'
import { count, duration } from '../format.js'
import { Button } from '../parts/buttons.js'
import { Skeleton } from '../parts/feedback.js'
import { StateShape } from '../parts/state.js'
import { useQuery } from '../use-query.js'
import type { Counts } from './graph-state.js'
import type { NamedRunning } from './timeline-model.js'

type Only = 'all' | 'failed' | 'dead' | 'again' | 'slow' | 'running'
const WORDS: Readonly<Record<Only, string>> = {
  all: 'ended',
  failed: 'failed',
  dead: 'dead',
  again: 'started again',
  slow: 'slowest',
  running: 'running',
}
const PAGE = 25

export interface BranchListProps {
  readonly id: string
  /** Of the group. */
  readonly path: string
  readonly counts: Counts
  /** Those that are known of what is at work now. */
  readonly running: readonly NamedRunning[]
  readonly isOver: boolean
  readonly onSelect: (path: string) => void
}

export function BranchList({ id, path, counts, running, isOver, onSelect }: BranchListProps): JSX.Element {
  const bad: Only | undefined = counts.failed > 0 ? 'failed' : counts.dead > 0 ? 'dead' : undefined
  const [chosen, setChosen] = useState<Only | undefined>(undefined)
  const [skip, setSkip] = useState(0)
  const isAtWork = counts.running > 0
  const first = counts.succeeded + counts.failed + counts.dead === 0 && isAtWork ? 'running' : 'all'
  // what was at work is over
  const asked = chosen === 'running' && !isAtWork ? undefined : chosen
  const only = asked ?? bad ?? first
  const query = { path, skip, limit: PAGE, ...(only !== 'all' && { only }) }
  const { state, refresh } = useQuery<BranchPage>(only === 'running' ? undefined : at`/runs/${id}/branches`, {
    query,
    on: () => true,
    everyMs: isOver ? 0 : 4_000,
  })
  const tabs: readonly Only[] = [
    'all',
    ...(isAtWork ? (['running'] as const) : []),
    ...(counts.failed > 0 ? (['failed'] as const) : []),
    ...(counts.dead > 0 ? (['dead'] as const) : []),
    'again',
    'slow',
  ]
  return (
    <div class="branches">
      <div class="toggles" role="group" aria-label="Which branches">
        {tabs.map((one) => (
          <button
            key={one}
            type="button"
            class="toggle"
            aria-pressed={one === only}
            onClick={() => {
              setChosen(one)
              setSkip(0)
            }}
          >
            {WORDS[one]}
          </button>
        ))}
      </div>
      {only === 'running' && <Running running={running} count={counts.running} onSelect={onSelect} />}
      {only !== 'running' && state.is === 'loading' && <Skeleton rows={4} height={32} />}
      {only !== 'running' && (state.is === 'failed' || state.is === 'gone') && (
        <p class="soft wrap">
          {state.is === 'gone' ? 'Its outcomes are not kept any more.' : state.error.message}{' '}
          {state.is === 'failed' && (
            <Button look="quiet" onClick={() => void refresh()}>
              Try again
            </Button>
          )}
        </p>
      )}
      {only !== 'running' && state.is === 'ready' && <Rows page={state.value} only={only} onSelect={onSelect} />}
      {only !== 'running' && state.is === 'ready' && state.value.total > PAGE && (
        <div class="branches-foot small soft">
          <Button look="quiet" isDisabled={skip === 0} onClick={() => setSkip(Math.max(0, skip - PAGE))}>
            Before
          </Button>
          <span class="num">
            {count(skip + 1)} – {count(Math.min(skip + PAGE, state.value.total))} of {count(state.value.total)}
          </span>
          <Button look="quiet" isDisabled={skip + PAGE >= state.value.total} onClick={() => setSkip(skip + PAGE)}>
            Next
          </Button>
        </div>
      )}
    </div>
  )
}

function Rows({
  page: { items },
  only,
  onSelect,
}: {
  readonly page: BranchPage
  readonly only: Only
  readonly onSelect: (path: string) => void
}): JSX.Element {
  if (items.length === 0) return <p class="value-none faint">{only === 'all' ? 'None has ended yet.' : 'None.'}</p>
  return (
    <ul class="branch-rows">
      {items.map((branch) => (
        <li key={branch.path}>
          <button type="button" class="branch-row" onClick={() => onSelect(branch.path)}>
            <StateShape state={branch.status} label={branch.status} />
            <Place path={branch.path} label={branch.label} />
            <span class="cut soft">{said(branch)}</span>
            <span class="num faint">
              {branch.start === undefined || branch.end === undefined ? '' : duration(branch.end - branch.start)}
            </span>
          </button>
        </li>
      ))}
    </ul>
  )
}

/** By what people call it, where they do; the path says where it is. */
const Place = ({ path, label }: { readonly path: string; readonly label: string | undefined }): JSX.Element => (
  <span class="branch-place cut" title={label === undefined ? path : `${label} at ${path}`}>
    {label !== undefined && <b>{label} </b>}
    <code>{path}</code>
  </span>
)

/** As the timeline saw them last. */
function Running({
  running,
  count: all,
  onSelect,
}: {
  readonly running: readonly NamedRunning[]
  readonly count: number
  readonly onSelect: (path: string) => void
}): JSX.Element {
  return (
    <>
      <ul class="branch-rows">
        {running.slice(0, PAGE).map((branch) => (
          <li key={branch.path}>
            <button type="button" class="branch-row" onClick={() => onSelect(branch.path)}>
              <StateShape state="running" label="running" />
              <Place path={branch.path} label={branch.label} />
              <span class="cut soft">{branch.workerName}</span>
              <span class="num faint">{branch.again > 0 ? `start ${branch.again + 1}` : ''}</span>
            </button>
          </li>
        ))}
      </ul>
      {all > Math.min(PAGE, running.length) && (
        <p class="small faint">{count(all - Math.min(PAGE, running.length))} more run, or wait at their workers.</p>
      )}
    </>
  )
}

function said({ error, workerName, errors, losses }: ListedBranch): string {
  if (error !== undefined) return reasonIn(error.message)
  const again = errors + losses > 0 ? `attempt ${errors + losses + 1}` : ''
  return [workerName, again].filter((text) => text !== undefined && text !== '').join(' · ')
}
