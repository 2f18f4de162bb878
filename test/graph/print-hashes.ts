/** Run as a process of its own by canonical.test.ts: prints the hashes of the shared flows. */
import { drawing } from '../../lib/graph/drawing.js'
import { FLOWS } from './everything.js'

console.log(JSON.stringify(Object.fromEntries(Object.entries(FLOWS).map(([name, flow]) => [name, drawing.hash(flow)]))))
