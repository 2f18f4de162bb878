import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { flow } from '../../lib/flow/flow.js'
import { par } from '../../lib/flow/group.js'
import { useDrawing } from '../../lib/flow/node.js'
import { seq } from '../../lib/flow/seq.js'
import { task } from '../../lib/flow/task.js'
import { workflow } from '../../lib/flow/workflow.js'
import { drawing } from '../../lib/graph/drawing.js'

const fetch = task('fetch', (value: number) => value)
const a = task('a', (value: number) => value)
const sub = task('sub', (value: number) => value)
const b = task('b', (value: number) => value)
const store = task('store', (values: readonly number[]) => values.length)

describe('flows with drawings', () => {
  beforeAll(() => useDrawing(drawing))

  it('L1: have one hash in every spelling, that of the vector', () => {
    const { hash } = (JSON.parse(readFileSync(join(__dirname, 'vectors.json'), 'utf8')) as { L3: { hash: string } }).L3
    const spellings = [
      seq(fetch, par(seq(a, sub), b), store),
      fetch.to(a.to(sub).with(b)).to(store),
      flow('fetch >> ((a >> sub) | b) >> store', { fetch, a, sub, b, store }),
      flow`${fetch} >> ((${a} >> ${sub}) | ${b}) >> ${store}`,
    ]
    expect(new Set(spellings.map(String)).size).toBe(1)
    expect(spellings.map((node) => workflow('w', node).hash)).toEqual(spellings.map(() => hash))
    expect(new Set(spellings.map((node) => node.toMermaid())).size).toBe(1)
    expect(new Set(spellings.map((node) => node.toSvg())).size).toBe(1)
  })

  it('have one hash whatever they are called', () => {
    const body = seq(fetch, a)
    expect(workflow('one', body).hash).toBe(workflow('two', body).hash)
    expect(workflow('one', body).hash).not.toBe(workflow('one', seq(a, fetch)).hash)
  })

  it('are drawn without their outer name', () => {
    expect(workflow('one', fetch).toMermaid()).toBe('flowchart LR\n  n0["fetch"]\n')
    expect(workflow('one', fetch).toSvg()).toBe(fetch.toSvg())
  })
})
