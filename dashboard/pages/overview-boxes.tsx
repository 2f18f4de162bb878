/** Boxes of the overview: queues as bars, workers as slots, what waits and why, and what failed last. */
import type { JSX } from 'preact'
import { reasonIn } from '../../lib/report/reason.js'
import { brief, count, plural } from '../format.js'
import { Bar, Counted } from '../parts/charts.js'
import { Failed, Skeleton } from '../parts/feedback.js'
import { Box } from '../parts/page.js'
import { State, StateShape } from '../parts/state.js'
import { Time } from '../parts/text.js'
import { href, runHref } from '../router.js'
import { me } from '../session.js'
import { useStore } from '../store.js'
import type { Query } from '../use-query.js'
import type { PageOf, Queue, Run, Worker } from '../wire.js'
import { useWaitReasons } from './wait-reasons.js'
import { whyWord } from './wait-words.js'
import { heldBy, heldText, isLive, StartWorker } from './worker-words.js'

/** What a query gave; undefined where it has not. */
export const valueOf = <T,>({ state }: Query<T>): T | undefined => (state.is === 'ready' ? state.value : undefined)

/** A source that could not be looked at; nothing where all could. */
export function Unseen({
  what,
  query,
}: {
  readonly what: string
  readonly query: Query<unknown> | undefined
}): JSX.Element | null {
  if (query?.state.is !== 'failed' && query?.state.is !== 'gone') return null
  return <Failed what={what} error={query.state.error} onRetry={() => void query.refresh()} />
}
const isUnseen = ({ state }: Query<unknown>): boolean => state.is === 'failed' || state.is === 'gone'

const MOST_SLOTS = 24
const MOST_WORKERS = 12

export function Workers({ query }: { readonly query: Query<PageOf<Worker>> }): JSX.Element {
  const who = useStore(me)
  const workers = valueOf(query)
  const live = workers?.items.filter(isLive) ?? []
  return (
    <Box
      title="Workers"
      note={
        workers === undefined
          ? undefined
          : live.length === 0
            ? who?.store.kind === 'embedded'
              ? undefined
              : 'none is there'
            : `${plural(live.length, 'live worker')}, ${heldText(heldBy(live))} in hand`
      }
    >
      {isUnseen(query) ? (
        <Unseen what="Workers" query={query} />
      ) : workers === undefined ? (
        <Skeleton rows={3} />
      ) : live.length === 0 ? (
        <StartWorker />
      ) : (
        <ul class="strip">
          {live.slice(0, MOST_WORKERS).map((worker) => (
            <li key={worker.session}>
              <a class="cut" href={href(['workers'], { id: worker.id })} title={`${worker.id}: ${worker.state}`}>
                <StateShape state={worker.state} label={worker.state} /> {worker.id}
              </a>
              <span
                class="slots"
                role="img"
                aria-label={`${heldText(worker)} in hand`}
                title={`${heldText(worker)} in hand`}
              >
                {Array.from({ length: Math.min(worker.inFlight + worker.drives, MOST_SLOTS) }, (_, i) => (
                  <i key={i} class={i < worker.drives ? 'is-run' : ''} />
                ))}
              </span>
              <span class="num soft small">
                {worker.inFlight === 0 && worker.drives > 0 ? plural(worker.drives, 'run') : count(worker.inFlight)}
              </span>
            </li>
          ))}
          {live.length > MOST_WORKERS && (
            <li>
              <a class="link" href={href(['workers'])}>
                {live.length - MOST_WORKERS} more
              </a>
            </li>
          )}
        </ul>
      )}
    </Box>
  )
}

const MOST_QUEUES = 10

export function Queues({ query }: { readonly query: Query<PageOf<Queue>> }): JSX.Element {
  const queues = valueOf(query)
  const size = ({ ready, running, delayed }: Queue): number => ready + running + delayed
  const items = [...(queues?.items ?? [])].sort((a, b) => size(b) - size(a))
  const most = Math.max(1, ...items.map(size))
  return (
    <Box
      title="Queues"
      note={
        <span class="legend">
          <State state="running" /> <State state="ready" /> <State state="retrying" word="delayed" />
        </span>
      }
    >
      {isUnseen(query) ? (
        <Unseen what="Queues" query={query} />
      ) : queues === undefined ? (
        <Skeleton rows={3} />
      ) : items.length === 0 ? (
        <p class="soft">Nothing was ever put into one.</p>
      ) : (
        <ul class="queue-bars">
          {items.slice(0, MOST_QUEUES).map((queue) => (
            <li key={queue.name}>
              <a class="cut" href={href(['queues'], { name: queue.name })}>
                {queue.isPaused && <StateShape state="paused" label="paused" />} {queue.name}
              </a>
              <Bar
                label={queue.name}
                of={most}
                parts={[
                  { mark: 'running', value: queue.running, word: 'running' },
                  { mark: 'waiting', value: queue.ready, word: 'ready' },
                  { mark: 'retrying', value: queue.delayed, word: 'delayed' },
                ]}
              />
              <span class="queue-counts small">
                {size(queue) === 0 ? (
                  <span class="faint">empty</span>
                ) : (
                  <>
                    <Counted mark="running" value={queue.running} word="running" />
                    <Counted mark="waiting" value={queue.ready} word="ready" />
                    <Counted mark="retrying" value={queue.delayed} word="delayed" />
                  </>
                )}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Box>
  )
}

/** What stands still, by the reason. */
export function Waits(): JSX.Element {
  const { counts, isMore, query } = useWaitReasons()
  return (
    <Box
      title="What waits, and why"
      note={
        <a class="link" href={href(['waits'])}>
          All waits
        </a>
      }
    >
      {isUnseen(query) ? (
        <Unseen what="Waits" query={query} />
      ) : counts === undefined ? (
        <Skeleton rows={1} />
      ) : counts.length === 0 ? (
        <p class="soft">Nothing waits.</p>
      ) : (
        <ul class="reasons">
          {counts.map(([why, many]) => (
            <li key={why}>
              <a href={href(['waits'], { why })}>
                {whyWord(why)}{' '}
                <b class="num">
                  {brief(many)}
                  {isMore ? '+' : ''}
                </b>
              </a>
            </li>
          ))}
        </ul>
      )}
    </Box>
  )
}

export function Failures({ query }: { readonly query: Query<PageOf<Run>> }): JSX.Element {
  const runs = valueOf(query)
  return (
    <Box
      title="Failed last"
      isFlush
      note={
        <a class="link" href={href(['runs'], { state: 'failed' })}>
          All that failed
        </a>
      }
    >
      {isUnseen(query) ? (
        <Unseen what="Failures" query={query} />
      ) : runs === undefined ? (
        <Skeleton rows={4} height={44} />
      ) : runs.items.length === 0 ? (
        <p class="calm">
          <StateShape state="completed" /> No run that is kept has failed.
        </p>
      ) : (
        <ul class="failures">
          {runs.items.map((run) => (
            <li key={run.id}>
              <a href={runHref(run.id)}>
                <StateShape state="failed" label="failed" />
                <span class="need-text">
                  <b class="cut">{run.workflow ?? run.id}</b>
                  <span class="cut soft small">{reasonIn(run.error?.message ?? '')}</span>
                </span>
                <span class="small faint">
                  <Time of={run.endedAt ?? run.createdAt} form="age" />
                </span>
              </a>
            </li>
          ))}
        </ul>
      )}
    </Box>
  )
}
