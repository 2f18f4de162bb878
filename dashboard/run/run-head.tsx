/** The top of the page of a run: its state, who drives it, the states that it went through, and what one may do with it. */
import type { JSX } from 'preact'
import { at, call, post, remove } from '../api.js'
import { clockTime, count, doneOf, duration, exactTime } from '../format.js'
import { ActButton, Button } from '../parts/buttons.js'
import { State } from '../parts/state.js'
import { Id, Took } from '../parts/text.js'
import { toast } from '../parts/toasts.js'
import { go, href } from '../router.js'
import { waitWords } from '../pages/wait-words.js'
import { may, me } from '../session.js'
import { useStore } from '../store.js'
import type { RunStatus } from '../wire.js'
import { momentsOf, type SeenState } from './run-moments.js'

interface Changed {
  readonly changed: boolean
}

export interface HeadProps {
  readonly id: string
  readonly status: RunStatus
  readonly seen: readonly SeenState[]
  readonly onChanged: () => void
}

export const isEnded = (state: string): boolean => state === 'completed' || state === 'failed' || state === 'cancelled'

export function StateLine({ id, status, seen }: HeadProps): JSX.Element {
  const { state, driver, createdAt, endedAt, waits, done, withdrawn, total } = status
  const others = waits.filter(({ why }) => why !== 'signal')
  const [wait] = others
  return (
    <section class="run-state" aria-label="State">
      <div class="run-state-main">
        <span class="run-state-word">
          <State state={state} />
        </span>
        <span class="num">
          <Took from={createdAt} to={endedAt} />
        </span>
        <span class="soft num">{doneOf(done, total, isEnded(state), withdrawn)}</span>
        <span class="soft">
          {driver !== undefined ? <>driven by {driver}</> : isEnded(state) ? '' : 'nobody drives it'}
        </span>
        <Id id={id} most={26} what="the id of the run" />
      </div>
      {wait !== undefined && !isEnded(state) && (
        <p class="run-state-wait soft wrap">
          {waitWords(wait)}
          {others.length > 1 && `, and ${count(others.length - 1)} more`}
        </p>
      )}
      <States status={status} seen={seen} />
    </section>
  )
}

function States({ status, seen }: { readonly status: RunStatus; readonly seen: readonly SeenState[] }): JSX.Element {
  const moments = momentsOf(status, seen)
  const first = moments[0]?.at ?? 0
  return (
    <ol class="run-states small">
      {moments.map(({ word, state, at: when }, i) => (
        <li key={i} title={exactTime(new Date(when))}>
          <State state={state} word={word} />
          <span class="num faint">{i === 0 ? clockTime(new Date(when)) : `+${duration(when - first)}`}</span>
        </li>
      ))}
    </ol>
  )
}

/** A link, which no key that may only read can follow to an end. */
function StartAgain({ id }: { readonly id: string }): JSX.Element {
  return may(useStore(me), 'operate') ? (
    <a class="button" href={href(['start'], { from: id })} title="Start it again, with the same input or another one">
      <span>Start again</span>
    </a>
  ) : (
    <Button needs="operate">Start again</Button>
  )
}

export function RunActions({ id, status, onChanged }: Omit<HeadProps, 'seen'>): JSX.Element {
  const { state } = status
  const isOver = isEnded(state)
  const nothing = 'Nothing changed: the run was in another state by then.'
  return (
    <>
      {(state === 'failed' || state === 'cancelled') && (
        <ActButton
          look="primary"
          icon="retry"
          needs="operate"
          run={() => post<Changed>(at`/runs/${id}/retry`)}
          done={({ changed }) => (changed ? 'The run goes on from what failed.' : nothing)}
          onDone={onChanged}
        >
          Retry
        </ActButton>
      )}
      {!isOver && state !== 'paused' && (
        <ActButton
          icon="pause"
          needs="operate"
          run={() => post<Changed>(at`/runs/${id}/pause`)}
          done={({ changed }) => (changed ? 'Paused: what runs finishes, nothing more starts.' : nothing)}
          onDone={onChanged}
        >
          Pause
        </ActButton>
      )}
      {state === 'paused' && (
        <ActButton
          look="primary"
          icon="play"
          needs="operate"
          run={() => post<Changed>(at`/runs/${id}/resume`)}
          done={({ changed }) => (changed ? 'The run goes on.' : nothing)}
          onDone={onChanged}
        >
          Resume
        </ActButton>
      )}
      {!isOver && (
        <ActButton
          look="danger"
          icon="stop"
          needs="operate"
          ask={{
            title: 'Cancel this run?',
            text: (
              <p>Handlers that run are told to stop, and waiting branches are withdrawn. It can be retried later.</p>
            ),
            action: 'Cancel the run',
            isDangerous: true,
          }}
          run={() => post<Changed>(at`/runs/${id}/cancel`, { reason: 'cancelled in the dashboard' })}
          done={({ changed }) => (changed ? 'Cancelled.' : nothing)}
          onDone={onChanged}
        >
          Cancel
        </ActButton>
      )}
      <StartAgain id={id} />
      <ActButton needs="read" title="One file that needs no network" run={() => downloadReport(id)}>
        Report
      </ActButton>
      <ActButton
        look="danger"
        icon="trash"
        needs="admin"
        label="Delete the run"
        title="Delete the run"
        ask={{
          title: 'Delete this run?',
          text: (
            <p>
              {isOver ? '' : 'It is cancelled first. '}All that is kept of it goes: its record, inputs, outputs and
              times. Nobody can undo this.
            </p>
          ),
          action: 'Delete for good',
          isDangerous: true,
        }}
        run={() => remove<unknown>(at`/runs/${id}`)}
        onDone={() => {
          toast({ kind: 'done', text: `Deleted: ${id}` })
          go(href(['runs']))
        }}
      />
    </>
  )
}

/** The report as a file: by fetch, so that the key goes as a header. */
async function downloadReport(id: string): Promise<void> {
  const { html } = await call<{ readonly html: string }>(at`/runs/${id}/report`, { query: { format: 'html' } })
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([html], { type: 'text/html' }))
  link.download = `graflow-${id.replace(/[^\w.-]+/g, '_')}.html`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
