/** All runs: filters in the address, rows that change in place, commands on one, some or all that match. */
import type { JSX } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { count, plural } from '../format.js'
import { Progress } from '../parts/charts.js'
import { Empty, Failed, Skeleton, Stale } from '../parts/feedback.js'
import { Page } from '../parts/page.js'
import { State, StateShape } from '../parts/state.js'
import { type Column, Table } from '../parts/table.js'
import { Id, Time, Took } from '../parts/text.js'
import { href, runHref, setQuery, useRoute } from '../router.js'
import { useQuery } from '../use-query.js'
import type { PageOf, Run, Wait } from '../wire.js'
import { BulkBar } from './bulk.js'
import { type RunQuery, useRunFeed } from './run-feed.js'
import { waitWords } from './wait-words.js'

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

/** What the server is asked with; the rest is looked for in what it answers. */
function askedWith(query: URLSearchParams): RunQuery {
  const text = (name: string): string | undefined => query.get(name) ?? undefined
  return {
    state: text('state'),
    workflow: text('workflow'),
    tag: text('tag'),
    build: text('build'),
    since: sinceOf(query.get('since')),
    until: text('until'),
  }
}

/** Why runs stand still, by their ids; asked for only while some do. */
function useWaits(rows: readonly Run[], isWanted: boolean): ReadonlyMap<string, Wait> {
  const isAsked = isWanted || rows.some(({ state }) => UNFINISHED.has(state))
  const { state } = useQuery<PageOf<Wait>>(isAsked ? '/waits' : undefined, { query: { limit: 200 }, everyMs: 5_000 })
  const items = state.is === 'ready' ? state.value.items : undefined
  return useMemo(() => {
    const found = new Map<string, Wait>()
    for (const wait of items ?? []) if (!found.has(wait.runId)) found.set(wait.runId, wait)
    return found
  }, [items])
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? ''

function What({ run, wait }: { readonly run: Run; readonly wait: Wait | undefined }): JSX.Element | null {
  if (run.error !== undefined) {
    return (
      <span class="cut" title={run.error.message}>
        {firstLine(run.error.message)}
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

/** What ended has no end to be shown without a beginning: then its creation is one. */
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
        run.total === undefined || run.total === 0 ? null : <Progress done={run.done ?? 0} total={run.total} />,
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
          query={query}
          list={workflows.state.is === 'ready' ? workflows.state.value.items.map(({ name }) => name) : []}
        />
        <Filter name="tag" placeholder="Tag" query={query} />
        <Filter name="error" placeholder="Error has the words" query={query} />
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
          {[
            'signal',
            'timer',
            'worker',
            'task',
            'capability',
            'driver',
            'affinity',
            'limit',
            'paused',
            'delay',
            'busy',
            'graph',
          ].map((why) => (
            <option key={why} value={why}>
              Waits: {why}
            </option>
          ))}
        </select>
        {[...query.keys()].length > 0 && (
          <a class="button is-quiet" href={href(['runs'])}>
            Clear
          </a>
        )}
      </div>
    </>
  )
}

/** A field that is in force when one leaves it or presses Enter: no request a letter. */
function Filter({
  name,
  placeholder,
  query,
  list,
}: {
  readonly name: string
  readonly placeholder: string
  readonly query: URLSearchParams
  readonly list?: readonly string[]
}): JSX.Element {
  const value = query.get(name) ?? ''
  const [text, setText] = useState(value)
  useEffect(() => setText(value), [value])
  const apply = (next: string): void => {
    if (next.trim() !== value) setQuery({ [name]: next.trim() })
  }
  return (
    <>
      <input
        class="input"
        type="search"
        name={name}
        aria-label={placeholder}
        placeholder={placeholder}
        spellcheck={false}
        autoComplete="off"
        value={text}
        list={list === undefined ? undefined : `of-${name}`}
        onInput={(event) => setText(event.currentTarget.value)}
        onChange={(event) => apply(event.currentTarget.value)}
        onKeyDown={(event) => event.key === 'Enter' && apply(event.currentTarget.value)}
      />
      {list !== undefined && (
        <datalist id={`of-${name}`}>
          {list.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
      )}
    </>
  )
}

export function RunsPage(): JSX.Element {
  const { query } = useRoute()
  const text = query.toString()
  const asked = useMemo(() => askedWith(query), [text])
  const feed = useRunFeed(asked)
  const [selected, select] = useState<ReadonlySet<string>>(new Set())
  useEffect(() => select(new Set()), [text])
  const why = query.get('why') ?? ''
  const error = (query.get('error') ?? '').toLowerCase()
  const waits = useWaits(feed.rows, why !== '')
  const rows = useMemo(
    () =>
      feed.rows.filter(
        (run) =>
          (why === '' || (UNFINISHED.has(run.state) && waits.get(run.id)?.why === why)) &&
          (error === '' || `${run.error?.code ?? ''} ${run.error?.message ?? ''}`.toLowerCase().includes(error)),
      ),
    [feed.rows, waits, why, error],
  )
  const isSifted = why !== '' || error !== ''
  // what is looked for here, and not by the server, may stand on later pages
  useEffect(() => {
    if (
      isSifted &&
      rows.length < 50 &&
      feed.next !== undefined &&
      !feed.isLoadingMore &&
      feed.error === undefined &&
      feed.rows.length < 5_000
    )
      feed.loadMore()
  }, [isSifted, rows.length, feed.rows.length, feed.next, feed.isLoadingMore])
  const columns = useMemo(() => columnsOf(waits), [waits])
  return (
    <Page title="Runs" tools={<Filters query={query} />}>
      {feed.is === 'ready' && feed.error !== undefined && feed.at !== undefined && (
        <Stale state={{ is: 'ready', value: undefined, at: feed.at, error: feed.error }} onRetry={feed.reload} />
      )}
      {feed.fresh > 0 && !isSifted && (
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
      <BulkBar
        selected={selected}
        rows={rows}
        filter={asked}
        isAllPossible={!isSifted && feed.next !== undefined}
        onSelect={select}
        onDone={feed.reload}
      />
      {feed.is === 'loading' ? (
        <Skeleton rows={12} />
      ) : feed.is === 'failed' && feed.error !== undefined ? (
        <Failed what="Runs" error={feed.error} onRetry={feed.reload} />
      ) : rows.length === 0 && !feed.isLoadingMore && (feed.next === undefined || isSifted) ? (
        <NoRuns isFiltered={text !== ''} />
      ) : (
        <Table
          label="Runs"
          columns={columns}
          rows={rows}
          keyOf={({ id }) => id}
          nameOf={(run) => `run ${run.id}`}
          card={(run) => <RunCard run={run} wait={waits.get(run.id)} />}
          cardHeight={92}
          selection={{ keys: selected, set: select }}
          onEnd={feed.loadMore}
          onView={feed.inView}
          version={waits}
          foot={
            <div class="table-foot">
              {feed.isLoadingMore
                ? 'Loading more …'
                : feed.next === undefined
                  ? `${plural(rows.length, 'run')}, that is all`
                  : `${plural(rows.length, 'run')} so far; more come as you scroll`}
            </div>
          }
        />
      )}
    </Page>
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
            <span class="num soft">{`${count(run.done ?? 0)}/${count(run.total)}`}</span>
          ) : (
            tookOf(run)
          )}
        </span>
      </div>
      <div class="card-line small">
        <code class="cut faint">{run.id}</code>
      </div>
      <div class="card-line small">
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
