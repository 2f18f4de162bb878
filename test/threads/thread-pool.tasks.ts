/** Tasks of thread-pool.test.ts. */
import { task } from 'graflow'

export const one = task('one', { isolation: 'thread' }, () => 1)

/** Its thread ends a moment after it has given its result. */
export const parting = task('parting', { isolation: 'thread' }, () => {
  setTimeout(() => {
    throw new Error('too late for anybody')
  }, 0)
  return 2
})
