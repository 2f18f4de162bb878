/**
 * Finds the error of one path inside the error of its run: the error of a group contains those of its branches, and the error of a task contains
 * that of a fork if the handler rethrew it.
 */
import { GraflowError } from '../errors.js'

/** Errors inside an error that are looked through. */
const MOST_ERRORS_DEEP = 8

/** The error of a branch inside the error of its run: the store has none of it, as where no worker knew its task. */
export function failureOfBranch(
  error: unknown,
  branch: { readonly group: string; readonly index: number } | undefined,
  deep = MOST_ERRORS_DEEP,
): Error | undefined {
  if (!(error instanceof GraflowError) || branch === undefined || deep === 0) return undefined
  const { group, outcomes } = error.details
  if (group === branch.group && Array.isArray(outcomes)) {
    const all = outcomes as readonly { readonly index?: unknown; readonly message?: unknown }[]
    const own = all.find(({ index }) => index === branch.index)
    return error.errors.find(({ message }) => message === own?.message)
  }
  for (const inner of [error.cause, ...error.errors]) {
    const failure = failureOfBranch(inner, branch, deep - 1)
    if (failure !== undefined) return failure
  }
  return undefined
}

/** What arose at the path or inside it: an error, or one inside it where a handler threw on what its fork failed with. */
export function failureWithin(error: unknown, path: string, deep = MOST_ERRORS_DEEP): GraflowError | undefined {
  if (!(error instanceof GraflowError) || deep === 0) return undefined
  const { path: at, group, place } = error.details
  const isWithin = [at, group, place].some(
    (own) => typeof own === 'string' && (own === path || own.startsWith(`${path}/`)),
  )
  if (isWithin) return error
  for (const inner of [error.cause, ...error.errors]) {
    const found = failureWithin(inner, path, deep - 1)
    if (found !== undefined) return found
  }
  return undefined
}
