import { each, par, seq, type AnyNode, type GraflowError } from 'graflow'
import { byArktype, byValibot, byZod, countsUp, endsRun, inLoop, slowly, strict, wrongOutput } from './schemas.tasks.js'
import { describeOnBackends } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { failureOfRun, logOf } from '../support/runs.js'

describeOnBackends('schemas', (open) => {
  it('parse what the caller gives and what the handler returns: zod', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    expect(await graflow.run(byZod, { id: 'a', count: '3' })).toStrictEqual({ total: 6 })
    expect(await graflow.run(byZod, { id: 'a' })).toStrictEqual({ total: 2 })
    expect(log).toEqual(['by-zod {"id":"a","count":3}', 'by-zod {"id":"a","count":1}'])
  })

  it('parse what the caller gives and what the handler returns: valibot and arktype', async () => {
    const graflow = await open()
    const text: string = await graflow.run(byValibot, '  four ')
    expect(text).toBe('4 characters')
    expect(await graflow.run(byArktype, { x: 1 })).toEqual([{ x: 1 }, { x: 2, y: 0 }])
  })

  it('are asked in branches and items too', async () => {
    const graflow = await open()
    expect(await graflow.run(par(byValibot, byValibot), ' ab ')).toEqual(['2 characters', '2 characters'])
    expect(await graflow.run(each(byArktype), [{ x: 5 }])).toEqual([[{ x: 5 }, { x: 6, y: 0 }]])
    expect(await graflow.run(inLoop, 0)).toBe(3)
    expect(await graflow.run(each(seq(byValibot, slowly)), [' ab '])).toEqual(['2 characters'])
  })

  const wrong: readonly (readonly [string, AnyNode & { name: string }, unknown, says: RegExp, issue: object])[] = [
    ['zod', byZod, { id: '', count: 'x' }, /id.*count/s, { path: 'id' }],
    ['valibot', byValibot, '   ', /length/, { path: '' }],
    ['arktype', byArktype, { x: 'one' }, /x must be a number/, { path: 'x' }],
  ]
  it.each(wrong)('refuse a wrong input with INVALID_INPUT and the place: %s', async (_, node, input, says, issue) => {
    const graflow = await open()
    for (const flow of [seq(node), par(node)]) {
      const failure = await failureOf(graflow.run(flow, input as never))
      const error = failure.code === 'GROUP_FAILED' ? (failure.cause as GraflowError) : failure
      expect(error.code).toBe('INVALID_INPUT')
      expect(error.message).toContain(node.name)
      expect(error.message).toMatch(says)
      expect((error.details['issues'] as object[])[0]).toMatchObject({ ...issue, message: expect.any(String) })
    }
  })

  it('refuse a wrong input before the handler, and without another attempt', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    expect((await failureOfRun(graflow, strict, 'one' as never)).code).toBe('INVALID_INPUT')
    expect((await failureOfRun(graflow, par(strict), 'one' as never)).cause).toMatchObject({ code: 'INVALID_INPUT' })
    expect(log).toEqual([])
  })

  it('refuse a wrong output with INVALID_OUTPUT', async () => {
    const graflow = await open()
    expect(await graflow.run(wrongOutput, 1)).toEqual({ total: 1 })
    const error = await failureOfRun(graflow, wrongOutput, -1)
    expect(error.code).toBe('INVALID_OUTPUT')
    expect(error.message).toMatch(/wrong-output.*total/s)
    expect(error.details).toMatchObject({ task: 'wrong-output', issues: [{ path: 'total' }] })
  })

  it('may take their time', async () => {
    const graflow = await open()
    expect(await graflow.run(slowly, 'free')).toBe('free')
    expect((await failureOfRun(graflow, slowly, 'taken')).message).toContain('this name is taken')
  })

  it('are not asked about a Control', async () => {
    const graflow = await open()
    expect(await graflow.run(endsRun, 1)).toBe('not an object')
    expect(await graflow.run(countsUp, '1')).toBe('3')
    expect(await graflow.run(par(countsUp), '1')).toEqual(['3'])
  })
})
