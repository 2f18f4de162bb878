/** Waits for the end of a run, at most so long; the caller is told how the run stands then. */
import type { RunRecord } from '../backend/backend.js'
import { isEnded, outcomeOfRun } from '../engine/driver.js'
import { changesOf } from '../producer/follow-run.js'
import { runNotFound } from '../producer/handle-services.js'
import type { ServerServices } from './services.js'
import { plainValue, typedValue } from './typed-values.js'

/** The longest that a request waits. */
export const MOST_WAIT_MS = 300_000

/**
 * The record of the run once it is over, or as it is after `waitMs`, or when the server ends or the caller leaves.
 * @throws GraflowError RUN_NOT_FOUND
 */
export async function endOfRun(
  { session, clock, closing }: ServerServices,
  runId: string,
  waitMs: number,
  left?: AbortSignal,
): Promise<RunRecord> {
  const { backend, engine, emitter } = session
  const changes = changesOf(runId, { backend, engine, emitter }, ['state'])
  const signals = [closing, ...(left === undefined ? [] : [left])]
  const late = new AbortController()
  let wake: () => void = () => undefined
  const stop = (): void => {
    late.abort()
    wake()
  }
  const disarm = clock.after(waitMs, stop)
  for (const signal of signals) signal.addEventListener('abort', stop)
  if (signals.some(({ aborted }) => aborted)) stop()
  try {
    for (;;) {
      const changed = changes.next()
      const record = await session.store.inspect.run(runId)
      if (record === undefined) throw runNotFound(runId)
      if (isEnded(record) || late.signal.aborted) return record
      await Promise.race([
        changed,
        new Promise<void>((resolve) => {
          wake = resolve
        }),
      ])
    }
  } finally {
    disarm()
    changes.end()
    for (const signal of signals) signal.removeEventListener('abort', stop)
  }
}

/** A run as the answer of a start: with its result or error, where it is over. */
export function startedRun(record: RunRecord): Readonly<Record<string, unknown>> {
  const { runId: id, state } = record
  if (!isEnded(record)) return { id, state }
  const outcome = outcomeOfRun(record)
  if ('error' in outcome) return { id, state, error: plainValue(outcome.error) }
  const { value, types, truncated } = typedValue(outcome.value)
  return {
    ...{ id, state, result: value },
    ...(Object.keys(types).length > 0 && { types }),
    ...(truncated === true && { truncated }),
  }
}
