/** Four spellings of one flow. TypeScript infers the type from the text. A template tag is not typed: its type is Node<any, any>. */
import { flow, par, seq, task, workflow } from 'graflow'

const words = task('words', (text: string) => text.split(' '))
const count = task('count', (all: string[]) => all.length)
const longest = task('longest', (all: string[]) => all.reduce((a, b) => (b.length > a.length ? b : a)))
const report = task('report', ([n, word]: [number, string]) => `${n} words, the longest is "${word}"`)

const spellings = {
  text: flow('words >> (count | longest) >> report', { words, count, longest, report }),
  functions: seq(words, par(count, longest), report),
  methods: words.to(count.with(longest)).to(report),
  template: flow`${words} >> (${count} | ${longest}) >> ${report}`,
}

for (const [name, spelling] of Object.entries(spellings)) {
  const { hash } = workflow('describe', spelling)
  console.log(`${name.padEnd(10)} ${String(spelling)}  ${hash.slice(0, 12)}`)
}
