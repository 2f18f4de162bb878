/** Which page stands at which address. */
import type { JSX } from 'preact'
import { Empty } from '../parts/feedback.js'
import { Page } from '../parts/page.js'
import { BuildsPage } from '../pages/builds.js'
import { ClusterPage } from '../pages/cluster.js'
import { DeadLettersPage } from '../pages/dead-letters.js'
import { OverviewPage } from '../pages/overview.js'
import { QueuesPage } from '../pages/queues.js'
import { RunsPage } from '../pages/runs.js'
import { StartPage } from '../pages/start.js'
import { WaitsPage } from '../pages/waits.js'
import { WorkersPage } from '../pages/workers.js'
import { href, type Route } from '../router.js'
import { RunPage } from '../run/run-page.js'

export function pageOf({ parts }: Route): JSX.Element {
  const [page, id, ...more] = parts
  if (more.length === 0 && page === 'runs' && id !== undefined) return <RunPage key={id} id={id} />
  if (more.length === 0 && page === 'dead-letters') return <DeadLettersPage {...(id !== undefined && { id })} />
  if (id === undefined) {
    switch (page) {
      case undefined:
        return <OverviewPage />
      case 'runs':
        return <RunsPage />
      case 'waits':
        return <WaitsPage />
      case 'queues':
        return <QueuesPage />
      case 'workers':
        return <WorkersPage />
      case 'builds':
        return <BuildsPage />
      case 'cluster':
        return <ClusterPage />
      case 'start':
        return <StartPage />
    }
  }
  return (
    <Page title="Nothing here">
      <Empty title="There is no such page">
        <p>
          The address may be of another version.{' '}
          <a class="link" href={href([])}>
            To the overview
          </a>
        </p>
      </Empty>
    </Page>
  )
}
