/** Under node:test. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expected, threeDays } from './approval.mjs'

test('three days pass in a moment', async () => {
  assert.deepEqual(await threeDays(), expected)
})
