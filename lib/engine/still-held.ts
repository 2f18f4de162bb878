/**
 * Whether a branch may still be this process's, before one of its handlers is started: a process that stood still for longer than its session lives
 * goes on as if nothing had happened, and another one may have the branch. Hides that nothing is asked as long as the session is renewed.
 */
import type { Backend } from '../backend/backend.js'
import { refusalOf, type Frame } from './execution.js'

export interface StillHeldOptions {
  readonly backend: Pick<Backend, 'step'>
  /** Whether no renewal has arrived for as long as the session lives: the store may have given to others what it holds. Absent: that cannot be. */
  readonly mayBeLost?: () => boolean
}

/** Undefined where the branch is held, as far as is known here; else resolves once the store has said so. Rejects where it is not held any more. */
export function stillHeld({ backend, mayBeLost }: StillHeldOptions, frame: Frame): Promise<void> | undefined {
  if (mayBeLost?.() !== true) return undefined
  return ask(backend, frame)
}

async function ask(backend: Pick<Backend, 'step'>, { execution, cancel }: Frame): Promise<void> {
  if (execution.opening !== undefined && !(await execution.opening.isOpened())) throw refusalOf(execution)
  const { holder, runId } = execution.facts
  const { status } = await backend.step({ holder, runId })
  if (status === 'fenced') throw cancel.reason ?? refusalOf(execution)
}
