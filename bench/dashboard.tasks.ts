/** Workflows of bench/dashboard.ts. */
import { each, task, workflow } from 'graflow'

export const quick = workflow(
  'quick',
  task('quick', (n: number) => n),
)
/** Enough of them to be at work while one looks. */
export const busy = workflow('busy', each(task('tick', (n: number) => n)))
