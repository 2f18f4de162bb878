/**
 * Tasks that a handler runs and that only its process has: it made them, or its module does not export them. Other processes find tasks by their
 * names, so nobody would ever take them. Hides how that is found out: it costs nothing where the worker offers the task itself.
 */
import type { Backend } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { GraphInUse } from './execution.js'
import type { GroupPlan } from './group-plan.js'

interface Process {
  readonly backend: { readonly inspect: Pick<Backend['inspect'], 'sessions'> }
  /** Names of code that this process says that it has; absent where it takes no work beside others. */
  readonly offered?: ReadonlySet<string>
}

/**
 * Refuses to dispatch a task that has its handler here, that this worker does not offer, and that no live worker knows.
 * @throws GraflowError NO_HANDLER
 */
export async function refuseOwnTasks(
  { backend, offered }: Process,
  { code }: Pick<GraphInUse, 'code'>,
  { spec: { tasks, queue }, path }: Pick<GroupPlan, 'spec' | 'path'>,
): Promise<void> {
  if (offered === undefined) return
  const own = tasks.filter((task) => !offered.has(task) && code.task(task)?.handler !== undefined)
  if (own.length === 0) return
  const asked = (await backend.inspect.sessions()).filter(
    ({ role, queues }) => role !== 'client' && role !== 'observer' && (queues === 'all' || queues.includes(queue)),
  )
  const task = own.find((name) => !asked.some(({ tasks: known }) => known === 'all' || known.includes(name)))
  if (task !== undefined) throw onlyHere(task, path, [...new Set(asked.map(({ baseId }) => baseId))].sort())
}

const onlyHere = (task: string, path: string, asked: readonly string[]): GraflowError =>
  new GraflowError(
    'NO_HANDLER',
    `no worker knows task "${task}" (at ${path}), which only the handler has that runs it; asked: ${asked.join(', ')}. Workers find tasks by ` +
      `name in the modules that they load: export "${task}" from one, or run it in place with ctx.next, or call it as a function`,
    { details: { task, path, asked } },
  )
