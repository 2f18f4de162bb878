/** What the tests of each framework try: a flow of three days with a retry a day, a stand-in, and a worker that is lost. */
import { seq, task } from 'graflow'
import { failAttempt, loseWorker, standIn, testRun } from 'graflow/testing'

export const DAY = 24 * 3_600_000

const charge = task('charge', { retry: { attempts: 4, delayMs: DAY } }, async () => {
  throw new Error('no network in a test')
})
const confirm = task('confirm', (receipt) => `confirmed ${receipt}`)

/** @returns what a test looks at: the same in every framework */
export async function threeDays() {
  const test = await testRun(
    seq(charge, confirm),
    { amount: 5 },
    {
      replace: [standIn(charge, ({ amount }) => `receipt of ${amount}`)],
      faults: [...[1, 2, 3].map((attempt) => failAttempt(charge, attempt)), loseWorker(confirm)],
    },
  )
  const { state } = test
  const result = await test.result()
  const days = test.starts.map(({ task, atMs }) => `${task} ${atMs / DAY}`)
  await test.close()
  return { state, result, days }
}

export const expected = {
  state: 'waiting',
  result: 'confirmed receipt of 5',
  days: ['charge 0', 'charge 1', 'charge 2', 'charge 3', 'confirm 3', 'confirm 3'],
}
