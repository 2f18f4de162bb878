import type { StandardSchemaV1 } from '@standard-schema/spec'
import { tasksOf, waitsOf } from '../../lib/flow/collect.js'
import { flow } from '../../lib/flow/flow.js'
import { each, par } from '../../lib/flow/group.js'
import { expressionOf } from '../../lib/flow/node.js'
import { seq } from '../../lib/flow/seq.js'
import { task } from '../../lib/flow/task.js'
import type { Expression, TaskExpression } from '../../lib/flow/expression.js'
import { later, waitFor } from '../../lib/flow/waits.js'
import { workflow } from '../../lib/flow/workflow.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { thrown } from '../support/captured-errors.js'

const a = task('a', (n: number) => n + 1)
const b = task('b', (n: number) => n * 2)

/** A schema of its own at each call. */
const anything = (): StandardSchemaV1<unknown, string> => ({
  '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: String(value) }) },
})

describe('waits and later nodes', () => {
  it('print as calls, and stand in a text by their names', () => {
    const approve = waitFor('approve', { timeoutMs: 100 })
    const made = seq(a, later(b, 1_500), approve)
    expect(String(made)).toBe("a >> later(b, 1500) >> waitFor('approve', {timeoutMs: 100})")
    const text = flow('a >> soon >> (approve | ok)', { a, soon: later(b, 1_500), approve, ok: waitFor('ok') })
    expect(String(text)).toBe("a >> later(b, 1500) >> (waitFor('approve', {timeoutMs: 100}) | waitFor('ok'))")
    expect(String(later(par(a, b), 0))).toBe('later(a | b, 0)')
    expect(String(each(waitFor('ok')))).toBe("waitFor('ok')*")
  })

  it('keep what they say as data: the schema stays behind', () => {
    const prompt = { title: 'Approve?', text: 'An order', choices: ['yes', 'no'] }
    const wait = waitFor('ok', { schema: anything(), timeoutMs: 5, onTimeout: { ok: false }, prompt })
    expect([wait.kind, wait.name]).toEqual(['wait', 'ok'])
    expect(JSON.parse(JSON.stringify(graphOf(expressionOf(seq(a, wait)))))).toEqual({
      version: 2,
      tasks: { a: {} },
      root: {
        kind: 'sequence',
        steps: [
          { kind: 'task', name: 'a' },
          { kind: 'wait', name: 'ok', isChecked: true, options: { timeoutMs: 5, onTimeout: { ok: false }, prompt } },
        ],
      },
    })
  })

  it('make a task of the function that says when', async () => {
    const dated = later(b, (n) => new Date(n * 1_000))
    expect(String(dated)).toBe('later(b, b.due)')
    const due = tasksOf(expressionOf(dated)).get('b.due') as TaskExpression
    expect(due.handler?.(7, undefined)).toBe(7_000)
    expect(thrown(() => due.handler?.(Number.NaN, undefined))).toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(/^b\.due: the function given to later must return a valid Date, got /),
    })
    const twice = thrown(() =>
      seq(
        later(b, () => new Date(0)),
        later(b, () => new Date(1)),
      ),
    )
    expect(twice).toMatchObject({
      code: 'DUPLICATE_TASK',
      message: expect.stringContaining('name its node, as in later('),
    })
    const when = (n: number): Date => new Date(n)
    expect(String(seq(later(b, when), later(b, when)))).toBe('later(b, b.due) >> later(b, b.due)')
    const again = workflow('again', b)
    expect(
      String(
        seq(
          later(b, when),
          later(again, () => new Date(1)),
        ),
      ),
    ).toContain('again.due')
  })

  it('are one wait where their schema is one, and refused where two have one name', () => {
    const schema = anything()
    const both = seq(waitFor('ok', { schema }), waitFor('ok', { schema, timeoutMs: 1 }))
    expect([...waitsOf(expressionOf(both)).keys()]).toEqual(['ok'])
    const error = thrown(() => seq(waitFor('ok', { schema }), waitFor('ok')))
    expect(error).toMatchObject({ code: 'DUPLICATE_TASK', details: { signal: 'ok' } })
  })

  it.each<[string, () => unknown, string]>([
    ['a delay below 0', () => later(a, -1), 'INVALID_OPTION'],
    ['a delay that is none', () => later(a, '1s' as never), 'INVALID_OPTION'],
    ['no node', () => later((() => 1) as never, 1), 'INVALID_NODE'],
    ['a name with a #', () => waitFor('a#1'), 'INVALID_NAME'],
    ['an unknown option', () => waitFor('ok', { timeout: 1 } as never), 'INVALID_OPTION'],
    ['a schema that is none', () => waitFor('ok', { schema: {} as never }), 'INVALID_OPTION'],
    ['a prompt without a title', () => waitFor('ok', { prompt: { text: 'x' } as never }), 'INVALID_OPTION'],
    ['choices that are none', () => waitFor('ok', { prompt: { title: 'x', choices: [] } }), 'INVALID_OPTION'],
    ['a value past the time that is no data', () => waitFor('ok', { onTimeout: () => 1 }), 'NOT_SERIALISABLE'],
  ])('refuse %s', (_, make, code) => {
    expect(thrown(make).code).toBe(code)
  })

  it('may be members that a group needs, by their names', () => {
    const group = par(waitFor('ok'), a).critical('ok')
    expect((expressionOf(group) as Expression & { readonly join: unknown }).join).toEqual({
      kind: 'critical',
      members: ['ok'],
    })
    expect(graphOf(expressionOf(group)).version).toBe(2)
  })
})
