/** Commands on selected runs, or on all that match the filters: says how many, and asks once. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { at, call, post, remove } from '../api.js'
import { count, plural } from '../format.js'
import { act, ask, Button } from '../parts/buttons.js'
import { toast } from '../parts/toasts.js'
import { asApiError } from '../use-query.js'
import type { Run } from '../wire.js'
import type { RunQuery } from './run-feed.js'

type Action = 'retry' | 'cancel' | 'delete'
const WORDS: Readonly<Record<Action, { readonly verb: string; readonly done: string; readonly says: string }>> = {
  retry: {
    verb: 'Retry',
    done: 'retried',
    says: 'Runs that failed go on from what failed; succeeded work is kept. Others are left as they are.',
  },
  cancel: { verb: 'Cancel', done: 'cancelled', says: 'What they do is stopped. Runs that are over stay as they are.' },
  delete: {
    verb: 'Delete',
    done: 'deleted',
    says: 'Their records, inputs and results are deleted for good. Runs that are not over are cancelled first.',
  },
}

const one = (action: Action, id: string): Promise<unknown> =>
  action === 'delete' ? remove(at`/runs/${id}`) : post(at`/runs/${id}` + `/${action}`)

const AT_ONCE = 6

/** Does it to each; what cannot be done is counted, and the first reason told. */
async function toEach(action: Action, ids: readonly string[], onStep: (done: number) => void): Promise<void> {
  const queue = [...ids]
  let done = 0
  let looked = 0
  const reasons: string[] = []
  const work = async (): Promise<void> => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      try {
        await one(action, id)
        done += 1
      } catch (error) {
        reasons.push(asApiError(error).message)
      }
      looked += 1
      onStep(looked)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  tell(action, done, reasons.length, reasons[0])
}

function tell(action: Action, done: number, failed: number, reason: string | undefined): void {
  const text = `${plural(done, 'run')} ${WORDS[action].done}`
  if (failed === 0) toast({ kind: 'done', text })
  else toast({ kind: 'failed', text: `${text}, ${count(failed)} not${reason === undefined ? '' : `: ${reason}`}` })
}

interface BulkBarProps {
  readonly selected: ReadonlySet<string>
  readonly rows: readonly Run[]
  readonly filter: RunQuery
  readonly isFiltered: boolean
  /** Whether there are more than those that are loaded, which the server can find. */
  readonly isAllPossible: boolean
  readonly onSelect: (keys: ReadonlySet<string>) => void
  readonly onDone: () => void
}

export function BulkBar({ selected, rows, filter, isAllPossible, onSelect, onDone }: BulkBarProps): JSX.Element | null {
  const [isAll, setAll] = useState(false)
  const [step, setStep] = useState<string | undefined>(undefined)
  if (selected.size === 0) return null
  const isWhole = rows.length > 0 && rows.every(({ id }) => selected.has(id))
  const isEvery = isAll && isWhole
  const clear = (): void => {
    setAll(false)
    onSelect(new Set())
  }
  const run = async (action: Action): Promise<void> => {
    const { verb, says } = WORDS[action]
    const total = isEvery ? await matching(action, filter) : selected.size
    if (total === undefined) return
    const what = isEvery ? `all ${plural(total, 'run')} that match` : plural(total, 'run')
    if (
      !(await ask({
        title: `${verb} ${what}?`,
        text: <p>{says}</p>,
        action: `${verb} ${plural(total, 'run')}`,
        isDangerous: action !== 'retry',
      }))
    )
      return
    setStep(`${verb}: 0 of ${count(total)}`)
    if (isEvery) await act(() => toAll(action, filter, (done) => setStep(`${verb}: ${count(done)} of ${count(total)}`)))
    else await toEach(action, [...selected], (done) => setStep(`${verb}: ${count(done)} of ${count(total)}`))
    setStep(undefined)
    clear()
    onDone()
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
      {(['retry', 'cancel', 'delete'] as const).map((action) => (
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
      <Button look="quiet" onClick={clear}>
        Clear
      </Button>
    </div>
  )
}

interface BulkAnswer {
  readonly matched: number
  readonly done?: number
  readonly failed?: number
}

const filterOf = (filter: RunQuery): Record<string, unknown> => {
  const { state, ...rest } = filter
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined && value !== ''))
  return { ...given, ...(state !== undefined && state !== '' && { state: state.split(',') }) }
}

async function matching(action: Action, filter: RunQuery): Promise<number | undefined> {
  return act(
    async () => (await post<BulkAnswer>('/runs/bulk', { action, filter: filterOf(filter), dryRun: true })).matched,
  )
}

async function toAll(action: Action, filter: RunQuery, onStep: (done: number) => void): Promise<void> {
  const answer = await call<BulkAnswer>('/runs/bulk', { method: 'POST', body: { action, filter: filterOf(filter) } })
  onStep(answer.done ?? 0)
  tell(action, answer.done ?? 0, answer.failed ?? 0, undefined)
}
