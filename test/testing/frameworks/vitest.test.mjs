/** Under Vitest. */
import { expect, test } from 'vitest'
import { expected, threeDays } from './approval.mjs'

test('three days pass in a moment', async () => {
  expect(await threeDays()).toEqual(expected)
})
