/** The smallest complete program: a flow of four tasks, run in this process. `node --import tsx examples/hello/main.ts` */
import { connect, flow, task } from 'graflow'

const words = task('words', (text: string) => text.split(' '))
const count = task('count', (all: string[]) => all.length)
const longest = task('longest', (all: string[]) => all.reduce((a, b) => (b.length > a.length ? b : a)))
const report = task('report', ([n, word]: [number, string]) => `${n} words, the longest is "${word}"`)

const describe = flow('words >> (count | longest) >> report', { words, count, longest, report })

const graflow = await connect()
console.log(await graflow.run(describe, 'to be or not to be that is the question'))
await graflow.close()
