/** Workers: what each does, what it serves, and how one is asked to leave. */
import type { JSX } from 'preact'
import { at, post, remove } from '../api.js'
import { isOfWorkers } from '../changes.js'
import { count, plural } from '../format.js'
import { ActButton } from '../parts/buttons.js'
import { Empty, Failed, Show, Skeleton } from '../parts/feedback.js'
import { Icon } from '../parts/icons.js'
import { MoreFoot } from '../parts/more.js'
import { Box, Page } from '../parts/page.js'
import { State } from '../parts/state.js'
import { type Column, Table } from '../parts/table.js'
import { Id, Tag, Time } from '../parts/text.js'
import { href, useRoute } from '../router.js'
import { usePages } from '../use-pages.js'
import { useQuery } from '../use-query.js'
import type { Changed, Worker } from '../wire.js'
import { heldText, isLive, StartWorker } from './worker-words.js'

const names = (list: readonly string[] | 'all'): string => (list === 'all' ? 'all' : list.join(', '))

function Drain({ worker, onDone }: { readonly worker: Worker; readonly onDone: () => void }): JSX.Element | null {
  if (!isLive(worker) || worker.state === 'draining') return null
  const { id, inFlight, drives } = worker
  return (
    <ActButton
      icon="leave"
      look="quiet"
      needs="operate"
      label={`Drain ${id}`}
      ask={{
        title: `Drain the worker ${id}?`,
        text: (
          <p>
            It takes nothing new, finishes{' '}
            {inFlight === 0 ? 'what it has' : `the ${plural(inFlight, 'branch', 'branches')} that it has`}
            {drives === 0
              ? ''
              : `, leaves ${drives === 1 ? 'the run' : `the ${count(drives)} runs`} that it drives to others`}
            , and ends. This cannot be undone; start it again to have it back.
          </p>
        ),
        action: 'Drain it',
      }}
      run={() => post<Changed>(at`/cluster/workers/${id}/drain`)}
      done={({ changed }) => (changed ? `${id} finishes what it has, and leaves` : `${id} is gone already`)}
      onDone={onDone}
    >
      Drain
    </ActButton>
  )
}

/** Takes one that was lost off the list. */
function Forget({ worker, onDone }: { readonly worker: Worker; readonly onDone: () => void }): JSX.Element | null {
  if (isLive(worker)) return null
  const { id } = worker
  return (
    <ActButton
      icon="trash"
      look="quiet"
      needs="admin"
      label={`Forget ${id}`}
      title="Take it off the list; after a day it goes by itself"
      run={() => remove(at`/cluster/workers/${id}`)}
      done={() => `${id} is off the list`}
      onDone={onDone}
    >
      Forget
    </ActButton>
  )
}

export function Name({ worker }: { readonly worker: Pick<Worker, 'id' | 'isLeader'> }): JSX.Element {
  return (
    <>
      <a class="cut strong" href={href(['workers'], { id: worker.id })} title={worker.id}>
        {worker.id}
      </a>
      {worker.isLeader && (
        <span class="leads" title="It leads">
          <Icon name="crown" size={14} />
          <span class="off-screen">leader</span>
        </span>
      )}
    </>
  )
}

const columnsOf = (refresh: () => void): readonly Column<Worker>[] => [
  { key: 'state', title: 'State', track: '104px', min: 104, cell: ({ state }) => <State state={state} word={state} /> },
  { key: 'id', title: 'Worker', track: 'minmax(140px, 1.4fr)', min: 140, cell: (worker) => <Name worker={worker} /> },
  {
    key: 'held',
    title: 'Branches',
    track: '72px',
    min: 72,
    cell: ({ inFlight }) => (
      <span class={inFlight === 0 ? 'num faint' : 'num counted is-running'}>{count(inFlight)}</span>
    ),
  },
  {
    key: 'drives',
    title: 'Drives',
    track: '64px',
    min: 64,
    rank: 1,
    cell: ({ drives }) => (
      <span class={drives === 0 ? 'num faint' : 'num'} title="Runs that it drives">
        {count(drives)}
      </span>
    ),
  },
  {
    key: 'queues',
    title: 'Queues',
    track: 'minmax(90px, 1fr)',
    min: 90,
    rank: 1,
    cell: ({ queues }) => (
      <span class="cut" title={names(queues)}>
        {names(queues)}
      </span>
    ),
  },
  {
    key: 'can',
    title: 'Capabilities',
    track: 'minmax(80px, 0.8fr)',
    min: 80,
    rank: 4,
    cell: ({ capabilities }) => (
      <span class="cut soft" title={names(capabilities)}>
        {names(capabilities)}
      </span>
    ),
  },
  {
    key: 'build',
    title: 'Build',
    track: 'minmax(80px, 0.8fr)',
    min: 80,
    rank: 3,
    cell: ({ buildId }) => <span class="cut soft">{buildId ?? ''}</span>,
  },
  {
    key: 'host',
    title: 'Host',
    track: 'minmax(90px, 1fr)',
    min: 90,
    rank: 2,
    cell: ({ hostname, pid }) => (
      <span class="cut soft" title={`${hostname}, process ${pid}`}>
        {hostname} <span class="faint num">{pid}</span>
      </span>
    ),
  },
  {
    key: 'seen',
    title: 'Seen',
    track: '80px',
    min: 80,
    rank: 1,
    isEnd: true,
    cell: ({ seenAt }) => <Time of={seenAt} />,
  },
  {
    key: 'act',
    title: '',
    track: '88px',
    min: 88,
    isEnd: true,
    cell: (worker) => (
      <>
        <Drain worker={worker} onDone={refresh} />
        <Forget worker={worker} onDone={refresh} />
      </>
    ),
  },
]

function Details({ worker, onDone }: { readonly worker: Worker; readonly onDone: () => void }): JSX.Element {
  const { tasks, metadata } = worker
  return (
    <Box
      title={worker.id}
      note={
        <>
          <Drain worker={worker} onDone={onDone} />
          <Forget worker={worker} onDone={onDone} />
        </>
      }
    >
      <dl class="pairs">
        <dt>State</dt>
        <dd>
          <State state={worker.state} />
        </dd>
        <dt>Role</dt>
        <dd>
          {worker.role}
          {worker.isLeader ? ', leads' : ''}
        </dd>
        <dt>In hand</dt>
        <dd>{heldText(worker)}</dd>
        <dt>Session</dt>
        <dd>
          <Id id={worker.session} what="the session" />
        </dd>
        <dt>Process</dt>
        <dd>
          {worker.pid} on {worker.hostname}
        </dd>
        <dt>Registered</dt>
        <dd>
          <Time of={worker.registeredAt} />
        </dd>
        <dt>Last sign of life</dt>
        <dd>
          <Time of={worker.seenAt} />
        </dd>
        <dt>Queues</dt>
        <dd class="wrap">{names(worker.queues)}</dd>
        <dt>Capabilities</dt>
        <dd class="wrap">{names(worker.capabilities) || '–'}</dd>
        <dt>Build</dt>
        <dd>
          {worker.buildId === undefined ? (
            '–'
          ) : (
            <a class="link" href={href(['builds'])}>
              {worker.buildId}
            </a>
          )}
        </dd>
        <dt>Metadata</dt>
        <dd class="tag-list">
          {Object.keys(metadata).length === 0
            ? '–'
            : Object.entries(metadata).map(([key, value]) => (
                <Tag key={key} title={`${key}=${value}`}>
                  {key}={value}
                </Tag>
              ))}
        </dd>
        <dt>Tasks</dt>
        <dd class="tag-list">
          {tasks === 'all'
            ? 'all'
            : tasks.map((task) => (
                <Tag key={task} title={task}>
                  {task}
                </Tag>
              ))}
        </dd>
      </dl>
    </Box>
  )
}

export function WorkersPage(): JSX.Element {
  const { query } = useRoute()
  const id = query.get('id')
  const pages = usePages<Worker>('/cluster/workers', {}, { on: isOfWorkers, everyMs: 2_000 })
  const refresh = (): void => void pages.refresh()
  const rows = [...pages.items].sort((a, b) => Number(isLive(b)) - Number(isLive(a)))
  const live = rows.filter(isLive).length
  const listed = id === null ? [] : rows.filter((worker) => worker.id === id)
  // of many workers not all are loaded
  const isListed = id === null || listed.length > 0 || pages.state.is !== 'ready'
  const one = useQuery<Worker>(isListed ? undefined : at`/cluster/workers/${id}`, { on: isOfWorkers, everyMs: 2_000 })
  const chosen = !isListed && one.state.is === 'ready' ? [one.state.value] : listed
  return (
    <Page
      title="Workers"
      note={
        pages.state.is !== 'ready' ? undefined : id !== null ? (
          <a class="link" href={href(['workers'])}>
            Show all
          </a>
        ) : (
          `${count(live)} live${rows.length > live ? `, ${count(rows.length - live)} lost in the last day` : ''}`
        )
      }
    >
      <Show what="Workers" query={pages}>
        {() =>
          id !== null ? (
            !isListed && one.state.is === 'loading' ? (
              <Skeleton rows={4} />
            ) : !isListed && one.state.is === 'failed' ? (
              <Failed what={`The worker ${id}`} error={one.state.error} onRetry={() => void one.refresh()} />
            ) : chosen.length === 0 ? (
              <Empty title={`There is no worker ${id}`}>
                <p>It left, or was lost more than a day ago.</p>
              </Empty>
            ) : (
              <>
                {chosen.map((worker) => (
                  <Details key={worker.session} worker={worker} onDone={refresh} />
                ))}
              </>
            )
          ) : rows.length === 0 ? (
            <Empty title="No worker is there">
              <StartWorker />
            </Empty>
          ) : (
            <Table
              label="Workers"
              columns={columnsOf(refresh)}
              rows={rows}
              rowHeight={40}
              keyOf={({ session }) => session}
              nameOf={({ id }) => id}
              lookOf={(worker) => (isLive(worker) ? '' : 'is-over')}
              cardHeight={68}
              card={(worker) => (
                <>
                  <div class="card-line">
                    <Name worker={worker} />
                    <span class="push">
                      <Drain worker={worker} onDone={refresh} />
                      <Forget worker={worker} onDone={refresh} />
                    </span>
                  </div>
                  <div class="card-line small">
                    <State state={worker.state} />
                    <span class="soft">{heldText(worker)}</span>
                    <span class="push soft">
                      <Time of={worker.seenAt} />
                    </span>
                  </div>
                </>
              )}
              onEnd={pages.loadMore}
              foot={<MoreFoot pages={pages} one="worker" />}
            />
          )
        }
      </Show>
    </Page>
  )
}
