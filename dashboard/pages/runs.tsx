/** All runs: filters in the address, rows that change in place, commands on one, some or all that match. */
import type { JSX } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { reasonIn } from '../../lib/report/reason.js'
import { count, doneOf, plural } from '../format.js'
import { Button } from '../parts/buttons.js'
import { Progress } from '../parts/charts.js'
import { Empty, Failed, Skeleton, Stale } from '../parts/feedback.js'
import { Filter, FilterChip } from '../parts/filter.js'
import { Page } from '../parts/page.js'
import { State, StateShape } from '../parts/state.js'
import { type Column, Table } from '../parts/table.js'
import { Id, Time, Took } from '../parts/text.js'
import { href, runHref, setQuery, useRoute } from '../router.js'
import { useQuery } from '../use-query.js'
import type { PageOf, Run, Wait } from '../wire.js'
import { BulkBar } from './bulk.js'
import { BulkJobs } from './bulk-jobs.js'
import { type RunFeed, type RunQuery, useRunFeed } from './run-feed.js'
import { WHY, waitWords } from './wait-words.js'

const RUN_STATES = ['pending', 'running', 'waiting', 'paused', 'completed', 'failed', 'cancelled', 'abandoned'] as const
const UNFINISHED: ReadonlySet<string> = new Set(['pending', 'running', 'waiting', 'paused', 'abandoned'])
const AGES: readonly (readonly [value: string, text: string])[] = [
  ['', 'Any time'],
  ['15m', 'Last 15 minutes'],
  ['1h', 'Last hour'],
  ['24h', 'Last day'],
  ['7d', 'Last 7 days'],
]
const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `1h` → when that was; what is a date stays one. */
function sinceOf(text: string | null): string | undefined {
  const [, number, unit = ''] = /^(\d+)([smhd])$/.exec(text ?? '') ?? []
  if (number === undefined) return text ?? undefined
  return new Date(Date.now() - Number(number) * (UNIT_MS[unit] ?? 0)).toISOString()
}

/** What the server is asked with. */
function askedWith(query: URLSearchParams): RunQuery {
  const text = (name: string): string | undefined => query.get(name) ?? undefined
  return {
    state: text('state'),
    workflow: text('workflow'),
    tag: text('tag'),
    build: text('build'),
    error: text('error'),
    message: text('message'),
    why: text('why'),
    since: sinceOf(query.get('since')),
    until: text('until'),
  }
}

/** Why runs stand still, by their ids; asked for only while some do. @param why only for this reason; '' for any */
function useWaits(rows: readonly Run[], why: string): ReadonlyMap<string, Wait> {
  const isAsked = rows.some(({ state }) => UNFINISHED.has(state))
  const { state } = useQuery<PageOf<Wait>>(isAsked ? '/waits' : undefined, {
    query: { limit: 200, why },
    everyMs: 5_000,
  })
  const items = state.is === 'ready' ? state.value.items : undefined
  return useMemo(() => {
    const found = new Map<string, Wait>()
    for (const wait of items ?? []) if (!found.has(wait.runId)) found.set(wait.runId, wait)
    return found
  }, [items])
}

function What({ run, wait }: { readonly run: Run; readonly wait: Wait | undefined }): JSX.Element | null {
  if (run.error !== undefined) {
    return (
      <span class="cut" title={run.error.message}>
        {reasonIn(run.error.message)}
      </span>
    )
  }
  if (wait === undefined || !UNFINISHED.has(run.state)) return null
  const words = waitWords(wait)
  return (
    <span class="cut soft" title={words}>
      {words}
    </span>
  )
}

const tookOf = (run: Run): JSX.Element => <Took from={run.startedAt} to={run.endedAt} />

function columnsOf(waits: ReadonlyMap<string, Wait>): readonly Column<Run>[] {
  return [
    { key: 'state', title: 'State', track: '104px', min: 104, cell: (run) => <State state={run.state} /> },
    {
      key: 'workflow',
      title: 'Workflow',
      track: 'minmax(110px, 1.2fr)',
      min: 110,
      cell: (run) => (
        <a class="cut strong" href={runHref(run.id)} title={run.workflow ?? run.id}>
          {run.workflow ?? 'flow'}
        </a>
      ),
    },
    { key: 'id', title: 'Id', track: 'minmax(152px, 0.7fr)', min: 152, cell: (run) => <Id id={run.id} most={16} /> },
    {
      key: 'tags',
      title: 'Tags',
      track: 'minmax(120px, 1.1fr)',
      min: 120,
      rank: 4,
      cell: (run) => (
        <span class="tags">
          {run.tags.map((tag) => (
            <a key={tag} class="tag" href={href(['runs'], { tag })} title={`Runs with the tag ${tag}`}>
              {tag}
            </a>
          ))}
        </span>
      ),
    },
    {
      key: 'progress',
      title: 'Progress',
      track: '128px',
      min: 128,
      rank: 2,
      cell: (run) =>
        run.total === undefined || run.total === 0 ? null : (
          <Progress done={run.done ?? 0} failed={run.failed ?? 0} total={run.total} />
        ),
    },
    {
      key: 'what',
      title: 'Error, or what it waits for',
      track: 'minmax(150px, 1.9fr)',
      min: 150,
      rank: 3,
      cell: (run) => <What run={run} wait={waits.get(run.id)} />,
    },
    { key: 'took', title: 'Took', track: '84px', min: 84, rank: 1, isEnd: true, cell: tookOf },
    {
      key: 'age',
      title: 'Age',
      track: '56px',
      min: 56,
      isEnd: true,
      cell: (run) => <Time of={run.createdAt} form="age" />,
    },
  ]
}

function Filters({ query }: { readonly query: URLSearchParams }): JSX.Element {
  const states = new Set((query.get('state') ?? '').split(',').filter((state) => state !== ''))
  const workflows = useQuery<PageOf<{ readonly name: string }>>('/workflows', {
    query: { limit: 200 },
    everyMs: 60_000,
  })
  const toggle = (state: string): void => {
    const next = new Set(states)
    if (!next.delete(state)) next.add(state)
    setQuery({ state: RUN_STATES.filter((one) => next.has(one)).join(',') })
  }
  return (
    <>
      <div class="toggles" role="group" aria-label="States">
        {RUN_STATES.map((state) => (
          <button
            key={state}
            type="button"
            class="toggle"
            aria-pressed={states.has(state)}
            onClick={() => toggle(state)}
          >
            <StateShape state={state} />
            {state}
          </button>
        ))}
      </div>
      <div class="filters">
        <Filter
          name="workflow"
          placeholder="Workflow"
          value={query.get('workflow') ?? ''}
          list={workflows.state.is === 'ready' ? workflows.state.value.items.map(({ name }) => name) : []}
        />
        <Filter name="tag" placeholder="Tag" value={query.get('tag') ?? ''} />
        <Filter
          name="error"
          placeholder="Error: code or words"
          value={query.get('error') ?? query.get('message') ?? ''}
          onApply={(next) =>
            setQuery({ error: undefined, message: undefined, [isCode(next) ? 'error' : 'message']: next })
          }
        />
        <select
          class="select"
          aria-label="Created"
          value={query.get('since') ?? ''}
          onChange={(event) => setQuery({ since: event.currentTarget.value })}
        >
          {[
            ...AGES,
            ...(AGES.some(([value]) => value === (query.get('since') ?? ''))
              ? []
              : [[query.get('since') ?? '', `Since ${query.get('since')}`] as const]),
          ].map(([value, text]) => (
            <option key={value} value={value}>
              {text}
            </option>
          ))}
        </select>
        <select
          class="select"
          aria-label="Waits for"
          value={query.get('why') ?? ''}
          onChange={(event) => setQuery({ why: event.currentTarget.value })}
        >
          <option value="">Waiting or not</option>
          {(Object.keys(WHY) as (keyof typeof WHY)[]).map((why) => (
            <option key={why} value={why}>
              Waits: {WHY[why]}
            </option>
          ))}
        </select>
        {query.get('build') !== null && <FilterChip name="build" text={query.get('build') ?? ''} />}
        {query.get('until') !== null && <FilterChip name="until" text={timeText(query.get('until') ?? '')} />}
        {[...query.keys()].length > 0 && (
          <a class="button is-quiet" href={href(['runs'])}>
            Clear
          </a>
        )}
      </div>
    </>
  )
}

/** What errors are called by, such as TASK_FAILED or TypeError; else it is words of a message. */
const isCode = (text: string): boolean =>
  /^[A-Z][A-Z0-9]*_[A-Z0-9_]+$|^[A-Z]\w*(?:Error|Exception)$|^TIMEOUT$/.test(text)

const timeText = (text: string): string => {
  const at = new Date(/^\d+$/.test(text) ? Number(text) : text)
  return Number.isNaN(at.getTime()) ? text : at.toLocaleString()
}

/** Pages that are asked for without a wish where a filter finds few: the server looks at about a thousand runs for each. */
const MOST_ALONE = 10
const FEW = 50

export function RunsPage(): JSX.Element {
  const { query } = useRoute()
  const text = query.toString()
  const asked = useMemo(() => askedWith(query), [text])
  const feed = useRunFeed(asked)
  const [selected, select] = useState<ReadonlySet<string>>(new Set())
  useEffect(() => select(new Set()), [text])
  const { rows, gone } = feed
  const waits = useWaits(rows, query.get('why') ?? '')
  const isSifted = ['why', 'error', 'message'].some((name) => (query.get(name) ?? '') !== '')
  const isLookingOn = isSifted && rows.length < FEW && feed.next !== undefined && feed.error === undefined
  const isFar = feed.pages.length > MOST_ALONE
  useEffect(() => {
    if (isLookingOn && !isFar && !feed.isLoadingMore) feed.loadMore()
  }, [isLookingOn, isFar, feed.isLoadingMore, feed.next])
  const columns = useMemo(() => columnsOf(waits), [waits])
  return (
    <Page title="Runs" tools={<Filters query={query} />}>
      {feed.is === 'ready' && feed.error !== undefined && feed.at !== undefined && (
        <Stale state={{ is: 'ready', value: undefined, at: feed.at, error: feed.error }} onRetry={feed.reload} />
      )}
      {feed.fresh > 0 && (
        <button
          type="button"
          class="fresh"
          onClick={() => {
            document.getElementById('main')?.scrollTo(0, 0)
            feed.reload()
          }}
        >
          {feed.isFreshMore ? `${count(feed.fresh)} and more` : count(feed.fresh)} new
        </button>
      )}
      <BulkJobs onChange={feed.reload} />
      <BulkBar
        selected={selected}
        rows={rows}
        filter={asked}
        isAllPossible={feed.next !== undefined}
        onSelect={select}
        onDone={feed.reload}
      />
      {feed.is === 'loading' ? (
        <Skeleton rows={12} />
      ) : feed.is === 'failed' && feed.error !== undefined ? (
        <Failed what="Runs" error={feed.error} onRetry={feed.reload} />
      ) : rows.length === 0 && feed.next === undefined ? (
        <NoRuns isFiltered={text !== ''} />
      ) : (
        <Table
          label="Runs"
          columns={columns}
          rows={rows}
          keyOf={({ id }) => id}
          nameOf={(run) => `run ${run.id}`}
          lookOf={({ id }) => (gone.has(id) ? 'is-gone' : '')}
          card={(run) => <RunCard run={run} wait={waits.get(run.id)} />}
          cardHeight={108}
          selection={{ keys: selected, set: select }}
          onEnd={feed.loadMore}
          onView={feed.inView}
          version={waits}
          foot={<Foot feed={feed} isLookingOn={isLookingOn && !isFar} />}
        />
      )}
    </Page>
  )
}

/** How far the list goes; with few that match, how to look on. */
function Foot({ feed, isLookingOn }: { readonly feed: RunFeed; readonly isLookingOn: boolean }): JSX.Element {
  const { rows, next, isLoadingMore, loadMore, gone } = feed
  const many = `${plural(rows.length, 'run')}${gone.size === 0 ? '' : `, ${count(gone.size)} of them deleted meanwhile`}`
  if (isLoadingMore || isLookingOn)
    return (
      <div class="table-foot" role="status">
        {rows.length === 0 ? 'Looking for runs that match …' : 'Loading more …'}
      </div>
    )
  return (
    <div class="table-foot">
      {next === undefined
        ? `${many}, that is all`
        : rows.length < FEW
          ? `${many} in the newest`
          : `${many} so far; more come as you scroll`}
      {next !== undefined && rows.length < FEW && (
        <Button look="quiet" onClick={loadMore}>
          Look at earlier ones
        </Button>
      )}
    </div>
  )
}

function RunCard({ run, wait }: { readonly run: Run; readonly wait: Wait | undefined }): JSX.Element {
  return (
    <>
      <div class="card-line">
        <a class="cut strong" href={runHref(run.id)}>
          {run.workflow ?? 'flow'}
        </a>
        <span class="push small soft">
          <Time of={run.createdAt} />
        </span>
      </div>
      <div class="card-line">
        <State state={run.state} />
        <span class="push small">
          {run.total !== undefined && run.total > 0 ? (
            <span class="num soft">{doneOf(run.done ?? 0, run.total, false)}</span>
          ) : (
            tookOf(run)
          )}
        </span>
      </div>
      <div class="card-line small">
        <code class="cut faint">{run.id}</code>
      </div>
      <div class="card-line small is-two">
        <What run={run} wait={wait} />
      </div>
    </>
  )
}

function NoRuns({ isFiltered }: { readonly isFiltered: boolean }): JSX.Element {
  return isFiltered ? (
    <Empty title="No run matches">
      <p>
        Runs are kept for a day after their end, unless their workflow says otherwise.{' '}
        <a class="link" href={href(['runs'])}>
          Show all runs
        </a>
      </p>
    </Empty>
  ) : (
    <Empty title="No runs yet">
      <p>
        Start one{' '}
        <a class="link" href={href(['start'])}>
          here
        </a>
        , with <code>graflow submit</code>, or from your code.
      </p>
    </Empty>
  )
}
