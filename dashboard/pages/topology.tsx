/** Pipeline groups: which events go to which pipeline, and on which worker each runs. */
import type { JSX } from 'preact'
import { Empty } from '../parts/feedback.js'
import { State } from '../parts/state.js'
import { Tag } from '../parts/text.js'
import { href } from '../router.js'

interface Pipeline {
  readonly name: string
  readonly source: string
}
interface Route {
  readonly from: string
  readonly to: string
  readonly eventTypes: readonly string[]
}
interface Placement {
  readonly pipeline: string
  /** Null where no worker lives that could drive it. */
  readonly workerId: string | null
}
export interface PipelineGroup {
  readonly id: string
  readonly name: string
  readonly status: string
  readonly pipelines?: readonly Pipeline[]
  readonly routes?: readonly Route[]
  readonly placements?: readonly Placement[]
}

const EXTERNAL = '_external'

export const Topology = ({ groups }: { readonly groups: readonly PipelineGroup[] }): JSX.Element =>
  groups.length === 0 ? (
    <Empty title="None is deployed">
      <p>
        A group deploys named flows with routes from event types to them:{' '}
        <code>POST /api/v1/cluster/pipeline-groups</code>
      </p>
    </Empty>
  ) : (
    <div class="groups">
      {groups.map((group) => (
        <GroupView key={group.id} group={group} />
      ))}
    </div>
  )

const workerOf = ({ placements = [] }: PipelineGroup, { name }: Pipeline): string | null =>
  placements.find(({ pipeline }) => pipeline === name)?.workerId ?? null

/** Pipelines in order of how far they are from outside. */
function layersOf({ pipelines = [], routes = [] }: PipelineGroup): readonly (readonly Pipeline[])[] {
  const depth = new Map<string, number>()
  let edge = new Set([EXTERNAL])
  for (let step = 0; edge.size > 0 && step <= pipelines.length; step += 1) {
    const next = new Set<string>()
    for (const { from, to } of routes) if (edge.has(from) && !depth.has(to)) next.add(to)
    for (const name of next) depth.set(name, step)
    edge = next
  }
  const last = Math.max(0, ...depth.values())
  const layers: Pipeline[][] = Array.from({ length: last + 1 }, () => [])
  for (const pipeline of pipelines) layers[depth.get(pipeline.name) ?? last]?.push(pipeline)
  return layers.filter((layer) => layer.length > 0)
}

function GroupView({ group }: { readonly group: PipelineGroup }): JSX.Element {
  const { name, status, routes = [] } = group
  return (
    <section class="group" aria-label={`Pipeline group ${name}`}>
      <header>
        <h3 class="wrap">{name}</h3>
        <State state={status === 'running' ? 'live' : status} word={status} />
      </header>
      <div class="layers">
        <div class="layer">
          <div class="pipe is-outside">events from outside</div>
        </div>
        {layersOf(group).map((layer, i) => (
          <div class="layer" key={i}>
            {layer.map((pipeline) => {
              const worker = workerOf(group, pipeline)
              return (
                <div class="pipe" key={pipeline.name}>
                  <div class="pipe-in">
                    {routes
                      .filter(({ to }) => to === pipeline.name)
                      .map(({ from, eventTypes }) => (
                        <span key={`${from} ${eventTypes.join()}`} class="small faint">
                          {from === EXTERNAL ? '' : `${from} `}→{' '}
                          {eventTypes.map((type) => (
                            <Tag key={type}>{type}</Tag>
                          ))}
                        </span>
                      ))}
                  </div>
                  <b class="wrap">{pipeline.name}</b>
                  <code class="wrap">{pipeline.source}</code>
                  <span class="small soft">
                    {worker === null ? (
                      'not placed'
                    ) : (
                      <>
                        on{' '}
                        <a class="link" href={href(['workers'], { id: worker })}>
                          {worker}
                        </a>
                      </>
                    )}
                  </span>
                </div>
              )
            })}
          </div>
        ))}
      </div>
    </section>
  )
}
