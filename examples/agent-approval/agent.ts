/**
 * An agent with tools. It thinks, calls a tool, and thinks again, until it has an answer. Before it does what cannot be undone, a person must approve:
 * meanwhile nothing holds the run, for as long as that takes.
 */
import { again, choose, done, loop, par, seq, task, waitFor } from 'graflow'
import { z } from 'zod'

/** What the agent knows so far. */
export interface Notes {
  readonly question: string
  readonly seen: readonly string[]
}
/** What it does next, and what it knew when it decided so. */
interface Move {
  readonly notes: Notes
  readonly call: 'look-up' | 'refund' | 'answer'
  readonly input: string
}

/** A model stands here: it gets the notes, and says which tool it wants. */
const think = task('think', (notes: Notes): Move => {
  const [order, refund] = notes.seen
  if (order === undefined) return { notes, call: 'look-up', input: notes.question.replace(/\D/g, '') }
  if (refund === undefined && order.includes('broken')) return { notes, call: 'refund', input: order }
  return { notes, call: 'answer', input: `${refund ?? 'no refund'} (${order})` }
})

const which = task('which', ({ call }: Move) => call)
const learnt = ({ notes }: Move, what: string) => again({ ...notes, seen: [...notes.seen, what] })

const lookUp = task('look-up', { retry: { attempts: 3 } }, (move: Move) =>
  learnt(move, `order ${move.input}: arrived broken`),
)

export const approve = waitFor('approve', {
  schema: z.object({ ok: z.boolean(), by: z.string() }),
  timeoutMs: 7 * 86_400_000,
  onTimeout: { ok: false, by: 'nobody' },
  prompt: { title: 'May the agent refund this order?', choices: ['yes', 'no'] },
})
/** The move goes beside the wait, which gives the verdict alone. */
const asked = par({ move: task('remember', (move: Move) => move), verdict: approve })

const refund = task(
  'refund',
  ({ move, verdict: { ok, by } }: { move: Move; verdict: { ok: boolean; by: string } }, ctx) =>
    // a payment service drops a repeated request by the key
    learnt(move, ok ? `refunded, approved by ${by}, key ${ctx.path}` : `not refunded, refused by ${by}`),
)

const answer = task('answer', ({ input }: Move) => done(input))

export const agent = loop(seq(think, choose(which, { 'look-up': lookUp, refund: seq(asked, refund), answer })), {
  maxCycles: 10,
})
