/** Refusals: branches that fail as their inputs come, without a start; the barrier counts them as any other. */
import type { GroupSpec, Holder, StepAnswer } from '../../lib/backend/backend.js'
import { bytes, inputsFor, packed, type UseWorld, type World } from '../support/world.js'

interface Part {
  readonly from?: number
  readonly to?: number
  readonly isReopened?: true
}

const fill = (
  world: World,
  holder: Holder,
  spec: GroupSpec,
  indexes: readonly number[],
  { from = 0, to = spec.size, isReopened }: Part = {},
): Promise<StepAnswer> =>
  world.step(holder, {
    group: {
      ...{ spec, from, inputs: inputsFor(spec, from, to), ...(isReopened && { isReopened }) },
      ...(indexes.length > 0 && { refused: { indexes, values: packed(...indexes.map((index) => `no ${index}`)) } }),
    },
  })

const all = (size: number): number[] => Array.from({ length: size }, (_, index) => index)

export function describeRefusals(useWorld: UseWorld): void {
  it.each([3, 40])('ends refused branches of a group of %i, and offers the others', async (size) => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size })
    for (let call = 0; call < 2; call += 1)
      expect(await fill(world, holder, spec, [0, 2])).toEqual({ status: 'ok', fill: size })
    expect(await world.queue()).toEqual({ ready: size - 2, delayed: 0, granted: 0 })
    expect(await world.backend.inspect.groups('run')).toMatchObject([{ failed: 2, ready: size - 2 }])
    const grant = await world.takeOne()
    expect([...grant.indexes]).toEqual(all(size).filter((index) => index !== 0 && index !== 2))
    expect(grant.isAgain).toBeUndefined()
    await world.settle(grant, 'succeeded')
    expect(await world.state('run/0')).toBe('released')
    expect((await world.outcomes('run/0')).slice(0, 3)).toEqual(['failed:no 0', 'succeeded:v1', 'failed:no 2'])
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 0 })
    expect(await world.backend.inspect.deadLetters(10)).toEqual([])
  })

  it.each([
    ['all', [0, 1, 2], ['failed:no 0', 'failed:no 1', 'failed:no 2']],
    ['first-failure', [1], ['skipped', 'failed:no 1', 'skipped']],
    ['first-success', [0, 1, 2], ['failed:no 0', 'failed:no 1', 'failed:no 2']],
  ] as const)('releases by the rule %s', async (rule, indexes, outcomes) => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.news('driver')
    const spec = world.spec('run/0', { rule, shared: rule === 'all' })
    expect(await fill(world, holder, spec, indexes)).toMatchObject({ status: 'ok' })
    expect(await world.news('driver')).toMatchObject([{ kind: 'released', gid: 'run/0' }])
    expect(await world.outcomes('run/0')).toEqual(outcomes)
    expect(await world.take()).toEqual([])
    expect(await fill(world, holder, spec, indexes)).toEqual({ status: 'done' })
  })

  it('ends them where a group is filled in parts, also before their inputs are there', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 50, limit: 3 })
    await fill(world, holder, spec, [], { to: 10 })
    const first = await world.takeOne(2)
    expect([...first.indexes]).toEqual([0, 1])
    expect(await fill(world, holder, spec, [12, 45], { from: 10, to: 20 })).toEqual({ status: 'ok', fill: 20 })
    await fill(world, holder, spec, [], { from: 20 })
    await world.settle(first, 'succeeded')
    const seen: number[] = [...first.indexes]
    for (let grants = await world.take(); grants.length > 0; grants = await world.take())
      for (const grant of grants) {
        expect(grant.indexes.length).toBeLessThanOrEqual(3)
        seen.push(...grant.indexes)
        await world.settle(grant, 'succeeded')
      }
    expect(seen).toEqual(all(50).filter((index) => index !== 12 && index !== 45))
    expect(await world.state('run/0')).toBe('released')
    expect((await world.outcomes('run/0')).filter((outcome) => outcome.startsWith('failed'))).toEqual([
      'failed:no 12',
      'failed:no 45',
    ])
  })

  it.each([3, 40])('keeps what succeeded of a group of %i that is opened again', async (size) => {
    const world = await useWorld()
    const old = await world.start('run')
    const spec = world.spec('run/0', { size })
    await fill(world, old, spec, [1])
    await world.settle(
      await world.takeOne(),
      'succeeded',
      all(size - 1).filter((index) => index !== 1),
    )
    await world.step(old, { end: { state: 'failed', value: bytes('x') } })
    const request = { runId: 'run', nonce: world.nonce(), need: ['drive'] }
    await world.liveUntil(async () => (await world.backend.reopen(request)) === 'ok')
    const { token } = await world.takeOne(1, { queues: ['runs'], capabilities: ['layout:4'] })
    const holder = { gid: 'run', index: 0, token }
    expect(await fill(world, holder, spec, [0, 1], { isReopened: true })).toEqual({ status: 'ok', fill: size })
    const grant = await world.takeOne()
    expect([...grant.indexes]).toEqual([size - 1])
    await world.settle(grant, 'succeeded')
    expect((await world.outcomes('run/0')).slice(0, 2)).toEqual(['succeeded:v0', 'failed:no 1'])
    expect(await world.state('run/0')).toBe('released')
  })

  it('wants an error for each, and branches of the group', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0')
    const step = (indexes: readonly number[], ...values: readonly string[]): Promise<StepAnswer> =>
      world.step(holder, {
        group: { spec, from: 0, inputs: inputsFor(spec), refused: { indexes, values: packed(...values) } },
      })
    await expect(step([3], 'a')).rejects.toMatchObject({ code: 'INTERNAL' })
    await expect(step([1, 2], 'a')).rejects.toMatchObject({ code: 'INTERNAL' })
    expect(await world.backend.inspect.groups('run')).toEqual([])
  })
}
