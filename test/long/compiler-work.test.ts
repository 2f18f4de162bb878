/** How much work flows are for the compiler. */
import { compile } from '../types/compile.js'
import { largeChain, largePar, largeSequence, largeText, largeWith, mixedText } from '../types/large-flows.js'

// Seconds on a machine at rest.
jest.setTimeout(120_000)

/**
 * The bound is on instantiations, the compiler's own count of its work, since times depend on the machine: about a third above what
 * was counted when the bound was set. bench/types.ts measures the times.
 */
const flows: readonly (readonly [what: string, source: string, mostInstantiations: number, type: RegExp])[] = [
  ['seq of 400 tasks, no two alike', largeSequence(400), 76_000, /^Node<\{ k0: string; \}, \{ k400: string; \}>$/u],
  ['the same by .to', largeChain(400), 65_000, /^Node<\{ k0: string; \}, \{ k400: string; \}>$/u],
  ['the same as text', largeText(400), 130_000, /^Node<\{ k0: string; \}, \{ k400: string; \}>$/u],
  [
    'a text of 900 characters with all operators',
    mixedText(900),
    23_000,
    /^Node<readonly number\[\], readonly number\[\]>$/u,
  ],
  ['a group by 100 times .with, no two alike', largeWith(100), 265_000, /^Group<\{ k0: string; \} & /u],
  ['a group of 200 by par, no two alike', largePar(200), 40_000, /^Group<\{ k0: string; \} & /u],
]

describe('the work of the compiler', () => {
  it.each(flows)('L9: is bounded for %s', (_what, source, mostInstantiations, type) => {
    const { errors, instantiations, types } = compile('large.ts', source, ['flowOfAll'])
    expect(errors).toEqual([])
    expect(types.get('flowOfAll')).toMatch(type)
    expect(instantiations).toBeGreaterThan(100)
    expect(instantiations).toBeLessThan(mostInstantiations)
  })

  it('L9: grows with the length of a seq, not with its square', () => {
    const one = compile('large.ts', largeSequence(100)).instantiations
    const two = compile('large.ts', largeSequence(200)).instantiations
    expect(two).toBeLessThan(2.2 * one)
  })

  it('L9: still finds the one step that does not fit', () => {
    const source = largeSequence(100).replace('(input: { k50: string })', '(input: { k50: number })')
    const { errors } = compile('large.ts', source)
    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain(
      '["✗ t49 gives another", "k50", "it gives", { k50: string; }, "but t50 takes", { k50: number; }]',
    )
  })
})
