/** Flows that the tests of this room share; every kind of node, join and option stands in one of them. */
import { choose } from '../../lib/flow/choose.js'
import { each, par, policy } from '../../lib/flow/group.js'
import { again, done, loop } from '../../lib/flow/loop.js'
import { expressionOf } from '../../lib/flow/node.js'
import { seq } from '../../lib/flow/seq.js'
import { task } from '../../lib/flow/task.js'
import { later, waitFor } from '../../lib/flow/waits.js'
import { workflow } from '../../lib/flow/workflow.js'

const echo = (name: string) => task(name, (value: number) => value)

const fetch = echo('fetch')
const a = echo('a')
const sub = echo('sub')
const b = echo('b')
const store = task('store', (values: readonly number[]) => values.length)

/** `fetch >> ((a >> sub) | b) >> store` */
export const L3 = expressionOf(seq(fetch, par(seq(a, sub), b), store))

const score = task(
  'score',
  {
    retry: { attempts: 3, delayMs: 1_000, factor: 1.5, maxDelayMs: 60_000, jitter: 0.1 },
    timeoutMs: 5_000,
    maxLosses: 0,
    maxCycles: 7,
    queue: 'gpu',
    requires: ['gpu', 'avx-512'],
    affinity: 'worker-1',
    priority: -100,
    isolation: 'thread',
  },
  (value: number) => value / 2,
)
const most = policy('most', (outcomes: readonly unknown[]) => outcomes.length)
const sum = task('sum.up', (_: unknown) => 0)
const pick = task('pick', (value: number): 'low' | 'high' => (value > 1 ? 'high' : 'low'))
const poll = task('poll', (value: number) => (value > 1 ? done(value) : again(value + 1)))

export const EVERYTHING = expressionOf(
  seq(
    fetch,
    par({ geo: a, '10': score, deep: seq(sub, b) })
      .critical('geo', 'deep')
      .configure({ name: 'enrich', timeoutMs: 90_000, queue: 'io', concurrency: 2, onFailure: 'wait' }),
    sum,
    par(a, b).settled(),
    sum,
    par(a, b, score).atLeast(2),
    sum,
    par(a, b).first(),
    choose(pick, { low: a, high: seq(b, sub) }),
    loop(seq(a, poll), { maxCycles: 5 }),
    workflow('inner.flow', seq(a, par(b)), { timeoutMs: 1_000, description: 'Größe “quoted” \\ \u2028 😀\n\u0007' }),
    sum,
    task('split', (value: number) => [value]),
    each(seq(a, b)).join(most),
    sum,
  ),
)

export const ONE_TASK = expressionOf(fetch)

/** What waits, of every kind. */
const WAITING = expressionOf(
  seq(
    fetch,
    later(a, 1_500),
    later(seq(b, sub), (value) => new Date(value)),
    waitFor('approve', {
      timeoutMs: 86_400_000,
      onTimeout: { ok: false, by: [null, 1.5] },
      prompt: { title: 'Größe?', text: 'more', choices: ['yes', 'no'] },
    }),
    par({ ok: waitFor('ok'), late: later(waitFor('more'), 0) }),
  ),
)

/** What the vectors are made from, and must still give. */
export const FLOWS = { oneTask: ONE_TASK, L3, everything: EVERYTHING, waiting: WAITING } as const
