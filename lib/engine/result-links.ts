/**
 * Says where the result of a node is found whose own path keeps none: of a flow that a handler brought, the store has the graph only if a group
 * of it was dispatched, and without the graph a reader cannot know its last step, its chosen case or its last pass.
 */
import { pathsByName, pathUnder, stepsOf } from '../graph/locate.js'
import { encode } from '../values/codec.js'
import { runPathOf, type Frame } from './execution.js'

const LINK = 'at'

/** Where a result is found. */
export interface ResultLink {
  readonly path: string
  /** What is there says `done` with the result: it is that of a loop's last pass. */
  readonly isDone: boolean
  /** Of a whole flow: where its tasks and workflows stand in its graph, by name. */
  readonly tasks?: Readonly<Record<string, readonly string[]>>
}

/** What the node at `path` gave is that of the node at `at`. Kept only inside a flow that a handler brought here. */
export function linkResult({ execution, use }: Frame, path: string, at: string, isDone = false): void {
  if (use.outer === undefined || (path === '' && execution.savedOutput(use.base) !== undefined)) return
  const link = { '~control': LINK, path: runPathOf(use, at), ...(isDone && { isDone }) }
  execution.save(runPathOf(use, path), encode(link))
}

/** What a flow gives that a handler goes on with, and where its tasks stand: nobody else may know its graph. Kept from its begin on. */
export function linkFlow({ execution, use }: Frame): void {
  if (execution.savedOutput(use.base) !== undefined) return
  const link = {
    '~control': LINK,
    path: runPathOf(use, pathUnder('', stepsOf(use.graph).length - 1)),
    tasks: Object.fromEntries(pathsByName(use.graph)),
  }
  execution.save(use.base, encode(link))
}

/** The link that is kept in place of an output; undefined for any other. */
export function linkIn(output: unknown): ResultLink | undefined {
  if (typeof output !== 'object' || output === null || !Object.hasOwn(output, '~control')) return undefined
  const { '~control': control, path, isDone, tasks } = output as { readonly '~control': unknown } & Partial<ResultLink>
  if (control !== LINK || typeof path !== 'string') return undefined
  return { path, isDone: isDone === true, ...(tasks !== undefined && { tasks }) }
}
