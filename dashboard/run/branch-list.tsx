/** Branches of a group that have ended: all of them page by page, or those that people look for. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { BranchPage, ListedBranch } from '../../lib/report/timeline.js'
import { at } from '../api.js'
import { count, duration } from '../format.js'
import { Button } from '../parts/buttons.js'
import { Skeleton } from '../parts/feedback.js'
import { StateShape } from '../parts/state.js'
import { useQuery } from '../use-query.js'
import type { Counts } from './graph-state.js'

type Only = 'all' | 'failed' | 'dead' | 'again' | 'slow'
const WORDS: Readonly<Record<Only, string>> = {
  all: 'all',
  failed: 'failed',
  dead: 'dead',
  again: 'started again',
  slow: 'slowest',
}
const PAGE = 25

export interface BranchListProps {
  readonly id: string
  /** Of the group. */
  readonly path: string
  readonly counts: Counts
  readonly isOver: boolean
  readonly onSelect: (path: string) => void
}

export function BranchList({ id, path, counts, isOver, onSelect }: BranchListProps): JSX.Element {
  const bad: Only | undefined = counts.failed > 0 ? 'failed' : counts.dead > 0 ? 'dead' : undefined
  const [chosen, setChosen] = useState<Only | undefined>(undefined)
  const [skip, setSkip] = useState(0)
  const only = chosen ?? bad ?? 'all'
  const query = { path, skip, limit: PAGE, ...(only !== 'all' && { only }) }
  const { state, refresh } = useQuery<BranchPage>(at`/runs/${id}/branches`, {
    query,
    on: () => true,
    everyMs: isOver ? 0 : 4_000,
  })
  const tabs: readonly Only[] = [
    'all',
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
      {state.is === 'loading' && <Skeleton rows={4} height={32} />}
      {(state.is === 'failed' || state.is === 'gone') && (
        <p class="soft wrap">
          {state.is === 'gone' ? 'Its outcomes are not kept any more.' : state.error.message}{' '}
          {state.is === 'failed' && (
            <Button look="quiet" onClick={() => void refresh()}>
              Try again
            </Button>
          )}
        </p>
      )}
      {state.is === 'ready' && <Rows page={state.value} only={only} onSelect={onSelect} />}
      {state.is === 'ready' && state.value.total > PAGE && (
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
            <code class="cut">{branch.path}</code>
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

function said({ error, workerName, errors, losses }: ListedBranch): string {
  if (error !== undefined) return error.message.split('\n', 1)[0] ?? ''
  const again = errors + losses > 0 ? `attempt ${errors + losses + 1}` : ''
  return [workerName, again].filter((text) => text !== undefined && text !== '').join(' · ')
}
