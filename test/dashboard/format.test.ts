import { doneOf } from '../../dashboard/format.js'
import { reasonIn } from '../../lib/report/reason.js'

describe('why something failed, in one line', () => {
  it.each([
    [
      'task "ship" (at 1/57, Customer (57)) failed after 3 attempts: the bank is closed\nsecond line',
      'the bank is closed',
    ],
    ['task "ship" (at 0) failed: task "x" (at 1) failed: no', 'task "x" (at 1) failed: no'],
    ['task "ship" (at 0) failed: ', 'task "ship" (at 0) failed: '],
    [
      'group at 1 failed: 15 of 40 branches succeeded, all must (invoice[13] (C-13) failed: task "invoice" (at 1/13, C-13) failed: the bank is closed)',
      'invoice[13] (C-13): the bank is closed',
    ],
    ['group at 0 failed: 1 of 2 needed branches succeeded (b failed: no)', 'b: no'],
    ['group "all" failed: 3 of 10', 'group "all" failed: 3 of 10'],
    ['', ''],
  ])('%j is told as %j', (message, reason) => {
    expect(reasonIn(message)).toBe(reason)
  })
})

describe('how far a run is', () => {
  it.each([
    [doneOf(3, 8, false), '3 of 8 done'],
    [doneOf(2, 2, false), '2 done so far'],
    [doneOf(2, 2, true), '2 of 2 done'],
    // what was withdrawn is over, and was not done
    [doneOf(1_500, 1_500, true, 1_476), '24 of 1\u202f500 done, 1\u202f476 withdrawn'],
    [doneOf(5, 5, false, 2), '3 done so far, 2 withdrawn'],
  ])('%s', (said, expected) => {
    expect(said).toBe(expected)
  })
})
