import { seq } from 'graflow'
import { add, spellings, sum, twice } from './language.tasks.js'
import { describeOnBackends } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { finished } from '../support/runs.js'

describeOnBackends('the graph language', (open) => {
  it('L1: one graph in four spellings has one text, one hash and one result', async () => {
    const graflow = await open()
    const nodes = Object.values(spellings)
    expect(new Set(nodes.map((node) => node.toString())).size).toBe(1)
    expect(new Set(nodes.map((node) => node.hash)).size).toBe(1)
    expect(nodes[0]?.hash).toMatch(/^[0-9a-f]{64}$/)
    for (const node of nodes) expect(await graflow.run(node, 3)).toBe(13)
  })

  it('L5: the same task twice has two paths; asked by task, the error lists them', async () => {
    const graflow = await open()
    const run = await finished(graflow, seq(add, twice, add), 1)
    expect(await run.result()).toBe(5)
    expect(await run.result('0')).toBe(2)
    expect(await run.result('2')).toBe(5)
    expect(await run.result(twice)).toBe(4)
    const error = await failureOf(run.result(add))
    expect(error.code).toBe('RESULT_AMBIGUOUS')
    expect(error.details).toMatchObject({ paths: ['0', '2'] })
    expect(error.message).toContain('0, 2')
  })

  it('L5: a step and a branch of one task have two paths; asked by task, both are named', async () => {
    const graflow = await open()
    const run = await finished(graflow, spellings.function, 3)
    expect((await failureOf(run.result(add))).details).toMatchObject({ paths: ['0', '1/1'] })
    expect(await run.result('0')).toBe(4)
    expect(await run.result('1/1')).toBe(5)
    expect(await run.result('1/0')).toBe(8)
    expect(await run.result(sum)).toBe(13)
  })
})
