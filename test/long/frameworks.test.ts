/** `graflow/testing` as users of other frameworks have it: the built package in a test of node:test and of Vitest. Jest’s is test/testing. */
import { join } from 'node:path'
import { Child, endChildren } from '../support/processes.js'
import { build, root } from '../support/programs.js'

afterAll(endChildren)
beforeAll(build, 120_000)

const folder = join(root, 'test/testing/frameworks')

describe('a test run', () => {
  it.each([
    ['node:test', ['--test', join(folder, 'node-test.mjs')], /^# pass 1$/m],
    ['Vitest', [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--root', folder], /Tests {2}1 passed/],
  ])(
    'passes three days in a moment under %s',
    async (name, args, says) => {
      // Without what jest sets for itself, and without colours.
      const child = new Child({ name, args, env: { NODE_ENV: 'test', NO_COLOR: '1', FORCE_COLOR: '' } })
      const { code } = await child.closed
      expect(child.output).toMatch(says)
      expect(code).toBe(0)
    },
    120_000,
  )
})
