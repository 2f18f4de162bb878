/** How long the compiler takes over large flows, as a table for the documentation: `node --import tsx bench/types.ts`. */
import ts from 'typescript'
import { compile } from '../test/types/compile.js'
import { largeChain, largePar, largeSequence, largeText, largeWith, mixedText } from '../test/types/large-flows.js'

const ROUNDS = 3

const flows: readonly (readonly [what: string, source: string])[] = [
  ['`seq` of 100 tasks, no two alike', largeSequence(100)],
  ['`seq` of 400', largeSequence(400)],
  ['400 by `.to`', largeChain(400)],
  ['text of 400 names', largeText(400)],
  ['text of 900 names', largeText(900)],
  ['text of 900 characters with all operators', mixedText(900)],
  ['100 by `.with`, no two alike', largeWith(100)],
  ['`par` of 100, no two alike', largePar(100)],
  ['`par` of 400', largePar(400)],
]

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN

// The first compilation parses the libraries, which later ones share: it is the floor of every time, not part of any.
compile('large.ts', `import { task } from 'graflow'\n`)
const floorMs = median(
  Array.from({ length: ROUNDS }, () => compile('large.ts', `import { task } from 'graflow'\n`).durationMs),
)

console.log(
  `TypeScript ${ts.version}, Node ${process.versions.node}; median of ${ROUNDS}, less the ${Math.round(floorMs)} ms of an empty file\n`,
)
console.log('| flow | check | instantiations |\n|---|---:|---:|')
for (const [what, source] of flows) {
  const rounds = Array.from({ length: ROUNDS }, () => compile('large.ts', source))
  const [first] = rounds
  if (first === undefined || first.errors.length > 0)
    throw new Error(`${what} does not compile: ${String(first?.errors[0])}`)
  const ms = Math.max(0, median(rounds.map(({ durationMs }) => durationMs)) - floorMs)
  console.log(`| ${what} | ${(ms / 1_000).toFixed(2)} s | ${first.instantiations.toLocaleString('en')} |`)
}
