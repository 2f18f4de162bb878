/** Why things stand still, and what would let them go on. */
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { isOfRuns } from '../changes.js'
import { count, plural } from '../format.js'
import { Empty, Show, Skeleton } from '../parts/feedback.js'
import { Icon } from '../parts/icons.js'
import { MoreFoot } from '../parts/more.js'
import { Page } from '../parts/page.js'
import { type Column, Table } from '../parts/table.js'
import { Id, Tag, Time } from '../parts/text.js'
import { href, runHref, setQuery, useRoute } from '../router.js'
import { usePages } from '../use-pages.js'
import type { Wait } from '../wire.js'
import { useWaitReasons } from './wait-reasons.js'
import { isAsked, isStuck, WHY, waitWords, whyWord } from './wait-words.js'

const lookOf = (wait: Wait): string => (isAsked(wait) ? 'is-paused' : isStuck(wait) ? 'is-failed' : 'is-waiting')

function Reason({ wait }: { readonly wait: Wait }): JSX.Element {
  return (
    <span class={`why ${lookOf(wait)}`} {...(isAsked(wait) && { title: 'A person is asked' })}>
      {isAsked(wait) && <Icon name="person" size={12} />}
      {WHY[wait.why]}
    </span>
  )
}

const pathOf = ({ path }: Wait): string => (path === '' ? 'the run' : path)
/** The item of an each, by what people call it. */
const Label = ({ wait: { label } }: { readonly wait: Wait }): JSX.Element | null =>
  label === undefined ? null : <Tag title="What the item is called">{label}</Tag>
/** What a person is asked, where the title does not say all of it. */
const Question = ({ wait: { prompt } }: { readonly wait: Wait }): JSX.Element | null =>
  prompt?.text === undefined ? null : (
    <span class="cut soft" title={prompt.text}>
      {prompt.text}
    </span>
  )
const text = (wait: Wait): string => wait.prompt?.title ?? waitWords(wait)

const COLUMNS: readonly Column<Wait>[] = [
  { key: 'why', title: 'Why', track: '112px', min: 112, cell: (wait) => <Reason wait={wait} /> },
  {
    key: 'what',
    title: 'What is known',
    track: 'minmax(180px, 3fr)',
    min: 180,
    cell: (wait) => (
      <span class="row-lines">
        <span class="row-line">
          <a class="cut" href={runHref(wait.runId)} title={text(wait)}>
            {text(wait)}
          </a>
          <Label wait={wait} />
        </span>
        <Question wait={wait} />
      </span>
    ),
  },
  {
    key: 'run',
    title: 'Run',
    track: 'minmax(168px, 1fr)',
    min: 168,
    cell: ({ runId, workflow }) => (
      <span class="row-line">
        <Id id={runId} to={runHref(runId)} />
        {workflow !== undefined && (
          <span class="cut soft" title={workflow}>
            {workflow}
          </span>
        )}
      </span>
    ),
  },
  {
    key: 'path',
    title: 'Path',
    track: 'minmax(80px, 0.6fr)',
    min: 80,
    rank: 3,
    cell: (wait) => <code class="cut soft">{pathOf(wait)}</code>,
  },
  {
    key: 'task',
    title: 'Task',
    track: 'minmax(90px, 0.8fr)',
    min: 90,
    rank: 2,
    cell: ({ task }) => <span class="cut soft">{task ?? ''}</span>,
  },
  {
    key: 'count',
    title: 'How many',
    track: '80px',
    min: 80,
    rank: 1,
    isEnd: true,
    cell: ({ count: many }) => <span class="num">{count(many)}</span>,
  },
  {
    key: 'since',
    title: 'Since',
    track: '84px',
    min: 84,
    isEnd: true,
    cell: ({ since }) => <Time of={since} form="age" />,
  },
]

/** Pages that are asked for without a wish where a reason is rare: the server looks at about a thousand runs for each. */
const MOST_ALONE = 10

export function WaitsPage(): JSX.Element {
  const { query } = useRoute()
  const why = query.get('why') ?? ''
  const pages = usePages<Wait>('/waits', { why }, { on: isOfRuns, everyMs: 5_000 })
  const rows = pages.items
  const { counts = [], isMore } = useWaitReasons(why)
  const looked = useRef(0)
  useEffect(() => {
    looked.current = 0
  }, [why])
  const isLookingOn = rows.length === 0 && pages.isMore && pages.moreError === undefined
  useEffect(() => {
    if (!isLookingOn || pages.isLoadingMore || looked.current >= MOST_ALONE) return
    looked.current += 1
    pages.loadMore()
  }, [isLookingOn, pages.isLoadingMore])
  return (
    <Page
      title="Waits"
      note="why runs stand still"
      tools={
        counts.length > 0 && (
          <div class="toggles" role="group" aria-label="Reasons">
            {counts.map(([reason, many]) => (
              <button
                key={reason}
                type="button"
                class="toggle"
                aria-pressed={reason === why}
                onClick={() => setQuery({ why: reason === why ? undefined : reason })}
              >
                {whyWord(reason)}{' '}
                <span class="num faint">
                  {count(many)}
                  {isMore ? '+' : ''}
                </span>
              </button>
            ))}
          </div>
        )
      }
    >
      <Show what="Waits" query={pages}>
        {() =>
          isLookingOn && looked.current < MOST_ALONE ? (
            <Skeleton />
          ) : rows.length === 0 ? (
            <Empty title={why === '' ? 'Nothing waits' : `Nothing waits so: ${whyWord(why)}`}>
              <p>A run is here while it can do nothing: for want of a worker, for a person’s answer, for time.</p>
              {why !== '' && (
                <p>
                  <a class="link" href={href(['waits'])}>
                    Show all
                  </a>
                </p>
              )}
            </Empty>
          ) : (
            <Table
              label="Waits"
              columns={COLUMNS}
              rows={rows}
              keyOf={(wait) => `${wait.runId} ${wait.path} ${wait.why}`}
              card={(wait) => (
                <>
                  <div class="card-line is-two">
                    <a class="cut strong" href={runHref(wait.runId)}>
                      {text(wait)}
                    </a>
                  </div>
                  {isAsked(wait) && (
                    <div class="card-line small">
                      <Question wait={wait} />
                    </div>
                  )}
                  <div class="card-line small">
                    <Reason wait={wait} />
                    {wait.count > 1 && <span class="soft">{plural(wait.count, 'branch', 'branches')}</span>}
                    <span class="push soft">
                      <Time of={wait.since} form="age" />
                    </span>
                  </div>
                  <div class="card-line small">
                    <Label wait={wait} />
                    <code class="cut faint">{wait.runId}</code>
                    <code class="cut soft push">{pathOf(wait)}</code>
                  </div>
                </>
              )}
              rowHeight={rows.some(({ prompt }) => prompt?.text !== undefined) ? 52 : 36}
              cardHeight={120}
              onEnd={pages.loadMore}
              foot={<MoreFoot pages={pages} one="wait" />}
            />
          )
        }
      </Show>
    </Page>
  )
}
