/** Commands on selected runs, or on all that match the filters: says how many, and asks once. What is for all that match, the server does in the background. */
import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { at, post, remove } from '../api.js'
import { count, plural } from '../format.js'
import { act, ask, Button } from '../parts/buttons.js'
import { toast } from '../parts/toasts.js'
import { asApiError } from '../use-query.js'
import type { Changed, Run } from '../wire.js'
import { BULK_ACTIONS, type BulkAction, type BulkJob, watchJob, WORDS } from './bulk-jobs.js'
import type { RunQuery } from './run-feed.js'

const one = (action: BulkAction, id: string): Promise<Changed | undefined> =>
  action === 'delete' ? remove(at`/runs/${id}`) : post(`${at`/runs/${id}`}/${action}`)

const AT_ONCE = 6

/** Does it to each; what cannot be done is counted, and the first reason told. */
async function toEach(action: BulkAction, ids: readonly string[], onStep: (done: number) => void): Promise<void> {
  const queue = [...ids]
  let [done, same, looked] = [0, 0, 0]
  const reasons: string[] = []
  const work = async (): Promise<void> => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      try {
        if ((await one(action, id))?.changed === false) same += 1
        else done += 1
      } catch (error) {
        reasons.push(asApiError(error).message)
      }
      looked += 1
      onStep(looked)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  tell(action, done, same, reasons)
}

function tell(action: BulkAction, done: number, same: number, reasons: readonly string[]): void {
  const [reason] = reasons
  const left = same === 0 ? '' : `, ${count(same)} left as they are`
  const text = `${plural(done, 'run')} ${WORDS[action].done}${left}`
  if (reason === undefined) toast({ kind: 'done', text })
  else toast({ kind: 'failed', text: `${text}, ${count(reasons.length)} not: ${reason}` })
}

interface Counted {
  readonly matched: number
  /** There are more than the server counts. */
  readonly isMore: boolean
}
const LISTS: ReadonlySet<string> = new Set(['state', 'why'])

/**
 * What the server is given. Runs that come from now on are none that one has seen: the newest row is the last of them, by the clock of the store. A
 * filter that names nothing is refused, so this makes one of none, too.
 */
function filterOf(query: RunQuery, rows: readonly Run[]): Readonly<Record<string, unknown>> {
  const filter: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') filter[name] = LISTS.has(name) ? value.split(',') : value
  const newest = rows.reduce((last, { createdAt }) => Math.max(last, Date.parse(createdAt)), 0)
  return { ...filter, until: query['until'] ?? new Date(newest + 1).toISOString() }
}

const bulk = <T,>(action: BulkAction, filter: object, isDryRun: boolean): Promise<T> =>
  post<T>('/runs/bulk?wait=0', { action, filter, ...(isDryRun && { dryRun: true }) })

interface BulkBarProps {
  readonly selected: ReadonlySet<string>
  readonly rows: readonly Run[]
  readonly filter: RunQuery
  /** Whether there are more than those that are loaded, which the server can find. */
  readonly isAllPossible: boolean
  readonly onSelect: (keys: ReadonlySet<string>) => void
  readonly onDone: () => void
}

export function BulkBar(props: BulkBarProps): JSX.Element | null {
  const { selected, rows, isAllPossible, onSelect } = props
  const [isAll, setAll] = useState(false)
  // what is meant by all is said anew for each selection
  useEffect(() => setAll(false), [selected])
  const [step, setStep] = useState<string | undefined>(undefined)
  if (selected.size === 0) return null
  const isWhole = rows.length > 0 && rows.every(({ id }) => selected.has(id))
  const isEvery = isAll && isWhole
  const run = async (action: BulkAction): Promise<void> => {
    await (isEvery ? toAll(action, props, setStep) : toSelected(action, props, setStep))
    setStep(undefined)
  }
  return (
    <div class="bulk" role="region" aria-label="Selected runs">
      <b class="num">{isEvery ? 'All that match' : `${count(selected.size)} selected`}</b>
      {isWhole && isAllPossible && !isAll && (
        <Button look="quiet" onClick={() => setAll(true)}>
          Select all that match
        </Button>
      )}
      <span class="bulk-step" role="status">
        {step}
      </span>
      {BULK_ACTIONS.map((action) => (
        <Button
          key={action}
          look={action === 'delete' ? 'danger' : 'plain'}
          needs={action === 'delete' ? 'admin' : 'operate'}
          isBusy={step !== undefined}
          onClick={() => void run(action)}
        >
          {WORDS[action].verb}
        </Button>
      ))}
      <Button look="quiet" onClick={() => onSelect(new Set())}>
        Clear
      </Button>
    </div>
  )
}

type Step = (text: string) => void

async function toSelected(action: BulkAction, { selected, onSelect, onDone }: BulkBarProps, step: Step): Promise<void> {
  const { verb, says } = WORDS[action]
  const ids = [...selected]
  const many = plural(ids.length, 'run')
  const isDangerous = action !== 'retry'
  if (!(await ask({ title: `${verb} ${many}?`, text: <p>{says}</p>, action: `${verb} ${many}`, isDangerous }))) return
  step(`${verb}: 0 of ${count(ids.length)}`)
  await toEach(action, ids, (done) => step(`${verb}: ${count(done)} of ${count(ids.length)}`))
  onSelect(new Set())
  onDone()
}

async function toAll(action: BulkAction, { filter, rows, onSelect }: BulkBarProps, step: Step): Promise<void> {
  const { verb, says, none } = WORDS[action]
  const wanted = filterOf(filter, rows)
  step('Counting …')
  const found = await act(() => bulk<Counted>(action, wanted, true))
  if (found === undefined) return
  if (found.matched === 0) {
    toast({ kind: 'done', text: none })
    return
  }
  const many = `${found.isMore ? 'more than ' : ''}${plural(found.matched, 'run')}`
  const isMeant = await ask({
    title: `${verb} all ${many} that match?`,
    text: <p>{says} The server goes on with it also when you leave this page.</p>,
    action: `${verb} ${many}`,
    isDangerous: action !== 'retry',
  })
  if (!isMeant) return
  const job = await act(() => bulk<BulkJob>(action, wanted, false))
  if (job === undefined) return
  watchJob(job, found.isMore ? undefined : found.matched)
  onSelect(new Set())
}
