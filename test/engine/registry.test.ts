import { par, policy, task, declareTask, type AnyNode } from 'graflow'
import { Registry } from '../../lib/engine/registry.js'
import { expressionOf } from '../../lib/flow/node.js'

const named = (what: string): AnyNode => task('t', () => what)
/** What the task of this name does, by who knows it. */
const call = (registry: Registry, runId: string, base?: string): unknown =>
  registry.codeOf(runId, base).task('t')?.handler?.(undefined, undefined)

describe('the registry', () => {
  it('finds a run’s own task first, then any of that name', () => {
    const registry = new Registry()
    registry.tie('one', '', expressionOf(named('first')))
    registry.tie('two', '', expressionOf(named('second')))
    expect([call(registry, 'one'), call(registry, 'two'), call(registry, 'three')]).toEqual([
      'first',
      'second',
      'second',
    ])
  })

  it('finds the task of a flow inside a run before the run’s', () => {
    const registry = new Registry()
    registry.tie('run', '', expressionOf(named('own')))
    registry.tie('run', '0/~1', expressionOf(named('forked')))
    registry.tie('run', '0/~2', expressionOf(task('other', () => 'other')))
    expect(call(registry, 'run')).toBe('own')
    expect(call(registry, 'run', '0/~1')).toBe('forked')
    expect(call(registry, 'run', '0/~2')).toBe('own')
    registry.forget('run', '0/~1')
    expect(call(registry, 'run', '0/~1')).toBe('own')
  })

  it('has the policy of a name that was learnt last, alone or in a flow', () => {
    const registry = new Registry()
    const inFlow = policy('p', () => 'in a flow')
    const alone = policy('p', () => 'alone')
    const flow = expressionOf(
      par(
        task('a', () => 1),
        task('b', () => 2),
      ).join(inFlow),
    )
    const known = (): unknown => registry.codeOf('run').policy('p')
    registry.learn(flow)
    registry.learnPolicy(alone)
    expect(known()).toEqual(alone)
    registry.learn(flow)
    expect(known()).toEqual(inFlow)
  })

  it('replaces what stood at a place', () => {
    const registry = new Registry()
    registry.tie('run', '0/~1', expressionOf(named('first')))
    registry.tie('run', '0/~1', expressionOf(named('second')))
    expect(call(registry, 'run', '0/~1')).toBe('second')
  })

  it('forgets a run, not what flows were seen', () => {
    const registry = new Registry()
    registry.tie('run', '', expressionOf(named('own')))
    expect(registry.knows('run')).toBe(true)
    registry.forget('run')
    expect(registry.knows('run')).toBe(false)
    expect(call(registry, 'run')).toBe('own')
  })

  it('lets no declared task hide one with a handler', () => {
    const registry = new Registry()
    const declared = expressionOf(declareTask<unknown, string>('t'))
    registry.learn(expressionOf(named('known')))
    registry.learn(declared)
    registry.tie('run', '', declared)
    expect(call(registry, 'run')).toBe('known')
    expect(registry.taskNames()).toEqual(['t'])
  })

  it('answers undefined for what nobody brought, and the declaration where there is only that', () => {
    const registry = new Registry()
    expect(registry.codeOf('run').task('t')).toBeUndefined()
    expect(registry.codeOf('run').policy('p')).toBeUndefined()
    registry.tie('run', '', expressionOf(declareTask<unknown, string>('t')))
    expect(registry.codeOf('run').task('t')).toMatchObject({ kind: 'task', name: 't' })
    expect(registry.taskNames()).toEqual([])
  })

  it('finds policies the same way', () => {
    const registry = new Registry()
    const joined = (what: string): AnyNode => par(task('t', () => 1)).join(policy('p', () => what))
    registry.learn(expressionOf(joined('any')))
    registry.tie('run', '', expressionOf(joined('own')))
    expect(
      registry
        .codeOf('run')
        .policy('p')
        ?.decide([] as never),
    ).toBe('own')
    expect(
      registry
        .codeOf('other')
        .policy('p')
        ?.decide([] as never),
    ).toBe('own')
  })
})
