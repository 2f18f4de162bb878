/** Builds: which of them may go. */
import type { JSX } from 'preact'
import { isOfRuns, isOfWorkers } from '../changes.js'
import { count, plural } from '../format.js'
import { Empty, Show } from '../parts/feedback.js'
import { MoreFoot } from '../parts/more.js'
import { Page } from '../parts/page.js'
import { type Column, Table } from '../parts/table.js'
import { href } from '../router.js'
import { usePages } from '../use-pages.js'
import type { BuildLine } from '../wire.js'

function Verdict({ build: { workers, runs } }: { readonly build: BuildLine }): JSX.Element {
  if (runs > 0 && workers === 0) return <span class="why is-failed">its runs have no worker</span>
  if (runs > 0) return <span class="why is-running">still needed</span>
  return <span class="why is-succeeded">may go</span>
}

const COLUMNS: readonly Column<BuildLine>[] = [
  {
    key: 'build',
    title: 'Build',
    track: 'minmax(140px, 2fr)',
    min: 140,
    cell: ({ buildId }) => (
      <a class="cut strong" href={href(['runs'], { build: buildId })} title={`Runs that are pinned to ${buildId}`}>
        {buildId}
      </a>
    ),
  },
  {
    key: 'workers',
    title: 'Live workers',
    track: '112px',
    min: 112,
    isEnd: true,
    cell: ({ workers }) => <span class="num">{count(workers)}</span>,
  },
  {
    key: 'runs',
    title: 'Unfinished runs',
    track: '128px',
    min: 128,
    isEnd: true,
    cell: ({ runs }) => <span class="num">{count(runs)}</span>,
  },
  {
    key: 'verdict',
    title: 'Its workers',
    track: 'minmax(150px, 1fr)',
    min: 150,
    cell: (build) => <Verdict build={build} />,
  },
]

export function BuildsPage(): JSX.Element {
  const pages = usePages<BuildLine>(
    '/builds',
    {},
    { on: (event) => isOfRuns(event) || isOfWorkers(event), everyMs: 5_000 },
  )
  return (
    <Page title="Builds" note="a build may go when no unfinished run is pinned to it">
      <Show what="Builds" query={pages}>
        {() =>
          pages.items.length === 0 ? (
            <Empty title="No builds">
              <p>
                Workers and clients that say their build (<code>--build-id</code>) are counted here, with the runs that
                are pinned to it.
              </p>
            </Empty>
          ) : (
            <Table
              label="Builds"
              columns={COLUMNS}
              rows={pages.items}
              rowHeight={40}
              keyOf={({ buildId }) => buildId}
              card={(build) => (
                <>
                  <div class="card-line">
                    <a class="cut strong" href={href(['runs'], { build: build.buildId })}>
                      {build.buildId}
                    </a>
                  </div>
                  <div class="card-line small">
                    <Verdict build={build} />
                    <span class="push soft">
                      {plural(build.workers, 'worker')}, {plural(build.runs, 'run')}
                    </span>
                  </div>
                </>
              )}
              onEnd={pages.loadMore}
              foot={<MoreFoot pages={pages} one="build" />}
            />
          )
        }
      </Show>
    </Page>
  )
}
