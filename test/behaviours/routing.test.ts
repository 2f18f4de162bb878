import { each, par, seq, type GraflowError } from 'graflow'
import {
  branches,
  chains,
  declared,
  declaredPlaced,
  gate,
  gpu,
  group,
  implementation,
  items,
  nameOne,
  nameTwo,
  start,
  steps,
} from './routing.tasks.js'
import { describeOnBackends, openGateOf } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { finished, nextMark } from '../support/runs.js'

describeOnBackends(
  'placed tasks',
  (open) => {
    it('in a sequence are dispatched, each as a group of one', async () => {
      const graflow = await open()
      const run = await finished(graflow, steps, 1)
      expect(await run.result()).toBe(2 * 2 * 3 * 5 * 7)
      expect(await run.result(gpu)).toBe(4)
      const { groups } = await run.status()
      expect(groups.map(({ path, width, succeeded }) => [path, width, succeeded])).toEqual([
        ['1', 1, 1],
        ['2', 1, 1],
        ['3', 1, 1],
        ['4', 1, 1],
      ])
    })

    it('run in branches, items, chains and forks', async () => {
      const graflow = await open()
      expect(await graflow.run(branches, 1)).toEqual({ plain: 2, gpu: 2, queued: 3, near: 5, fussy: 7, chain: 6 })
      expect(await graflow.run(items, [1, 2])).toEqual([2, 4])
      expect(await graflow.run(chains, [1, 2])).toEqual([4, 6])
      expect(await graflow.run(group, [1, 2])).toEqual([2, 3])
    })

    it('that are one task fill a group of their own kind without a second dispatch', async () => {
      const graflow = await open()
      const run = await finished(graflow, items, [1, 2])
      expect((await run.status()).groups.map(({ path }) => path)).toEqual(['0'])
    })
  },
  {
    onlyEmbedded:
      'embedded serves every queue, capability and task; test/long/on-redis.test.ts has workers that do not',
  },
)

describeOnBackends(
  'tasks without a handler here',
  (open) => {
    it.each([
      ['as a step', seq(start, declared)],
      ['as a branch', par(start, declared)],
      ['in a chain', par(seq(start, declared), start)],
      ['in a queue', seq(start, declaredPlaced)],
    ])('fail with NO_HANDLER, naming who was asked (%s)', async (_, flow) => {
      const graflow = await open()
      const failure = await failureOf(graflow.run(flow as typeof declared, 1))
      const error = failure.code === 'GROUP_FAILED' ? (failure.cause as GraflowError) : failure
      expect(error.code).toBe('NO_HANDLER')
      expect(error.message).toContain(`"declared`)
      expect(error.details).toMatchObject({ asked: [graflow.instanceId] })
    })

    it('are found in connect({ tasks }), by name', async () => {
      const graflow = await open({ tasks: [seq(start, par(implementation, start))] })
      expect(await graflow.run(seq(start, declared), 1)).toBe(102)
      expect(await graflow.run(par(declared, start), 1)).toEqual([101, 2])
      expect(await graflow.run(each(declared), [1, 2])).toEqual([101, 102])
    })

    it('are found in flows that were run before', async () => {
      const graflow = await open()
      await graflow.run(implementation, 1)
      expect(await graflow.run(declared, 1)).toBe(101)
    })
  },
  {
    onlyEmbedded:
      'embedded serves every queue, capability and task; test/long/on-redis.test.ts has workers that do not',
  },
)

describeOnBackends(
  'two flows with one name for two tasks',
  (open) => {
    it('each run their own, also at once and in branches', async () => {
      const graflow = await open()
      const one = [nameOne, par(nameOne, start), each(nameOne)] as const
      const two = [nameTwo, par(nameTwo, start), each(nameTwo)] as const
      const results = await Promise.all([
        graflow.run(one[0], 1),
        graflow.run(two[0], 1),
        graflow.run(one[1], 1),
        graflow.run(two[1], 1),
        graflow.run(one[2], [1, 2]),
        graflow.run(two[2], [1, 2]),
      ])
      expect(results).toEqual(['one 1', 'two 1', ['one 1', 2], ['two 1', 2], ['one 1', 'one 2'], ['two 1', 'two 2']])
    })

    it('do not mix when the second is refused for its id', async () => {
      const graflow = await open()
      const running = nextMark(graflow, 'at the gate')
      const run = await graflow.start(seq(gate, each(nameOne)), [1, 2], { id: 'mine' })
      await running
      expect((await failureOf(graflow.start(seq(gate, each(nameTwo)), [7], { id: 'mine' }))).code).toBe('RUN_EXISTS')
      openGateOf(run, 'go')
      expect(await run.result()).toEqual(['one 1', 'one 2'])
    })
  },
  {
    onlyEmbedded:
      'embedded serves every queue, capability and task; test/long/on-redis.test.ts has workers that do not',
  },
)
