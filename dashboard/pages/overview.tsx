/** Everything at a glance: the last hour, what needs a person, queues, workers, and what failed last. */
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'
import { isOfQueues, isOfRuns, isOfWorkers } from '../changes.js'
import { now } from '../clock.js'
import { age, brief, count, plural } from '../format.js'
import { railCounts } from '../frame/rail.js'
import { Spark } from '../parts/charts.js'
import { Failed, Skeleton, Stale } from '../parts/feedback.js'
import { Icon } from '../parts/icons.js'
import { Box, Page } from '../parts/page.js'
import { type Mark, StateShape } from '../parts/state.js'
import { Time } from '../parts/text.js'
import { href } from '../router.js'
import { me } from '../session.js'
import { useStore } from '../store.js'
import { type Query, useQuery } from '../use-query.js'
import type { DeadLetter, PageOf, Queue, Run, Wait, Worker } from '../wire.js'
import { Failures, Queues, Unseen, valueOf, Waits, Workers } from './overview-boxes.js'
import { isFresh, type Need, needsOf, type Overview } from './overview-data.js'
import { Command, connectionFlags, workerCommand } from './worker-words.js'

/** Waits that a person should do something about. */
const NEEDY = { limit: 200, why: 'signal,worker,task,capability,driver,graph' }

export function OverviewPage(): JSX.Element {
  const who = useStore(me)
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
    isEmbedded: who?.store.kind === 'embedded',
    ...some('overview', valueOf(overview)),
    ...some('queues', valueOf(queues)),
    ...some('workers', valueOf(workers)),
    ...some('waits', valueOf(waits)),
    ...some('dead', valueOf(dead)),
  }
  const isKnown = [waits, dead, workers].every(({ state }) => state.is !== 'loading')
  const broken = [waits, dead, workers, queues, overview].find(({ state }) => state.is === 'failed')
  const all = [queues, overview, workers, waits, dead, failed]
  const stale = (all.find(({ state }) => state.is === 'ready' && state.error !== undefined) ?? queues).state
  const refreshAll = (): void => {
    for (const query of [overview, queues, workers, waits, dead, failed, any]) void query.refresh()
  }
  return (
    <Page title="Overview">
      {broken?.state.is === 'failed' && isKnown && sources.queues === undefined ? (
        <Failed what="The overview" error={broken.state.error} onRetry={refreshAll} />
      ) : (
        <>
          <Stale state={stale} onRetry={refreshAll} />
          <LastHour overview={valueOf(overview)} queues={valueOf(queues)} />
          <div class="overview">
            <div>
              <Needs
                needs={isKnown ? needsOf(sources, Date.now()) : undefined}
                unseen={[waits, dead, workers].find(({ state }) => state.is === 'failed')}
              />
              <Queues query={queues} />
            </div>
            <div>
              <Workers query={workers} />
              <Waits />
              <Failures query={failed} />
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
        title="Started or retried"
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
        value={queues === undefined ? undefined : oldest < 1_000 ? '0 s' : age(oldest)}
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

function Needs({
  needs,
  unseen,
}: {
  readonly needs: readonly Need[] | undefined
  /** One of what they are made of that could not be looked at. */
  readonly unseen: Query<unknown> | undefined
}): JSX.Element {
  return (
    <Box
      title="Needs you"
      isFlush
      {...(needs !== undefined && needs.length > 0 && { note: plural(needs.length, 'thing') })}
    >
      <Unseen what="Some of it" query={unseen} />
      {needs === undefined ? (
        <Skeleton rows={3} height={52} />
      ) : needs.length === 0 && unseen !== undefined ? null : needs.length === 0 ? (
        <p class="calm">
          <StateShape state="completed" /> Nothing. Everything that can go on does.
        </p>
      ) : (
        <ul class="needs">
          {needs.map(({ key, icon, mark, title, question, text, whole = text, since, to }) => (
            <li key={key}>
              <a class={`need is-${mark}`} href={to}>
                <span class="need-icon">
                  <Icon name={icon} />
                </span>
                <span class="need-text">
                  <b class="wrap">{title}</b>
                  {question !== undefined && (
                    <span class="need-question" title={question}>
                      {question}
                    </span>
                  )}
                  <span class="cut soft" title={whole}>
                    {text}
                  </span>
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

/** The first look at an empty store: what to do. */
function Beginning(): JSX.Element {
  const who = useStore(me)
  if (who?.store.kind === 'embedded') return <EmbeddedBeginning />
  const commands: readonly (readonly [text: string, command: string])[] = [
    ['Start a worker with your tasks', workerCommand(who)],
    ['Hand it a run', `npx graflow submit ./tasks.mjs --workflow hello --input 10${connectionFlags(who)}`],
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
              <Command command={command} />
            </li>
          ))}
        </ol>
        <p class="faint small">This page shows it as soon as it is there.</p>
      </div>
    </Page>
  )
}

/** No command reaches the store of another process. */
function EmbeddedBeginning(): JSX.Element {
  return (
    <Page title="Overview">
      <div class="beginning">
        <h2>Nothing runs here yet</h2>
        <p class="soft">
          The engine is in the process of this server: what that process starts with <code>graflow.run</code>,{' '}
          <code>start</code> or <code>submit</code> is shown here. You may{' '}
          <a class="link" href={href(['start'])}>
            start a run
          </a>{' '}
          of the tasks and workflows that it gave to <code>connect</code>, too.
        </p>
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
      workers?.items.filter(
        ({ state, seenAt }) => (state === 'stale' || state === 'dead') && new Date(seenAt).getTime() > hourAgo,
      ).length ?? 0
    const letters = dead?.items.filter(({ at }) => new Date(at).getTime() > hourAgo).length ?? 0
    railCounts.set({
      waits: { count: asked, isLoud: true, of: 'questions to people' },
      workers: { count: lost, isLoud: true, of: 'lost within the hour' },
      'dead-letters': { count: letters, of: 'within the hour' },
    })
  }, [waits, workers, dead, minute])
}
