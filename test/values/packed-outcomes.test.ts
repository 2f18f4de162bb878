/** A list of outcomes that is put together as bytes reads as the list of outcomes that was unpacked. */
import { GraflowError } from '../../lib/errors.js'
import { taskError } from '../../lib/engine/failure.js'
import { decode, encode, encodeFailure } from '../../lib/values/codec.js'
import { outcomesOf } from '../../lib/values/packed-outcomes.js'
import { pack } from '../../lib/values/packed-items.js'

const failed = (thrown: unknown, path: string): GraflowError =>
  taskError(thrown, true, { task: 'work', path, errors: 1 })

/** Of branches with these numbers. */
const part = (indexes: readonly number[], kinds: readonly string[], values: readonly Uint8Array[]) => ({
  ...{ indexes, kinds },
  values: pack(values),
})

describe('outcomes put together as bytes', () => {
  it.each([
    ['plain values', [1, 'text', { a: [1, 2] }]],
    ['values that have stand-ins', [new Date(5), 2n ** 80n, new Map([[1, new Set([-0])]])]],
    ['values of no content', [undefined, null, '']],
  ])('have %s, in order of index, beside errors', (_, values) => {
    const errors = [
      failed(new TypeError('no', { cause: { at: new Date(7) } }), '0/1'),
      failed('only a text', '0/3'),
      new GraflowError('BRANCH_DEAD', 'its workers were lost', { details: { path: '0/5' } }),
    ]
    const parts = [
      part([4, 1], ['succeeded', 'failed'], [encode(values[2]), encodeFailure(errors[0])]),
      part(
        [0, 2, 3, 5],
        ['succeeded', 'succeeded', 'failed', 'dead'],
        [encode(values[0]), encode(values[1]), encodeFailure(errors[1]), encodeFailure(errors[2])],
      ),
    ]
    const list = outcomesOf(6, parts)
    const arrived = errors.map((error) => decode(encodeFailure(error)))
    expect(list && decode(list.bytes)).toEqual([
      { status: 'succeeded', value: values[0] },
      { status: 'failed', error: arrived[0] },
      { status: 'succeeded', value: values[1] },
      { status: 'failed', error: arrived[1] },
      { status: 'succeeded', value: values[2] },
      { status: 'dead', error: arrived[2] },
    ])
  })

  it('keep what an error says: class, stack, cause and details', () => {
    const thrown = new RangeError('too far')
    const list = outcomesOf(1, [part([0], ['failed'], [encodeFailure(failed(thrown, '0/0'))])])
    const [outcome] = (list && decode(list.bytes)) as [{ readonly error: GraflowError }]
    expect(outcome.error).toBeInstanceOf(GraflowError)
    expect(outcome.error).toMatchObject({ code: 'TASK_FAILED', details: { task: 'work', path: '0/0', attempts: 1 } })
    expect(outcome.error.cause).toBeInstanceOf(RangeError)
    expect((outcome.error.cause as Error).stack).toBe(thrown.stack)
    expect(outcome.error.stack).toContain((thrown.stack ?? '').split('\n')[1])
  })

  it.each([
    ['that was withdrawn', 'skipped', encode(1)],
    ['that says nothing', 'failed', new Uint8Array()],
    ['with an error that is none of ours', 'failed', encodeFailure(new Error('foreign'))],
    ['with a value in place of an error', 'failed', encode({ code: 'TASK_FAILED', isGraflow: true })],
    ['that a person skipped', 'failed', encodeFailure(new GraflowError('SKIPPED', 'x', { details: { byHand: true } }))],
    ['whose value ends too soon', 'succeeded', encode([1, 2, 3]).slice(0, 2)],
  ])('are not made where there is one %s', (_, kind, bytes) => {
    let list: unknown
    try {
      list = outcomesOf(2, [part([0, 1], ['succeeded', kind], [encode(1), bytes])])
    } catch (error) {
      expect(error).toMatchObject({ code: 'INTEGRITY' })
    }
    expect(list).toBeUndefined()
  })

  it('are not made where one is missing', () => {
    expect(outcomesOf(2, [part([0], ['succeeded'], [encode(1)])])).toBeUndefined()
  })
})
