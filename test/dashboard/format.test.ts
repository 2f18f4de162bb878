import { reasonIn } from '../../dashboard/format.js'

describe('why something failed, in one line', () => {
  it.each([
    [
      'task "ship" (at 1/57, Customer (57)) failed after 3 attempts: the bank is closed\nsecond line',
      'the bank is closed',
    ],
    ['task "ship" (at 0) failed: task "x" (at 1) failed: no', 'task "x" (at 1) failed: no'],
    ['task "ship" (at 0) failed: ', 'task "ship" (at 0) failed: '],
    ['group "all" failed: 3 of 10', 'group "all" failed: 3 of 10'],
    ['', ''],
  ])('%j is told as %j', (message, reason) => {
    expect(reasonIn(message)).toBe(reason)
  })
})
