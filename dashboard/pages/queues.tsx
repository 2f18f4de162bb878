/** Queues: how deep, how old, and whether they are paused. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { at, post } from '../api.js'
import { isOfQueues, isOfRuns } from '../changes.js'
import { age, brief, count, plural } from '../format.js'
import { ActButton } from '../parts/buttons.js'
import { Bar, Counted } from '../parts/charts.js'
import { Empty, Failed, Show, Skeleton } from '../parts/feedback.js'
import { MoreFoot } from '../parts/more.js'
import { Page } from '../parts/page.js'
import { State } from '../parts/state.js'
import { type Column, Table } from '../parts/table.js'
import { href, useRoute } from '../router.js'
import { usePages } from '../use-pages.js'
import { useQuery } from '../use-query.js'
import type { Queue } from '../wire.js'
import { backlogOf, BacklogTrend } from './backlog-trend.js'

const partsOf = ({ running, ready, delayed }: Queue) =>
  [
    { mark: 'running', value: running, word: 'running' },
    { mark: 'waiting', value: ready, word: 'ready' },
    { mark: 'retrying', value: delayed, word: 'delayed' },
  ] as const

function PauseButton({ queue, onDone }: { readonly queue: Queue; readonly onDone: () => void }): JSX.Element {
  const { name, isPaused, ready } = queue
  return isPaused ? (
    <ActButton
      icon="play"
      look="quiet"
      needs="operate"
      label={`Resume ${name}`}
      run={() => post(at`/queues/${name}/resume`)}
      done={() => `The queue ${name} goes on`}
      onDone={onDone}
    >
      Resume
    </ActButton>
  ) : (
    <ActButton
      icon="pause"
      look="quiet"
      needs="operate"
      label={`Pause ${name}`}
      ask={{
        title: `Pause the queue ${name}?`,
        text: (
          <p>
            Workers take nothing of it until it is resumed
            {ready > 0 ? `; ${plural(ready, 'branch', 'branches')} wait now` : ''}. What runs goes on.
          </p>
        ),
        action: 'Pause it',
      }}
      run={() => post(at`/queues/${name}/pause`)}
      done={() => `The queue ${name} is paused`}
      onDone={onDone}
    >
      Pause
    </ActButton>
  )
}

const columnsOf = (most: number, trend: BacklogTrend, refresh: () => void): readonly Column<Queue>[] => [
  {
    key: 'name',
    title: 'Queue',
    track: 'minmax(184px, 1.4fr)',
    min: 184,
    cell: ({ name, isPaused }) => (
      <>
        <a class="cut strong" href={href(['queues'], { name })}>
          {name}
        </a>
        {isPaused && <State state="paused" />}
      </>
    ),
  },
  {
    key: 'bar',
    title: 'Now',
    track: 'minmax(120px, 2fr)',
    min: 120,
    rank: 2,
    cell: (queue) => <Bar label={queue.name} of={most} parts={partsOf(queue)} />,
  },
  {
    key: 'running',
    title: 'Running',
    track: '72px',
    min: 72,
    isEnd: true,
    cell: ({ running }) => <Number value={running} mark="running" />,
  },
  {
    key: 'ready',
    title: 'Ready',
    track: '72px',
    min: 72,
    isEnd: true,
    cell: ({ ready }) => <Number value={ready} mark="waiting" />,
  },
  {
    key: 'delayed',
    title: 'Delayed',
    track: '72px',
    min: 72,
    rank: 1,
    isEnd: true,
    cell: ({ delayed }) => <Number value={delayed} mark="retrying" />,
  },
  {
    key: 'trend',
    title: 'A minute',
    track: '72px',
    min: 72,
    rank: 1,
    isEnd: true,
    cell: ({ name }) => <Trend perMinute={trend.of(name)} />,
  },
  {
    key: 'oldest',
    title: 'Oldest ready',
    track: '96px',
    min: 96,
    isEnd: true,
    cell: ({ oldestMs }) => (
      <span class="num">{oldestMs === undefined ? <span class="faint">–</span> : age(oldestMs)}</span>
    ),
  },
  {
    key: 'workers',
    title: 'Workers',
    track: '72px',
    min: 72,
    rank: 1,
    isEnd: true,
    cell: ({ workers, ready }) => (
      <span class={`num${workers === 0 && ready > 0 ? ' wrong strong' : ''}`}>
        {workers === 0 && ready > 0 ? 'none' : count(workers)}
      </span>
    ),
  },
  {
    key: 'act',
    title: '',
    track: '104px',
    min: 104,
    isEnd: true,
    cell: (queue) => <PauseButton queue={queue} onDone={refresh} />,
  },
]

/** How fast the backlog grows or shrinks. */
function Trend({ perMinute }: { readonly perMinute: number | undefined }): JSX.Element {
  if (perMinute === undefined)
    return (
      <span class="faint" title="Known once the page has looked for a few seconds">
        …
      </span>
    )
  const rate = Math.round(perMinute)
  const [look, text, title] =
    rate === 0
      ? ['num faint', 'steady', 'The backlog stays as it is']
      : rate > 0
        ? ['num late', `+${brief(rate)}`, `The backlog grows by ${count(rate)} a minute`]
        : ['num', `−${brief(-rate)}`, `The backlog shrinks by ${count(-rate)} a minute`]
  return (
    <span class={look} title={title}>
      {text}
    </span>
  )
}

const Number = ({ value, mark }: { readonly value: number; readonly mark: string }): JSX.Element => (
  <span class={value === 0 ? 'num faint' : `num counted is-${mark}`}>{count(value)}</span>
)

export function QueuesPage(): JSX.Element {
  const { query } = useRoute()
  const name = query.get('name')
  const pages = usePages<Queue>('/queues', {}, { on: (event) => isOfQueues(event) || isOfRuns(event), everyMs: 2_000 })
  const isListed = name === null || pages.items.some((queue) => queue.name === name) || pages.state.is !== 'ready'
  // of many queues not all are loaded
  const one = useQuery<Queue>(isListed ? undefined : at`/queues/${name}`, { on: isOfQueues, everyMs: 2_000 })
  const found = !isListed && one.state.is === 'ready' ? [one.state.value] : []
  const rows = name === null ? pages.items : [...pages.items.filter((queue) => queue.name === name), ...found]
  const most = Math.max(1, ...rows.map(backlogOf))
  const [trend] = useState(() => new BacklogTrend())
  const seenAt = pages.state.is === 'ready' ? pages.state.at.getTime() : undefined
  if (seenAt !== undefined) trend.add(rows, seenAt)
  const refresh = (): void => {
    void pages.refresh()
    if (!isListed) void one.refresh()
  }
  return (
    <Page
      title="Queues"
      {...(name !== null && {
        note: (
          <>
            only <b>{name}</b>.{' '}
            <a class="link" href={href(['queues'])}>
              Show all
            </a>
          </>
        ),
      })}
    >
      <Show what="Queues" query={pages}>
        {() =>
          !isListed && one.state.is === 'loading' ? (
            <Skeleton rows={1} height={44} />
          ) : !isListed && one.state.is === 'failed' ? (
            <Failed what={`The queue ${name}`} error={one.state.error} onRetry={() => void one.refresh()} />
          ) : rows.length === 0 ? (
            <Empty title={name === null ? 'No queue yet' : `There is no queue ${name}`}>
              <p>
                A queue is here from the first branch that is put into it. Tasks name theirs with the option queue;
                without it is default.
              </p>
            </Empty>
          ) : (
            <Table
              label="Queues"
              columns={columnsOf(most, trend, refresh)}
              rows={rows}
              rowHeight={44}
              version={seenAt}
              keyOf={(queue) => queue.name}
              cardHeight={88}
              card={(queue) => (
                <>
                  <div class="card-line">
                    <a class="cut strong" href={href(['queues'], { name: queue.name })}>
                      {queue.name}
                    </a>
                    {queue.isPaused && <State state="paused" />}
                    <span class="push">
                      <PauseButton queue={queue} onDone={refresh} />
                    </span>
                  </div>
                  <Bar label={queue.name} of={most} parts={partsOf(queue)} />
                  <div class="card-line small">
                    {partsOf(queue).map((part) => (
                      <Counted key={part.word} {...part} />
                    ))}
                    <span class="push soft">
                      {queue.oldestMs === undefined ? '' : `oldest ${age(queue.oldestMs)}, `}
                      {plural(queue.workers, 'worker')}
                    </span>
                  </div>
                </>
              )}
              onEnd={pages.loadMore}
              foot={name === null ? <MoreFoot pages={pages} one="queue" /> : undefined}
            />
          )
        }
      </Show>
    </Page>
  )
}
