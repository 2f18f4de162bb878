/** Everything at a glance: the last hour, what needs a person, queues, workers, and what failed last. */
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import { isOfQueues, isOfRuns, isOfWorkers } from '../changes.js'
import { now } from '../clock.js'
import { age, brief, count, plural } from '../format.js'
import { railCounts } from '../frame/rail.js'
import { Bar, Counted, Spark } from '../parts/charts.js'
import { Failed, Skeleton, Stale } from '../parts/feedback.js'
import { Icon } from '../parts/icons.js'
import { Box, Page } from '../parts/page.js'
import { type Mark, State, StateShape } from '../parts/state.js'
import { Copy, Time } from '../parts/text.js'
import { href, runHref } from '../router.js'
import { me } from '../session.js'
import { useStore } from '../store.js'
import { type Query, useQuery } from '../use-query.js'
import type { DeadLetter, PageOf, Queue, Run, Wait, Worker } from '../wire.js'
import { useWaitReasons } from './wait-reasons.js'
import { whyWord } from './wait-words.js'
import { isFresh, type Need, needsOf, type Overview } from './overview-data.js'

/** Waits that a person should do something about. */
const NEEDY = { limit: 200, why: 'signal,worker,task,capability,driver,graph' }

const valueOf = <T,>({ state }: Query<T>): T | undefined => (state.is === 'ready' ? state.value : undefined)

export function OverviewPage(): JSX.Element {
  const overview = useQuery<Overview>('/overview', { on: isOfRuns, everyMs: 5_000 })
  const queues = useQuery<PageOf<Queue>>('/queues', { query: { limit: 200 }, on: isOfQueues, everyMs: 3_000 })
  const workers = useQuery<PageOf<Worker>>('/cluster/workers', {
    query: { limit: 200 },
    on: isOfWorkers,
    everyMs: 3_000,
  })
  const waits = useQuery<PageOf<Wait>>('/waits', { query: NEEDY, on: isOfRuns, everyMs: 10_000 })
  const dead = useQuery<PageOf<DeadLetter>>('/dead-letters', { query: { limit: 50 }, on: isOfRuns, everyMs: 10_000 })
  const failed = useQuery<PageOf<Run>>('/runs', { query: { state: 'failed', limit: 8 }, on: isOfRuns })
  const any = useQuery<PageOf<Run>>('/runs', { query: { limit: 1 }, on: isOfRuns, everyMs: 10_000 })

  if (isFresh(valueOf(any), valueOf(workers)) && (valueOf(queues)?.items.length ?? 0) === 0) return <Beginning />
  const sources = {
    ...some('overview', valueOf(overview)),
    ...some('queues', valueOf(queues)),
    ...some('workers', valueOf(workers)),
    ...some('waits', valueOf(waits)),
    ...some('dead', valueOf(dead)),
  }
  const isKnown = [waits, dead, workers].every(({ state }) => state.is !== 'loading')
  const broken = [waits, dead, workers, queues, overview].find(({ state }) => state.is === 'failed')
  const refreshAll = (): void => {
    for (const query of [overview, queues, workers, waits, dead, failed, any]) void query.refresh()
  }
  return (
    <Page title="Overview">
      {broken?.state.is === 'failed' && isKnown && sources.queues === undefined ? (
        <Failed what="The overview" error={broken.state.error} onRetry={refreshAll} />
      ) : (
        <>
          <Stale state={queues.state} onRetry={refreshAll} />
          <LastHour overview={valueOf(overview)} queues={valueOf(queues)} />
          <div class="overview">
            <div>
              <Needs needs={isKnown ? needsOf(sources, Date.now()) : undefined} />
              <Queues queues={valueOf(queues)} />
            </div>
            <div>
              <Workers workers={valueOf(workers)} />
              <Waits />
              <Failures runs={valueOf(failed)} />
            </div>
          </div>
        </>
      )}
    </Page>
  )
}

const some = <K extends string, T>(key: K, value: T | undefined): { readonly [P in K]?: T } =>
  (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: T }

const sum = (values: readonly (number | null)[]): number =>
  values.reduce<number>((total, value) => total + (value ?? 0), 0)
const known = (values: readonly (number | null)[] | undefined): readonly (number | undefined)[] =>
  (values ?? []).map((value) => value ?? undefined)

function LastHour({
  overview,
  queues,
}: {
  readonly overview: Overview | undefined
  readonly queues: PageOf<Queue> | undefined
}): JSX.Element {
  const { started = [], completed = [], failed = [], cancelled = [], oldestMs = [] } = overview?.minutes ?? {}
  const finished = completed.map((value, i) => (value === null ? null : value + (failed[i] ?? 0) + (cancelled[i] ?? 0)))
  const oldest = Math.max(0, ...(queues?.items ?? []).map(({ oldestMs = 0 }) => oldestMs))
  const isLoading = overview === undefined
  return (
    <div class="tiles">
      <Tile
        title="Started"
        value={isLoading ? undefined : brief(sum(started))}
        note="in the last hour"
        values={known(started)}
        mark="running"
        unit="started"
      />
      <Tile
        title="Finished"
        value={isLoading ? undefined : brief(sum(finished))}
        note="in the last hour"
        values={known(finished)}
        mark="succeeded"
        unit="finished"
      />
      <Tile
        title="Failed"
        value={isLoading ? undefined : brief(sum(failed))}
        note={isLoading || sum(finished) === 0 ? 'in the last hour' : `${percent(sum(failed), sum(finished))} of these`}
        values={known(failed)}
        mark="failed"
        unit="failed"
        isLoud={sum(failed) > 0}
      />
      <Tile
        title="Oldest waiting"
        value={queues === undefined ? undefined : oldest === 0 ? '0 s' : age(oldest)}
        note="for a worker, now"
        values={known(oldestMs).map((ms) => (ms === undefined ? undefined : ms / 1_000))}
        mark="waiting"
        unit="seconds the oldest waited"
      />
    </div>
  )
}

const percent = (part: number, whole: number): string => {
  const share = (part / whole) * 100
  return `${share > 0 && share < 1 ? '< 1' : Math.round(share)} %`
}

interface TileProps {
  readonly title: string
  readonly value: string | undefined
  readonly note: string
  readonly values: readonly (number | undefined)[]
  readonly mark: Mark
  readonly unit: string
  readonly isLoud?: boolean
}

function Tile({ title, value, note, values, mark, unit, isLoud = false }: TileProps): JSX.Element {
  const seen = values.filter((one) => one !== undefined)
  const said =
    seen.length === 0
      ? `${title}: nothing known yet`
      : `${title} by the minute, ${plural(seen.length, 'minute')}; at most ${count(Math.max(...seen))} ${unit}, now ${count(seen.at(-1) ?? 0)}`
  return (
    <section class="tile" aria-label={title}>
      <h2>{title}</h2>
      <p>
        <b class={isLoud ? 'is-loud' : ''}>{value ?? '–'}</b>
        <span>{note}</span>
      </p>
      <Spark values={values} label={said} mark={mark} />
    </section>
  )
}

function Needs({ needs }: { readonly needs: readonly Need[] | undefined }): JSX.Element {
  return (
    <Box
      title="Needs you"
      isFlush
      {...(needs !== undefined && needs.length > 0 && { note: plural(needs.length, 'thing') })}
    >
      {needs === undefined ? (
        <Skeleton rows={3} height={52} />
      ) : needs.length === 0 ? (
        <p class="calm">
          <StateShape state="completed" /> Nothing. Everything that can go on does.
        </p>
      ) : (
        <ul class="needs">
          {needs.map(({ key, icon, mark, title, text, since, to }) => (
            <li key={key}>
              <a class={`need is-${mark}`} href={to}>
                <span class="need-icon">
                  <Icon name={icon} />
                </span>
                <span class="need-text">
                  <b class="wrap">{title}</b>
                  <span class="cut soft">{text}</span>
                </span>
                {since !== undefined && (
                  <span class="small faint">
                    <Time of={since} form="age" />
                  </span>
                )}
                <Icon name="right" size={14} />
              </a>
            </li>
          ))}
        </ul>
      )}
    </Box>
  )
}

const MOST_SLOTS = 24
const MOST_WORKERS = 12

function Workers({ workers }: { readonly workers: PageOf<Worker> | undefined }): JSX.Element {
  const live = workers?.items.filter(({ state }) => state !== 'stale' && state !== 'dead') ?? []
  const busy = live.reduce((total, { inFlight }) => total + inFlight, 0)
  return (
    <Box
      title="Workers"
      note={
        workers === undefined
          ? undefined
          : `${plural(live.length, 'live worker')}, ${plural(busy, 'branch', 'branches')} in hand`
      }
    >
      {workers === undefined ? (
        <Skeleton rows={3} />
      ) : live.length === 0 ? (
        <p class="soft">
          None is there. Start one: <code>npx graflow-worker --tasks ./tasks.js</code>
        </p>
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
                aria-label={`${plural(worker.inFlight, 'branch', 'branches')} in hand`}
                title={`${plural(worker.inFlight, 'branch', 'branches')} in hand`}
              >
                {Array.from({ length: Math.min(worker.inFlight, MOST_SLOTS) }, (_, i) => (
                  <i key={i} />
                ))}
              </span>
              <span class="num soft small">{count(worker.inFlight)}</span>
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

function Queues({ queues }: { readonly queues: PageOf<Queue> | undefined }): JSX.Element {
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
      {queues === undefined ? (
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
function Waits(): JSX.Element {
  const { counts, isMore } = useWaitReasons()
  return (
    <Box
      title="What waits, and why"
      note={
        <a class="link" href={href(['waits'])}>
          All waits
        </a>
      }
    >
      {counts === undefined ? (
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

function Failures({ runs }: { readonly runs: PageOf<Run> | undefined }): JSX.Element {
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
      {runs === undefined ? (
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
                  <span class="cut soft small">{run.error?.message.split('\n', 1)[0] ?? ''}</span>
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

/** The first look at an empty store: what to do. */
function Beginning(): JSX.Element {
  const who = useStore(me)
  const connection =
    who?.store.address === undefined
      ? ''
      : ` \\\n  --redis-url ${who.store.address} --redis-key-prefix ${who.keyPrefix}`
  const commands: readonly (readonly [text: string, command: string])[] = [
    ['Start a worker with your tasks', `npx graflow-worker --tasks ./tasks.mjs${connection}`],
    ['Hand it a run', `npx graflow submit ./tasks.mjs --workflow hello --input 10${connection}`],
  ]
  return (
    <Page title="Overview">
      <div class="beginning">
        <h2>Nothing runs here yet</h2>
        <p class="soft">
          Two commands start something. <code>npx graflow init</code> writes a first <code>tasks.mjs</code> where you
          have none.
        </p>
        <ol>
          {commands.map(([text, command]) => (
            <li key={command}>
              <span>{text}</span>
              <div class="command">
                <code>{command}</code>
                <Copy text={command} what="the command" />
              </div>
            </li>
          ))}
        </ol>
        <p class="faint small">This page shows it as soon as it is there.</p>
      </div>
    </Page>
  )
}

const RAIL_MS = 15_000

/** Counts beside the pages in the rail, whichever page is in view. */
export function useRailCounts(): void {
  const waits = valueOf(useQuery<PageOf<Wait>>('/waits', { query: NEEDY, everyMs: RAIL_MS }))
  const workers = valueOf(useQuery<PageOf<Worker>>('/cluster/workers', { query: { limit: 200 }, everyMs: RAIL_MS }))
  const dead = valueOf(useQuery<PageOf<DeadLetter>>('/dead-letters', { query: { limit: 50 }, everyMs: RAIL_MS }))
  const minute = Math.floor(useStore(now) / 60_000)
  useEffect(() => {
    const hourAgo = Date.now() - 3_600_000
    const asked = waits?.items.filter(({ prompt }) => prompt !== undefined).length ?? 0
    const lost =
      workers?.items.filter(({ state, seenAt }) => state === 'stale' && new Date(seenAt).getTime() > hourAgo).length ??
      0
    const letters = dead?.items.filter(({ at }) => new Date(at).getTime() > hourAgo).length ?? 0
    railCounts.set({
      waits: { count: asked, isLoud: true, of: 'questions to people' },
      workers: { count: lost, isLoud: true, of: 'lost within the hour' },
      'dead-letters': { count: letters, of: 'within the hour' },
    })
  }, [waits, workers, dead, minute])
}
