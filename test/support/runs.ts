/** What a test asks of runs through a client: their marks, events and ends. */
import type { GraflowError } from '../../lib/errors.js'
import type { AnyNode, EventName, EventOf, Graflow, In, Out, Run, RunOptions } from 'graflow'
import type { ManualClock } from 'graflow/testing'
import { failureOf } from './captured-errors.js'
import { turn, until, within } from './waits.js'

/** What `mark` notes from now on, in all runs of the client; grows while they run. */
export function logOf(graflow: Graflow): string[] {
  const log: string[] = []
  graflow.events.subscribe('run:progress', ({ message }) => {
    if (message !== undefined) log.push(message)
  })
  return log
}

/** The first event of this name from now on that `fits`. */
export function nextEvent<const K extends EventName>(
  graflow: Graflow,
  name: K,
  fits: (event: EventOf<K>) => boolean = () => true,
): Promise<EventOf<K>> {
  let off = (): void => undefined
  const seen = new Promise<EventOf<K>>((resolve) => {
    off = graflow.events.subscribe(name, (event) => {
      if (fits(event)) resolve(event)
    })
  })
  return within(5_000, seen, `an event ${name}`).finally(() => {
    off()
  })
}

/** Waits for a handler to `mark` this text. */
export const nextMark = async (graflow: Graflow, text: string): Promise<void> => {
  await nextEvent(graflow, 'run:progress', ({ message }) => message === text)
}

/** Runs a flow to its failure. */
export const failureOfRun = <const N extends AnyNode>(
  graflow: Graflow,
  node: N,
  input: In<N>,
  options?: RunOptions,
): Promise<GraflowError> => failureOf(graflow.run(node, input, options))

/** Starts a flow and gives its handle once its result is known. */
export async function finished<const N extends AnyNode>(
  graflow: Graflow,
  node: N,
  input: In<N>,
  options?: RunOptions,
): Promise<Run<Out<N>>> {
  const run = await graflow.start(node, input, options)
  await run.result()
  return run
}

/** Milliseconds until the next timer of this clock, once there is one; undefined as soon as `isOver`. */
export async function dueIn(clock: ManualClock, isOver: () => boolean = () => false): Promise<number | undefined> {
  let due: number | undefined
  const isKnown = async (): Promise<boolean> => {
    await turn() // what is under way comes first
    due = isOver() ? undefined : clock.nextDueMs()
    return isOver() || due !== undefined
  }
  await until(isKnown, 'a timer of the manual clock', 5_000)
  return due
}
