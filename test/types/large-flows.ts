/** Sources of flows that are large for the compiler, for the test of its work and for bench/types.ts. */

/** Tasks t0 … t(count - 1), no two of which have the same types; what one gives the next takes. */
function chainOfTasks(count: number): string {
  return Array.from(
    { length: count },
    (_, i) => `const t${i} = task('t${i}', (input: { k${i}: string }) => ({ k${i + 1}: input.k${i} }))`,
  ).join('\n')
}

const namesOf = (count: number): string[] => Array.from({ length: count }, (_, i) => `t${i}`)
const source = (imports: string, ...lines: readonly string[]): string =>
  [`import { ${imports} } from 'graflow'`, ...lines, ''].join('\n')

/** `seq` of so many tasks with distinct types. */
export function largeSequence(count: number): string {
  return source('task, seq', chainOfTasks(count), `const flowOfAll = seq(${namesOf(count).join(', ')})`)
}

/** The same by `.to`. */
export function largeChain(count: number): string {
  const [first = '', ...rest] = namesOf(count)
  return source('task', chainOfTasks(count), `const flowOfAll = ${first}${rest.map((name) => `.to(${name})`).join('')}`)
}

/** The same as text. */
export function largeText(count: number): string {
  const names = namesOf(count)
  return source(
    'task, flow',
    chainOfTasks(count),
    `const flowOfAll = flow('${names.join(' >> ')}', { ${names.join(', ')} })`,
  )
}

/** A text of about so many characters with all that a text can have: groups in chains in groups, stars and brackets. */
export function mixedText(characters: number): string {
  const unit = ' >> (same | (same >> same)* >> same | same*) >> pick'
  const text = `same${unit.repeat(Math.max(1, Math.round((characters - 4) / unit.length)))}`
  return source(
    'declareTask, flow',
    `const same = declareTask<readonly number[], readonly number[]>('same')`,
    `const one = declareTask<number, number>('one')`,
    `const pick = declareTask<readonly unknown[], readonly number[]>('pick')`,
    `const flowOfAll = flow('${text.replaceAll('(same >> same)*', '(one >> one)*').replaceAll('same*', 'one*')}', { same, one, pick })`,
  )
}

/** A group of so many, made by `.with`, whose branches have distinct types. */
export function largeWith(count: number): string {
  const [first = '', ...rest] = namesOf(count)
  return source(
    'task',
    namesOf(count)
      .map((name, i) => `const ${name} = task('${name}', (input: { k${i}: string }) => ({ r${i}: input.k${i} }))`)
      .join('\n'),
    `const flowOfAll = ${first}${rest.map((name) => `.with(${name})`).join('')}`,
  )
}

/** The same by `par`. */
export function largePar(count: number): string {
  return source(
    'task, par',
    namesOf(count)
      .map((name, i) => `const ${name} = task('${name}', (input: { k${i}: string }) => ({ r${i}: input.k${i} }))`)
      .join('\n'),
    `const flowOfAll = par(${namesOf(count).join(', ')})`,
  )
}
