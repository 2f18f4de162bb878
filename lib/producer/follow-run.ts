/** Follows the changes of a run: by the store's hints, and, since hints may be lost, by a look every few seconds. */
import type { Backend, RunChange } from '../backend/backend.js'
import type { Engine } from '../engine/engine.js'
import type { Emitter } from '../events.js'

/** What following a run needs of the client. */
export interface FollowServices {
  readonly backend: Backend
  readonly engine: Engine
  readonly emitter: Emitter
}

/** Whether calls travel: then watching a run costs something, and its hints may be lost. */
export const isDistant = (backend: Backend): boolean => backend.onReconnected !== undefined

/** Hints may be lost: after about so long it is worth a look all the same. */
const SLOW_LOOK_MS = 2_500

/** Calls `look` whenever it is worth looking at a run again, for changes of these kinds; returns what ends that. */
export function followRun(
  runId: string,
  { backend, engine }: FollowServices,
  kinds: readonly RunChange[],
  look: () => void,
): () => void {
  const { clock, random } = engine.parts
  let disarm: (() => void) | undefined
  const arm = (): void => {
    disarm = clock.after(
      SLOW_LOOK_MS * (0.8 + 0.4 * random()),
      () => {
        arm()
        look()
      },
      true,
    )
  }
  const off = [
    backend.watch(runId, ({ kind }) => {
      if (kind !== 'events' && kinds.includes(kind)) look()
    }),
    backend.onReconnected?.(look),
  ]
  if (isDistant(backend)) arm()
  return () => {
    disarm?.()
    for (const end of off) end?.()
  }
}

/** Changes of a run, one after the other. `end` it. */
export interface ChangesOfRun {
  /** Resolves at the next change. Ask before looking, then wait. */
  next(): Promise<void>
  end(): void
}

export function changesOf(runId: string, services: FollowServices, kinds: readonly RunChange[]): ChangesOfRun {
  let wake: () => void = () => undefined
  const end = followRun(runId, services, kinds, () => wake())
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
    })
  return { next, end }
}
