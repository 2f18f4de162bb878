/** Run as a process of its own, because Mermaid is ESM only and wants a document: reads a list of texts, prints what is wrong with each. */
import { readFileSync } from 'node:fs'
import { JSDOM } from 'jsdom'

const { window } = new JSDOM('')
Object.assign(globalThis, { window, document: window.document })
const { default: mermaid } = await import('mermaid')

const faults = []
for (const text of JSON.parse(readFileSync(0, 'utf8'))) {
  faults.push(
    await mermaid.parse(text).then(
      () => '',
      (error) => String(error),
    ),
  )
}
console.log(JSON.stringify(faults))
