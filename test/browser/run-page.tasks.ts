/** Tasks of run-page.test.ts. */
import { each, par, seq, task, waitFor, workflow } from 'graflow'
import { z } from 'zod'
import { isOpened, note, passGate } from '../support/ledger.js'
import { elapse } from '../support/waits.js'

interface Item {
  readonly id: string
  readonly n: number
}
const list = task('list', (count: number) => Array.from({ length: count }, (_, n): Item => ({ id: `package-${n}`, n })))
/** Fails for one item until the test opens a gate. */
const inspect = task('inspect', async ({ id, n }: Item, ctx) => {
  await elapse(n % 11 === 4 ? 320 : 25 + ((n * 37) % 40))
  if (n === 7 && !isOpened('mended'))
    throw new TypeError(`${id} has no licence`, { cause: new Error('the registry answered 404') })
  ctx.progress(1, `${id} read`)
  return {
    id,
    at: new Date(Date.UTC(2026, 10, 30, 12, n)),
    bytes: 12_345_678_901_234_567_890n,
    by: new Map([['MIT', n]]),
  }
})
const approve = waitFor('approve', {
  timeoutMs: 86_400_000,
  prompt: {
    title: 'Publish the audit of 48 packages?',
    text: 'One package has a licence that the list does not know. Once published, customers see it.',
    choices: ['publish', 'hold back'],
  },
})
const left = task('notify', async (answer: unknown) => ({ told: 3, answer }))
const right = task('archive', async (answer: unknown) => ({ stored: true, answer }))
const sum = task('summary', ({ notify, archive }: { notify: unknown; archive: unknown }) => ({
  notify,
  archive,
  done: true,
}))

export const audit = workflow(
  'audit',
  seq(list, each(inspect).configure({ label: 'id' }), approve, par({ notify: left, archive: right }), sum),
)

/** Branches that hold until the test lets them go; its worker may be killed meanwhile. */
export const held = workflow(
  'held',
  each(
    task('hold', { maxLosses: 5 }, async (n: number) => {
      note('holding', { n })
      await passGate('go')
      return n
    }),
  ),
)

/** A question that is answered by a form. */
const Refund = z.object({ amount: z.number().int().min(1).max(500).describe('in euros'), reason: z.string() })
export const refund = workflow(
  'refund',
  seq(
    waitFor('refund', { schema: Refund, prompt: { title: 'How much is to be paid back?' } }),
    task('pay', ({ amount, reason }: z.infer<typeof Refund>) => `${amount} for ${reason}`),
  ),
)

/** Very many branches. */
export const many = workflow('many', each(task('tick', (n: number) => n)))

/** One of its branches takes until the test lets it go. */
export const sorted = workflow(
  'sorted',
  each(
    task('sort', async ({ id }: { readonly id: string }) => {
      if (id === 'slowpoke') await passGate('sorted')
      return id
    }),
  ).configure({ label: 'id' }),
)

/** A question whose answer only its worker can judge. */
export const picky = workflow(
  'picky',
  seq(
    waitFor('word', {
      schema: z.string().refine((word) => word.length % 2 === 0, 'must have an even number of letters'),
      prompt: { title: 'Which word?' },
    }),
    task('said', (word: string) => `said ${word}`),
  ),
)

const Parcel = z.object({
  name: z.string().min(1).describe('as on the label'),
  size: z.enum(['small', 'large']),
  weight: z.number().gt(0).max(30),
  count: z.number().int().min(1).max(9).default(2),
  express: z.boolean(),
  note: z.string().optional(),
  tags: z.array(z.string().min(2)).max(3),
  to: z.object({ city: z.string().min(1), floor: z.number().int().nullable() }),
  insured: z.object({ sum: z.number().min(10) }).optional(),
  paid: z.discriminatedUnion('by', [
    z.object({ by: z.literal('card'), digits: z.string().regex(/^\d{4}$/) }),
    z.object({ by: z.literal('cash') }),
  ]),
})
/** Takes a form with all kinds of fields. */
export const parcel = workflow(
  'parcel',
  task('pack', { input: Parcel }, (given: z.infer<typeof Parcel>) => given),
)

/** Says what its input is. */
export const typed = workflow(
  'typed',
  task('types', ({ at, big, map, n }: { at: Date; big: bigint; map: Map<string, bigint>; n: number }) =>
    [at instanceof Date && at.getTime(), typeof big, map instanceof Map && typeof map.get('a'), n].join(' '),
  ),
)
