/** The cluster: who leads, every node with its role and the age of its heartbeat, and how pipelines are wired. */
import type { JSX } from 'preact'
import { isOfWorkers } from '../changes.js'
import { now } from '../clock.js'
import { age, bytes, count } from '../format.js'
import { Empty, Failed, Skeleton } from '../parts/feedback.js'
import { Icon } from '../parts/icons.js'
import { Box, Page } from '../parts/page.js'
import { State } from '../parts/state.js'
import { type Column, Table } from '../parts/table.js'
import { Time } from '../parts/text.js'
import { href } from '../router.js'
import { me } from '../session.js'
import { useStore } from '../store.js'
import { usePages } from '../use-pages.js'
import { type Query, useQuery } from '../use-query.js'
import type { Worker } from '../wire.js'
import type { Overview } from './overview-data.js'
import { Topology } from './topology.js'
import { Name } from './workers.js'

interface Leader {
  readonly leaderId: string
  readonly term: number
}

const LATE_MS = 5_000

function Beat({ of, isLost }: { readonly of: string; readonly isLost: boolean }): JSX.Element {
  const ms = Math.max(0, useStore(now) - new Date(of).getTime())
  return (
    <span class={`num${isLost ? ' wrong strong' : ms > LATE_MS ? ' late' : ''}`} title={new Date(of).toLocaleString()}>
      {age(ms)}
    </span>
  )
}

const isLost = ({ state }: Worker): boolean => state === 'stale' || state === 'dead'

const COLUMNS: readonly Column<Worker>[] = [
  { key: 'state', title: 'State', track: '104px', min: 104, cell: ({ state }) => <State state={state} /> },
  { key: 'id', title: 'Node', track: 'minmax(140px, 1.4fr)', min: 140, cell: (worker) => <Name worker={worker} /> },
  {
    key: 'role',
    title: 'Role',
    track: '96px',
    min: 96,
    cell: ({ role, isLeader }) => <span>{isLeader ? 'leader' : role}</span>,
  },
  {
    key: 'host',
    title: 'Host',
    track: 'minmax(110px, 1fr)',
    min: 110,
    rank: 1,
    cell: ({ hostname, pid }) => (
      <span class="cut soft">
        {hostname} <span class="num faint">{pid}</span>
      </span>
    ),
  },
  {
    key: 'since',
    title: 'Registered',
    track: '96px',
    min: 96,
    rank: 2,
    isEnd: true,
    cell: ({ registeredAt }) => <Time of={registeredAt} />,
  },
  {
    key: 'beat',
    title: 'Heartbeat age',
    track: '104px',
    min: 104,
    isEnd: true,
    cell: (worker) => <Beat of={worker.seenAt} isLost={isLost(worker)} />,
  },
]

function LeaderBox({
  query,
  nodes,
}: {
  readonly query: Query<Leader | null>
  readonly nodes: readonly Worker[]
}): JSX.Element {
  const { state } = query
  const leader = state.is === 'ready' ? state.value : null
  const id = leader?.leaderId ?? nodes.find(({ isLeader }) => isLeader)?.id
  return (
    <section class="fact">
      <h2>Leader</h2>
      {state.is === 'loading' ? (
        <p class="faint">…</p>
      ) : id === undefined ? (
        <p>
          <b>Nobody leads</b>
          <span>what only a leader does, such as deleting what is past its retention, waits</span>
        </p>
      ) : (
        <p>
          <b class="cut">
            <Icon name="crown" /> {id}
          </b>
          <span>{leader?.term === undefined ? 'elected' : `term ${count(leader.term)}`}</span>
        </p>
      )}
    </section>
  )
}

function Facts({
  nodes,
  leader,
}: {
  readonly nodes: readonly Worker[]
  readonly leader: Query<Leader | null>
}): JSX.Element {
  const who = useStore(me)
  const overview = useQuery<Overview>('/overview', { everyMs: 10_000 })
  const memory = overview.state.is === 'ready' ? overview.state.value.memory : undefined
  const lost = nodes.filter(isLost).length
  return (
    <div class="tiles">
      <LeaderBox query={leader} nodes={nodes} />
      <section class="fact">
        <h2>Nodes</h2>
        <p>
          <b class="num">{count(nodes.length - lost)} live</b>
          <span>{lost === 0 ? 'none lost in the last day' : `${count(lost)} lost in the last day`}</span>
        </p>
      </section>
      <section class="fact">
        <h2>Store</h2>
        <p>
          <b class="cut">{who === undefined ? '…' : who.store.kind === 'redis' ? 'Redis' : 'Embedded'}</b>
          <span class="cut">{who?.store.address ?? (who === undefined ? '' : 'in the process of the server')}</span>
        </p>
      </section>
      <section class="fact">
        <h2>Memory</h2>
        <p>
          <b class="num">{memory === undefined ? '…' : bytes(memory.usedBytes)}</b>
          <span>
            {memory === undefined
              ? ''
              : memory.limitBytes === undefined
                ? 'no limit is set'
                : `of ${bytes(memory.limitBytes)}`}
          </span>
        </p>
      </section>
    </div>
  )
}

export function ClusterPage(): JSX.Element {
  const nodes = usePages<Worker>('/cluster/workers', {}, { on: isOfWorkers, everyMs: 2_000 })
  const leader = useQuery<Leader | null>('/cluster/leader', { on: isOfWorkers, everyMs: 5_000 })
  const rows = [...nodes.items].sort((a, b) => Number(isLost(a)) - Number(isLost(b)))
  return (
    <Page title="Cluster">
      <Facts nodes={rows} leader={leader} />
      <Box title="Nodes" isFlush>
        {nodes.state.is === 'loading' ? (
          <Skeleton rows={3} height={40} />
        ) : nodes.state.is === 'failed' ? (
          <Failed what="Nodes" error={nodes.state.error} onRetry={() => void nodes.refresh()} />
        ) : rows.length === 0 ? (
          <Empty title="No node is there">
            <p>
              Workers register here as they start: <code>npx graflow-worker --tasks ./tasks.js</code>
            </p>
          </Empty>
        ) : (
          <Table
            label="Nodes"
            columns={COLUMNS}
            rows={rows}
            rowHeight={40}
            keyOf={({ session }) => session}
            nameOf={({ id }) => id}
            lookOf={(worker) => (isLost(worker) ? 'is-over' : '')}
            card={(worker) => (
              <>
                <div class="card-line">
                  <Name worker={worker} />
                  <span class="push small soft">{worker.isLeader ? 'leader' : worker.role}</span>
                </div>
                <div class="card-line small">
                  <State state={worker.state} />
                  <span class="push">
                    <Beat of={worker.seenAt} isLost={isLost(worker)} />
                  </span>
                </div>
              </>
            )}
            onEnd={nodes.loadMore}
          />
        )}
      </Box>
      <Topology />
      <p class="small faint">
        Workers are drained on{' '}
        <a class="link" href={href(['workers'])}>
          their page
        </a>
        .
      </p>
    </Page>
  )
}
