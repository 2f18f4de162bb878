/** What the worker process of bench/http-workers.ts runs. */
import { task } from 'graflow'

export const native = task('native', (n: number) => n + 1)
