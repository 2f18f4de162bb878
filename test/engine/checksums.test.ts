import { checkedOutputs, checksumsNaming, checksumsOf, isInput, type Output } from '../../lib/engine/checksums.js'
import { pack } from '../../lib/values/packed-items.js'
import { thrown } from '../support/captured-errors.js'
import { ofVersion } from '../support/checksums.js'
import { bytes } from '../support/world.js'

const OUTPUTS: readonly Output[] = [
  ['0', bytes('one')],
  ['1/~1/0', bytes('')],
  ['2/ä', bytes('three')],
]
const INPUT = bytes('input')

const saved = (entries: readonly Output[]) => ({
  paths: entries.map(([path]) => path),
  values: pack(entries.map(([, value]) => value)),
})
const check = (entries: readonly Output[], under = '') => checkedOutputs('r', under, saved(entries))
const written = [...OUTPUTS, checksumsOf(OUTPUTS, INPUT, '')]

/** The bytes with one bit of one of them turned. */
function turned(value: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(value)
  copy[at] = (copy[at] ?? 0) ^ 4
  return copy
}

describe('checksums of saved outputs', () => {
  it('stand beside the first output, and vouch for all of them and the input', () => {
    expect(written.at(-1)?.[0]).toBe('0/!c')
    const checked = check(written)
    expect([...checked.outputs]).toEqual(OUTPUTS.map(([path, value]) => [path, expect.objectContaining(value)]))
    expect(checked.faults).toEqual([])
    expect([isInput(checked, INPUT), isInput(checked, bytes('Input'))]).toEqual([true, false])
  })

  it('are not there for what an older release has saved', () => {
    expect(check(OUTPUTS)).toMatchObject({ faults: [], inputSum: undefined })
    expect(isInput(check(OUTPUTS), INPUT)).toBe(true)
  })

  it('show which output is damaged, and which is gone', () => {
    const [one, two, three, sums] = written as [Output, Output, Output, Output]
    const { outputs, faults } = check([one, [two[0], bytes('x')], sums])
    expect([...outputs.keys()]).toEqual(['0'])
    expect(faults).toEqual([
      { code: 'CHECKPOINT_CORRUPT', path: '1/~1/0' },
      { code: 'CHECKPOINT_MISSING', path: '2/ä' },
    ])
    expect(three[0]).toBe('2/ä')
  })

  it('show it where they are damaged themselves, whichever bit it is', () => {
    const [place, sums] = written.at(-1) as Output
    for (let at = 0; at < sums.length; at += 1) {
      expect(check([...OUTPUTS, [place, turned(sums, at)]]).faults).toEqual([{ code: 'CHECKPOINT_CORRUPT', path: '0' }])
    }
    expect(check([...OUTPUTS, [place, sums.subarray(0, 3)]]).faults).toHaveLength(1)
  })

  it('keep the first output at a path, and any checksum of it counts', () => {
    const later: readonly Output[] = [['0', bytes('two')]]
    const anew = checksumsOf(later, undefined, '7')
    expect(anew[0]).toBe('0/!c7')
    expect(check([...written, anew]).faults).toEqual([])
    expect(check([...written.slice(1), ...later, anew]).faults).toEqual([])
  })

  it('of another version are refused', () => {
    const [place, sums] = written.at(-1) as Output
    expect(thrown(() => check([[place, ofVersion(2, sums)]]))).toMatchObject({
      code: 'CHECKPOINT_VERSION',
      details: { runId: 'r', path: '0/!c', version: 2, known: 1 },
    })
  })

  it('of a branch are not missed where they name outputs elsewhere', () => {
    const own = [OUTPUTS[1], written[3]].filter((entry) => entry !== undefined)
    expect(check(own, '1/~1').faults).toEqual([])
    expect(check(own).faults).toHaveLength(2)
  })

  it('are found by what they name', () => {
    expect(checksumsNaming(saved(written), (path) => path === '2/ä')).toEqual(['0/!c'])
    expect(checksumsNaming(saved(written), (path) => path === '3')).toEqual([])
  })
})
