/** `tasks.execute`, `tasks.get` and `tasks.cancel` of JSON-RPC: tasks by their names, each as a run of its own, found again by the id that the caller gave it. */
import { errorOfProblem, RPC_CODES, RpcError, type RpcCall } from './json-rpc.js'
import { unknownMember } from './known-members.js'
import { problemOf } from './problems.js'
import { MOST_WAIT_MS } from './run-ends.js'

type Params = Readonly<Record<string, unknown>>

/** One of `params.tasks`. */
interface TaskRequest {
  readonly id: string
  readonly name: string
  readonly inputs: unknown
}

const MOST_TASKS = 1_000
const AT_ONCE = 32

const invalid = (message: string): RpcError => new RpcError(RPC_CODES.invalidParams, message)

/** Runs of a task have this tag. */
const tagOf = (id: string): string => `task:${id}`

/** Over: answers when all are over, or with `wait: false` at once, or after `wait` milliseconds. */
export async function executeTasks(call: RpcCall, params: Params): Promise<unknown> {
  const { wait = true, ...rest } = params
  const tasks = tasksIn(rest)
  if (typeof wait !== 'boolean' && !(typeof wait === 'number' && wait >= 0 && wait <= MOST_WAIT_MS))
    throw invalid(`params: wait: expected true, false, or milliseconds up to ${MOST_WAIT_MS}`)
  const waitMs = wait === true ? MOST_WAIT_MS : wait === false ? 0 : Math.floor(wait)
  const answers: unknown[] = tasks.map(() => undefined)
  const left = tasks.entries()
  const work = async (): Promise<void> => {
    for (const [i, task] of left) answers[i] = await startTask(call, task)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  const ended = answers.map((answer) => endOf(call, answer as StartedTask, waitMs)) // each of them is one by now
  return { tasks: await Promise.all(ended) }
}

interface StartedTask {
  readonly id: string
  readonly run?: string
  readonly state: string
  readonly error?: unknown
}

async function startTask(call: RpcCall, { id, name, inputs }: TaskRequest): Promise<StartedTask> {
  const start = (what: object): Promise<unknown> => call('runs.start', { ...what, input: inputs, tags: [tagOf(id)] })
  try {
    const { id: run, state } = (await start({ flow: name }).catch((error: unknown) => {
      // what is no task may be a workflow
      if (isCode(error, 'UNKNOWN_NAME')) return start({ workflow: name })
      throw error
    })) as { readonly id: string; readonly state: string } // as the route answers
    return { id, run, state }
  } catch (error) {
    // who may not start anything is told so, and not for each task
    if (!(error instanceof RpcError) || isCode(error, 'FORBIDDEN')) throw error
    return { id, state: 'failed', error: error.data ?? { message: error.message } }
  }
}

const isCode = (error: unknown, code: string): boolean =>
  error instanceof RpcError && (error.data as { readonly code?: unknown } | undefined)?.code === code

async function endOf(call: RpcCall, started: StartedTask, waitMs: number): Promise<StartedTask> {
  if (started.run === undefined) return started
  const { id: _, ...run } = (await call('runs.end', { id: started.run, wait: waitMs })) as Record<string, unknown> & {
    readonly state: string
  }
  return { id: started.id, run: started.run, ...run }
}

/** A task by its id or by that of its run. */
export async function getTask(call: RpcCall, { id, ...others }: Params): Promise<unknown> {
  refuseOthers('params', others, ['id'])
  const run = await runOf(call, id)
  const { id: _, ...rest } = (await call('runs.end', { id: run, wait: 0 })) as Record<string, unknown>
  return { id, run, ...rest }
}

/** Ends it as cancelled. */
export async function cancelTask(call: RpcCall, { id, reason, ...others }: Params): Promise<unknown> {
  refuseOthers('params', others, ['id', 'reason'])
  const run = await runOf(call, id)
  const { changed } = (await call('runs.cancel', { id: run, ...(reason !== undefined && { reason }) })) as {
    changed: boolean
  }
  return { id, run, changed }
}

/** The run that has the id, or else the newest one of the task that was given it. */
async function runOf(call: RpcCall, id: unknown): Promise<string> {
  if (typeof id !== 'string' || id === '') throw invalid('params: id: expected the id of a task or run, a text')
  try {
    await call('runs.end', { id, wait: 0 })
    return id
  } catch (error) {
    if (!isCode(error, 'RUN_NOT_FOUND')) throw error
    const { items } = (await call('runs.list', { tag: tagOf(id), limit: 1 })) as {
      readonly items: readonly { readonly id: string }[]
    }
    if (items[0] === undefined) throw error
    return items[0].id
  }
}

function refuseOthers(place: string, others: object, known: readonly string[]): void {
  const [name] = Object.keys(others)
  if (name !== undefined) throw errorOfProblem(problemOf(unknownMember(place, name, known)))
}

function tasksIn(params: Params): readonly TaskRequest[] {
  const { tasks, ...rest } = params
  refuseOthers('params', rest, ['tasks', 'wait'])
  if (!Array.isArray(tasks) || tasks.length === 0 || tasks.length > MOST_TASKS)
    throw invalid(`params: tasks: expected a list of 1 to ${MOST_TASKS} tasks { id, name, inputs }`)
  return tasks.map((task: unknown, i) => {
    const { id, name, inputs, ...others } = (task ?? {}) as { readonly [K in 'id' | 'name' | 'inputs']?: unknown }
    refuseOthers(`params: tasks[${i}]`, others, ['id', 'name', 'inputs'])
    const text = typeof id === 'number' ? String(id) : id
    if (typeof text !== 'string' || !/^[^\p{Cc}]{1,100}$/u.test(text))
      throw invalid(`params: tasks[${i}]: id: expected a text of 1 to 100 characters`)
    if (typeof name !== 'string') throw invalid(`params: tasks[${i}]: name: expected the name of a task`)
    return { id: text, name, inputs }
  })
}
