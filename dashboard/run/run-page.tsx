/** One run. */
import type { JSX } from 'preact'
import { at } from '../api.js'
import { Gone, Show } from '../parts/feedback.js'
import { Page } from '../parts/page.js'
import { State } from '../parts/state.js'
import { Id } from '../parts/text.js'
import { useQuery } from '../use-query.js'
import type { RunStatus } from '../wire.js'

export function RunPage({ id }: { readonly id: string }): JSX.Element {
  const query = useQuery<RunStatus>(at`/runs/${id}`, { on: () => true })
  return (
    <Page
      title={query.state.is === 'ready' ? (query.state.value.workflow ?? 'Run') : 'Run'}
      tab={id}
      note={<Id id={id} most={40} />}
    >
      <Show
        what="This run"
        query={query}
        gone={
          <Gone title="This run is gone">
            <p>It never was, was deleted, or its retention is over.</p>
          </Gone>
        }
      >
        {(run) => <State state={run.state} />}
      </Show>
    </Page>
  )
}
