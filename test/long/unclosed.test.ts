/** Programs that never close their client: each is a process of its own, and ends by itself once its work is done. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { compiled } from '../support/compiled.js'

describe('a program that forgets to close', () => {
  it.each([
    ['a run', '[4,3]'],
    ['a run with time limits', '[1,1]'],
    ['retries', '[1,2]'],
    ['a submitted run', '[3,3]'],
    ['a failed run that nobody asks for', '"failed"'],
    ['a cancelled run that nobody asks for', 'true'],
    ['a handler past its timeout', '"TIMEOUT"'],
    ['a handler that goes on past its timeout', '"TIMEOUT"'],
    ['a fork that nobody waits for', '[1,2]'],
    ['a client closed at once', 'false'],
    ['a group that timed out', '"GROUP_TIMEOUT"'],
    [
      'a listener that throws',
      `[2,"a listener of log failed: Error: the log's own. Lines of the log may be missing; further errors of its listeners are not reported"]`,
    ],
    ['a client that did nothing', 'true'],
  ])('ends by itself after %s', async (name, output) => {
    const child = compiled(join(__dirname, 'unclosed.child.ts'))
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [child, name], { timeout: 15_000 })
    expect(stderr).toBe('')
    expect(stdout.trim()).toBe(output)
  })
})
