/** Commands on selected runs, or on all that match the filters: says how many, and asks once. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { at, get, post, remove } from '../api.js'
import { count, plural } from '../format.js'
import { act, ask, Button } from '../parts/buttons.js'
import { toast } from '../parts/toasts.js'
import { asApiError } from '../use-query.js'
import type { Changed, PageOf, Run } from '../wire.js'
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

const one = (action: Action, id: string): Promise<Changed | undefined> =>
  action === 'delete' ? remove(at`/runs/${id}`) : post(`${at`/runs/${id}`}/${action}`)

const AT_ONCE = 6
const MOST_A_PAGE = 200

/** Does it to each; what cannot be done is counted, and the first reason told. */
async function toEach(action: Action, ids: readonly string[], onStep: (done: number) => void): Promise<void> {
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

function tell(action: Action, done: number, same: number, reasons: readonly string[]): void {
  const [reason] = reasons
  const left = same === 0 ? '' : `, ${count(same)} left as they are`
  const text = `${plural(done, 'run')} ${WORDS[action].done}${left}`
  if (reason === undefined) toast({ kind: 'done', text })
  else toast({ kind: 'failed', text: `${text}, ${count(reasons.length)} not: ${reason}` })
}

interface BulkBarProps {
  readonly selected: ReadonlySet<string>
  readonly rows: readonly Run[]
  readonly filter: RunQuery
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
    const found = isEvery ? await act(() => matching(filter, (many) => setStep(`Counting: ${count(many)}`))) : undefined
    setStep(undefined)
    if (isEvery && found === undefined) return
    const ids = found ?? [...selected]
    const question = {
      title: `${verb} ${isEvery ? `all ${plural(ids.length, 'run')} that match` : plural(ids.length, 'run')}?`,
      text: <p>{says}</p>,
      action: `${verb} ${plural(ids.length, 'run')}`,
      isDangerous: action !== 'retry',
    }
    if (!(await ask(question))) return
    setStep(`${verb}: 0 of ${count(ids.length)}`)
    await toEach(action, ids, (done) => setStep(`${verb}: ${count(done)} of ${count(ids.length)}`))
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

/** The ids of all that match, page by page. */
async function matching(filter: RunQuery, onStep: (found: number) => void): Promise<readonly string[]> {
  const ids: string[] = []
  let cursor: string | undefined
  do {
    const page = await get<PageOf<Run>>('/runs', { ...filter, limit: MOST_A_PAGE, cursor })
    ids.push(...page.items.map(({ id }) => id))
    onStep(ids.length)
    cursor = page.cursor
  } while (cursor !== undefined)
  return ids
}
