/** The cluster: who leads, every node with its role and the age of its heartbeat, and how pipelines are wired. */
import type { JSX } from 'preact'
import { isOfWorkers } from '../changes.js'
import { now } from '../clock.js'
import { age, bytes, count, exactTime } from '../format.js'
import { Empty, Show, Skeleton } from '../parts/feedback.js'
import { Icon } from '../parts/icons.js'
import { Box, Page } from '../parts/page.js'
import { State } from '../parts/state.js'
import { type Column, Table } from '../parts/table.js'
import { href } from '../router.js'
import { me } from '../session.js'
import { useStore } from '../store.js'
import { type Query, useQuery } from '../use-query.js'
import type { Overview } from './overview-data.js'
import { type PipelineGroup, Topology } from './topology.js'
import { heldText, StartWorker } from './worker-words.js'
import { Name } from './workers.js'

interface Leader {
  readonly leaderId: string
  readonly term: number
}

interface Node {
  readonly id: string
  readonly session: string
  readonly role: string
  readonly state: string
  readonly hostname: string
  readonly isLeader: boolean
  readonly seenAt: string
  /** By the clock of the store, when it was asked. */
  readonly heartbeatAgeMs: number
  readonly inFlight: number
  readonly drives: number
  /** Placed on it: the id of the group, a slash, the pipeline. */
  readonly pipelines: readonly string[]
}

/** What `GET /api/v1/cluster/topology` answers. */
interface TopologyAnswer {
  readonly nodes: readonly Node[]
  readonly groups: readonly PipelineGroup[]
  readonly leader: string | null
}

const LATE_MS = 5_000
/** The server tells of no more. */
const MOST_NODES = 1_000

/** How long ago a node was heard of: what the store said, and the time since. */
function Beat({ node, at }: { readonly node: Node; readonly at: Date }): JSX.Element {
  const ms = node.heartbeatAgeMs + Math.max(0, useStore(now) - at.getTime())
  return (
    <span
      class={`num${isLost(node) ? ' wrong strong' : ms > LATE_MS ? ' late' : ''}`}
      title={exactTime(new Date(node.seenAt))}
    >
      {age(ms)}
    </span>
  )
}

const isLost = ({ state }: Node): boolean => state === 'stale' || state === 'dead'
const pipelineNames = ({ pipelines }: Node): string =>
  pipelines.map((one) => one.slice(one.indexOf('/') + 1)).join(', ')

const columnsOf = (at: Date): readonly Column<Node>[] => [
  { key: 'state', title: 'State', track: '104px', min: 104, cell: ({ state }) => <State state={state} /> },
  { key: 'id', title: 'Node', track: 'minmax(140px, 1.4fr)', min: 140, cell: (node) => <Name worker={node} /> },
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
    cell: ({ hostname }) => <span class="cut soft">{hostname}</span>,
  },
  {
    key: 'pipelines',
    title: 'Pipelines',
    track: 'minmax(100px, 1fr)',
    min: 100,
    rank: 2,
    cell: (node) => (
      <span class="cut soft" title={pipelineNames(node)}>
        {pipelineNames(node)}
      </span>
    ),
  },
  {
    key: 'held',
    title: 'In hand',
    track: '128px',
    min: 128,
    rank: 2,
    isEnd: true,
    cell: (node) => <span class={node.inFlight + node.drives === 0 ? 'num faint' : 'num'}>{heldText(node)}</span>,
  },
  {
    key: 'beat',
    title: 'Heartbeat age',
    track: '104px',
    min: 104,
    isEnd: true,
    cell: (node) => <Beat node={node} at={at} />,
  },
]

function LeaderBox({
  query: { state },
  known,
  isEmbedded,
}: {
  readonly query: Query<Leader | null>
  /** The leader by what else is known; undefined where nothing is. */
  readonly known: string | undefined
  readonly isEmbedded: boolean
}): JSX.Element {
  const leader = state.is === 'ready' ? state.value : null
  const id = leader?.leaderId ?? known
  return (
    <section class="fact">
      <h2>Leader</h2>
      {state.is === 'loading' && id === undefined ? (
        <p class="faint">…</p>
      ) : id === undefined && (state.is === 'failed' || state.is === 'gone') ? (
        <p>
          <b>?</b>
          <span>{state.error.message}</span>
        </p>
      ) : id === undefined && isEmbedded ? (
        <p>
          <b>None is needed</b>
          <span>all is in one process</span>
        </p>
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
  topology,
  leader,
}: {
  /** Undefined while it is not known. */
  readonly topology: TopologyAnswer | undefined
  readonly leader: Query<Leader | null>
}): JSX.Element {
  const who = useStore(me)
  const overview = useQuery<Overview>('/overview', { everyMs: 10_000 })
  const memory = overview.state.is === 'ready' ? overview.state.value.memory : undefined
  const nodes = topology?.nodes ?? []
  const lost = nodes.filter(isLost).length
  return (
    <div class="tiles">
      <LeaderBox query={leader} known={topology?.leader ?? undefined} isEmbedded={who?.store.kind === 'embedded'} />
      <section class="fact">
        <h2>Nodes</h2>
        <p>
          <b class="num">{topology === undefined ? '…' : `${count(nodes.length - lost)} live`}</b>
          <span>
            {topology === undefined
              ? ''
              : lost === 0
                ? 'none lost in the last day'
                : `${count(lost)} lost in the last day`}
          </span>
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
  const topology = useQuery<TopologyAnswer>('/cluster/topology', { on: isOfWorkers, everyMs: 2_000 })
  const leader = useQuery<Leader | null>('/cluster/leader', { on: isOfWorkers, everyMs: 5_000 })
  const { state } = topology
  return (
    <Page title="Cluster">
      <Facts topology={state.is === 'ready' ? state.value : undefined} leader={leader} />
      <Show what="The cluster" query={topology} skeleton={<Skeleton rows={5} height={40} />}>
        {({ nodes, groups }) => (
          <>
            <Box title="Nodes" isFlush>
              <Nodes nodes={nodes} at={state.is === 'ready' ? state.at : new Date()} />
            </Box>
            <Box title="Pipeline groups">
              <Topology groups={groups} />
            </Box>
          </>
        )}
      </Show>
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

function Nodes({ nodes, at }: { readonly nodes: readonly Node[]; readonly at: Date }): JSX.Element {
  if (nodes.length === 0)
    return (
      <Empty title="No node is there">
        <StartWorker />
      </Empty>
    )
  const rows = [...nodes].sort((a, b) => Number(isLost(a)) - Number(isLost(b)))
  return (
    <Table
      label="Nodes"
      columns={columnsOf(at)}
      rows={rows}
      rowHeight={40}
      keyOf={({ session }) => session}
      nameOf={({ id }) => id}
      lookOf={(node) => (isLost(node) ? 'is-over' : '')}
      card={(node) => (
        <>
          <div class="card-line">
            <Name worker={node} />
            <span class="push small soft">{node.isLeader ? 'leader' : node.role}</span>
          </div>
          <div class="card-line small">
            <State state={node.state} />
            <span class="push">
              <Beat node={node} at={at} />
            </span>
          </div>
        </>
      )}
      foot={
        nodes.length < MOST_NODES ? undefined : (
          <div class="table-foot">
            The first {count(nodes.length)};{' '}
            <a class="link" href={href(['workers'])}>
              all workers
            </a>
          </div>
        )
      }
    />
  )
}
