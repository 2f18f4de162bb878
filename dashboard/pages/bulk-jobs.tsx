/**
 * Commands on all runs that match a filter, which servers do in the background: how far each has come. Those that run are shown to everybody; those that are
 * over to the tab that began or saw them, until it closes the line. A load of the page anew changes nothing of that.
 */
import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { at, post } from '../api.js'
import { count, plural } from '../format.js'
import { ActButton } from '../parts/buttons.js'
import { Bar } from '../parts/charts.js'
import { Icon } from '../parts/icons.js'
import { StateShape } from '../parts/state.js'
import { Time } from '../parts/text.js'
import { base, href } from '../router.js'
import { type Store, store, useStore } from '../store.js'
import { useQuery } from '../use-query.js'
import type { Changed } from '../wire.js'

export const BULK_ACTIONS = ['retry', 'cancel', 'delete'] as const
export type BulkAction = (typeof BULK_ACTIONS)[number]

export const WORDS: Readonly<
  Record<
    BulkAction,
    {
      readonly verb: string
      readonly doing: string
      readonly done: string
      readonly says: string
      readonly none: string
    }
  >
> = {
  retry: {
    verb: 'Retry',
    doing: 'Retrying',
    done: 'retried',
    says: 'Runs that failed go on from what failed; succeeded work is kept. Others are left as they are.',
    none: 'None of these failed or was cancelled: there is nothing to retry',
  },
  cancel: {
    verb: 'Cancel',
    doing: 'Cancelling',
    done: 'cancelled',
    says: 'What they do is stopped. Runs that are over stay as they are.',
    none: 'All of these are over: there is nothing to cancel',
  },
  delete: {
    verb: 'Delete',
    doing: 'Deleting',
    done: 'deleted',
    says: 'Their records, inputs and results are deleted for good. Runs that are not over are cancelled first.',
    none: 'None is there any more',
  },
}

/** What `GET /api/v1/bulk-jobs` answers of each. */
export interface BulkJob {
  readonly id: string
  readonly action: BulkAction
  readonly filter: Readonly<Record<string, unknown>>
  readonly status: 'running' | 'done' | 'failed' | 'stopped'
  readonly done: number
  readonly matched: number
  readonly failed: number
  readonly createdAt: string
  readonly endedAt?: string
  readonly error?: string
}

/** By job: how many runs it is about, where that is known. */
type Watched = Readonly<Record<string, number | null>>
const NAME = `graflow-bulk ${base}`

function kept(): Watched {
  try {
    return JSON.parse(sessionStorage.getItem(NAME) ?? '{}') as Watched
  } catch {
    return {}
  }
}

const watched: Store<Watched> = store(kept())
/** The newest state of one that was begun here, until the list has it. */
const begun: Store<readonly BulkJob[]> = store<readonly BulkJob[]>([])

function watch(next: Watched): void {
  watched.set(next)
  try {
    sessionStorage.setItem(NAME, JSON.stringify(next))
  } catch {
    // until the page is left
  }
}

/** Shows one until it is closed. @param total how many runs it is about */
export function watchJob(job: BulkJob, total: number | undefined): void {
  begun.set([job, ...begun.get()])
  watch({ ...watched.get(), [job.id]: total ?? null })
}

function unwatch(id: string): void {
  const { [id]: _, ...rest } = watched.get()
  watch(rest)
}

const RUNNING_MS = 1_000
const QUIET_MS = 10_000

/** @param onChange called while jobs change runs */
export function BulkJobs({ onChange }: { readonly onChange: () => void }): JSX.Element | null {
  const mine = useStore(watched)
  const news = useStore(begun)
  const [isBusy, setBusy] = useState(news.some(({ status }) => status === 'running'))
  const { state, refresh } = useQuery<{ readonly items: readonly BulkJob[] }>('/bulk-jobs', {
    everyMs: isBusy ? RUNNING_MS : QUIET_MS,
  })
  const listed = state.is === 'ready' ? state.value.items : []
  const jobs = [...news.filter(({ id }) => !listed.some((job) => job.id === id)), ...listed]
  const running = jobs.filter(({ status }) => status === 'running')
  useEffect(() => setBusy(running.length > 0), [running.length])
  useEffect(() => {
    const unknown = running.filter(({ id }) => !(id in mine))
    if (unknown.length > 0) watch({ ...Object.fromEntries(unknown.map(({ id }) => [id, null])), ...mine })
  }, [running.map(({ id }) => id).join()])
  const ended = jobs.filter(({ id, status }) => id in mine && status !== 'running').length
  useEffect(() => {
    if (ended > 0) onChange()
  }, [ended])
  const shown = jobs.filter(({ id }) => id in mine)
  if (shown.length === 0) return null
  return (
    <ul class="jobs" aria-label="Commands on many runs">
      {shown.map((job) => (
        <Line key={job.id} job={job} total={mine[job.id] ?? undefined} onDone={() => void refresh()} />
      ))}
    </ul>
  )
}

const filterText = (filter: BulkJob['filter']): string =>
  Object.entries(filter)
    .filter(([name]) => name !== 'until')
    .map(
      ([name, value]) =>
        `${name} ${Array.isArray(value) ? value.join(' or ') : name === 'since' ? sinceText(value) : String(value)}`,
    )
    .join(', ')
const sinceText = (value: unknown): string =>
  typeof value === 'number' || typeof value === 'string' ? new Date(value).toLocaleString() : ''

/** Runs that it did not do: the filter finds them still. */
const restHref = ({ filter }: BulkJob): string =>
  href(
    ['runs'],
    Object.fromEntries(
      Object.entries(filter).map(([name, value]) => [
        name,
        Array.isArray(value)
          ? value.join(',')
          : typeof value === 'number'
            ? new Date(value).toISOString()
            : String(value),
      ]),
    ),
  )

const ENDS = { running: 'running', done: 'completed', failed: 'failed', stopped: 'stopped' } as const

function Line({
  job,
  total,
  onDone,
}: {
  readonly job: BulkJob
  readonly total: number | undefined
  readonly onDone: () => void
}): JSX.Element {
  const { id, action, status, done, matched, failed, error } = job
  const words = WORDS[action]
  const isRunning = status === 'running'
  const about = filterText(job.filter)
  return (
    <li class="job">
      <StateShape state={ENDS[status]} label={status} />
      <span class="job-text" role="status">
        <b>
          {isRunning ? `${words.doing} all that match` : `${plural(done, 'run')} ${words.done}`}
          {status === 'stopped' ? ', then stopped' : ''}
        </b>
        {about !== '' && <span class="soft"> ({about})</span>}
        {isRunning && (
          <span class="num">
            {' '}
            {count(matched)}
            {total === undefined ? ' so far' : ` of ${count(Math.max(total, matched))}`}
          </span>
        )}
        {matched - done - failed > 0 && !isRunning && (
          <span class="soft">, {count(matched - done - failed)} left as they are</span>
        )}
        {failed > 0 && (
          <span class="wrong">
            {', '}
            {plural(failed, 'run')} met an error and {failed === 1 ? 'is as it was' : 'are as they were'}{' '}
            <a class="link" href={restHref(job)}>
              Show what matches still
            </a>
          </span>
        )}
        {error !== undefined && <span class="wrong">: {error}</span>}
      </span>
      {isRunning && total !== undefined && (
        <Bar
          label={words.doing}
          of={Math.max(total, matched)}
          parts={[
            { mark: 'succeeded', value: matched - failed, word: words.done },
            { mark: 'failed', value: failed, word: 'met an error' },
          ]}
        />
      )}
      <span class="small faint">
        <Time of={job.endedAt ?? job.createdAt} form="age" />
      </span>
      {isRunning ? (
        <ActButton
          look="quiet"
          needs="operate"
          run={() => post<Changed>(`${at`/bulk-jobs/${id}`}/stop`)}
          done={({ changed }) => (changed ? 'It stops; what was done stays done' : 'It was over already')}
          onDone={onDone}
        >
          Stop
        </ActButton>
      ) : (
        <button type="button" class="icon-button" aria-label="Close" onClick={() => unwatch(id)}>
          <Icon name="close" size={14} />
        </button>
      )}
    </li>
  )
}
