/** Results that come in one turn, and are together more than the store takes in one call. */
import { each, task } from 'graflow'
import { describeOnBackends } from '../support/backends.js'

const MEBIBYTE = 2 ** 20
const BYTES = MEBIBYTE - 100
const COUNT = 40

const large = task('large', async (number: number) => `${number}${'x'.repeat(BYTES - 10)}`)
const numbers = task('numbers', (texts: readonly string[]) => texts.map((text) => Number.parseInt(text, 10)))

describeOnBackends('large results', (open) => {
  it('are settled in parts, so that none is lost', async () => {
    const graflow = await open()
    const given = Array.from({ length: COUNT }, (_, i) => i)
    expect(await graflow.run(each(large).to(numbers), given)).toEqual(given)
  }, 60_000)
})
