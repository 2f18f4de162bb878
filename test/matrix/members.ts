/** Members of the groups of the matrix, and what their groups come to. */
import type { AnyNode, Outcome } from 'graflow'
import type { Side, TaskSpec } from './table.js'
import { aborted, codeOf } from './task-options.js'

type Handler = TaskSpec['handler']

/** Types say nothing here: members are any that take a number, and so are the groups of them. */
export const any = (node: AnyNode): any => node

/** A group is never declared. */
export const AS_DECLARED = {
  'left out': 'The members of the group are as in the column `declared`, and it is written whole.',
} as const

/** A member of a group, which notes by its name where it starts. */
export const member = (side: Side, name: string, handler: Handler): any =>
  any(
    side.task(name, {
      handler: (n, ctx) => {
        side.notes.add(name, side.who)
        return handler(n, ctx)
      },
    }),
  )

export const same = (n: number): number => n

export const fails = (): never => {
  throw new Error('declined')
}

/** Waits until it is not wanted any more, and notes why under this name. */
export const waits =
  (side: Side, what = 'aborted'): Handler =>
  (_, ctx) =>
    aborted(ctx).catch((reason: unknown) => {
      side.notes.add(what, codeOf(reason))
      throw reason
    })

export const statuses = (outcomes: unknown): readonly string[] =>
  Object.values(outcomes as Readonly<Record<string, Outcome<unknown>>>).map(({ status }) => status)

/** The outcomes of the innermost group that failed. */
export function outcomesIn(errors: readonly Error[]): readonly string[] {
  const groups = errors.filter((error) => codeOf(error) === 'GROUP_FAILED')
  const { details } = groups.at(-1) as unknown as {
    readonly details: { readonly outcomes: readonly { readonly status: string }[] }
  }
  return details.outcomes.map(({ status }) => status)
}
