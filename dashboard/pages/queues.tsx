/** Queues: how deep, how old, and whether they are paused. */
import type { JSX } from 'preact'
import { at, post } from '../api.js'
import { isOfQueues, isOfRuns } from '../changes.js'
import { age, count, plural } from '../format.js'
import { ActButton } from '../parts/buttons.js'
import { Bar, Counted } from '../parts/charts.js'
import { Empty, Show } from '../parts/feedback.js'
import { MoreFoot } from '../parts/more.js'
import { Page } from '../parts/page.js'
import { State } from '../parts/state.js'
import { type Column, Table } from '../parts/table.js'
import { href, useRoute } from '../router.js'
import { usePages } from '../use-pages.js'
import type { Queue } from '../wire.js'

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

const columnsOf = (most: number, refresh: () => void): readonly Column<Queue>[] => [
  {
    key: 'name',
    title: 'Queue',
    track: 'minmax(120px, 1.2fr)',
    min: 120,
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
    track: '80px',
    min: 80,
    isEnd: true,
    cell: ({ running }) => <Number value={running} mark="running" />,
  },
  {
    key: 'ready',
    title: 'Ready',
    track: '80px',
    min: 80,
    isEnd: true,
    cell: ({ ready }) => <Number value={ready} mark="waiting" />,
  },
  {
    key: 'delayed',
    title: 'Delayed',
    track: '80px',
    min: 80,
    rank: 1,
    isEnd: true,
    cell: ({ delayed }) => <Number value={delayed} mark="retrying" />,
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
    track: '80px',
    min: 80,
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

const Number = ({ value, mark }: { readonly value: number; readonly mark: string }): JSX.Element => (
  <span class={value === 0 ? 'num faint' : `num counted is-${mark}`}>{count(value)}</span>
)

export function QueuesPage(): JSX.Element {
  const { query } = useRoute()
  const name = query.get('name')
  const pages = usePages<Queue>('/queues', {}, { on: (event) => isOfQueues(event) || isOfRuns(event), everyMs: 2_000 })
  const rows = name === null ? pages.items : pages.items.filter((queue) => queue.name === name)
  const most = Math.max(1, ...rows.map(({ running, ready, delayed }) => running + ready + delayed))
  const refresh = (): void => void pages.refresh()
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
          rows.length === 0 ? (
            <Empty title={name === null ? 'No queue yet' : `There is no queue ${name}`}>
              <p>
                A queue is here from the first branch that is put into it. Tasks name theirs with the option queue;
                without it is default.
              </p>
            </Empty>
          ) : (
            <Table
              label="Queues"
              columns={columnsOf(most, refresh)}
              rows={rows}
              rowHeight={44}
              version={most}
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
                    <span class="push soft">{plural(queue.workers, 'worker')}</span>
                  </div>
                </>
              )}
              onEnd={pages.loadMore}
              foot={<MoreFoot pages={pages} one="queue" />}
            />
          )
        }
      </Show>
    </Page>
  )
}
