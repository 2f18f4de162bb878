/** The supersteps as a table: what the canvas shows, in numbers and words. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { count, duration } from '../format.js'
import { Button } from '../parts/buttons.js'
import { State } from '../parts/state.js'
import type { NamedGroup } from './timeline-model.js'

const FIRST = 8

export interface SuperstepTableProps {
  readonly groups: readonly NamedGroup[]
  readonly end: number
  readonly onShow: (group: NamedGroup) => void
  readonly onSelect: (place: { readonly path: string; readonly index?: number }) => void
}

export function SuperstepTable({ groups, end, onShow, onSelect }: SuperstepTableProps): JSX.Element | null {
  const [isAll, setAll] = useState(false)
  if (groups.length === 0) return null
  const shown = isAll ? groups : groups.slice(0, FIRST)
  return (
    <div class="run-table-box" tabIndex={0} role="group" aria-label="Supersteps">
      <table class="run-table">
        <thead>
          <tr>
            <th>Superstep</th>
            <th>State</th>
            <th class="is-num">Width</th>
            <th class="is-num">Took</th>
            <th class="is-num" title="Half of its branches took at most so long">
              Median
            </th>
            <th class="is-num" title="Nineteen in twenty took at most so long">
              95 %
            </th>
            <th class="is-num">Longest</th>
            <th class="is-num" title="From the end of half of its branches to the last end">
              Skew
            </th>
            <th class="is-num">Again</th>
            <th class="is-num">Lost</th>
            <th>Stragglers</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((group) => (
            <Row key={group.path} group={group} end={end} onShow={onShow} onSelect={onSelect} />
          ))}
        </tbody>
      </table>
      {groups.length > shown.length && (
        <Button look="quiet" onClick={() => setAll(true)}>
          Show all {count(groups.length)}
        </Button>
      )}
    </div>
  )
}

const NAMED = 3

function Row({
  group,
  end,
  onShow,
  onSelect,
}: Omit<SuperstepTableProps, 'groups'> & { readonly group: NamedGroup }): JSX.Element {
  const {
    path,
    title,
    state,
    width,
    openedAt,
    releasedAt = end,
    medianMs,
    p95Ms,
    longestMs,
    skewMs,
    retries,
    losses,
    stragglers,
  } = group
  const bad = group.counts.failed + group.counts.dead
  return (
    <tr>
      <td>
        <button type="button" class="run-link" title={`Zoom to the superstep at ${path}`} onClick={() => onShow(group)}>
          {title === '' ? path : title} <code class="faint">{path}</code>
        </button>
      </td>
      <td>
        <State
          state={bad > 0 && state !== 'open' ? 'failed' : state}
          word={bad > 0 ? `${state}, ${count(bad)} failed` : state}
        />
      </td>
      <td class="is-num">{count(width)}</td>
      <td class="is-num">{duration(releasedAt - openedAt)}</td>
      <Ms of={medianMs} />
      <Ms of={p95Ms} />
      <Ms of={longestMs} />
      <Ms of={skewMs} />
      <td class="is-num">{retries > 0 ? count(retries) : <span class="faint">–</span>}</td>
      <td class="is-num">{losses > 0 ? count(losses) : <span class="faint">–</span>}</td>
      <td>
        {stragglers.slice(0, NAMED).map((branch) => (
          <button
            key={branch.index}
            type="button"
            class="run-link is-late"
            title={`${branch.task} #${branch.index} on ${branch.workerName ?? 'an unknown worker'}`}
            onClick={() => onSelect({ path, index: branch.index })}
          >
            {branch.label ?? `#${branch.index}`}
          </button>
        ))}
        {stragglers.length > NAMED && <span class="faint">and {count(stragglers.length - NAMED)} more</span>}
      </td>
    </tr>
  )
}

const Ms = ({ of }: { readonly of: number | undefined }): JSX.Element => (
  <td class="is-num">{of === undefined ? <span class="faint">–</span> : duration(of)}</td>
)
