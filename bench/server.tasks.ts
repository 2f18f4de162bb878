/** What the worker of bench/server.ts runs. */
import { task } from 'graflow'

export const step = task('step', (n: number) => n)
