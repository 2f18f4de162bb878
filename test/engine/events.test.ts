/** Events reach their listeners, and a listener at fault disturbs neither the run nor the process. */
import { connect, task, type EventOf, type Graflow } from 'graflow'

describe('a listener', () => {
  let graflow: Graflow
  const logged: EventOf<'log'>[] = []

  beforeEach(async () => {
    logged.length = 0
    graflow = await connect({ logLevel: 'silent' })
    graflow.events.subscribe('log', (event) => logged.push(event))
  })
  afterEach(() => graflow.close())

  const one = task('one', () => 1)

  it('that throws is told in the log, and the others still hear', async () => {
    const heard: string[] = []
    graflow.events.subscribe('run:state', () => {
      throw new Error('broken display')
    })
    graflow.events.subscribe('run:state', ({ to }) => heard.push(to))

    expect(await graflow.run(one, undefined)).toBe(1)
    expect(heard).toEqual(['running', 'completed'])
    expect(logged.map(({ level, message }) => [level, message])).toEqual([
      ['error', 'a listener of run:state failed: Error: broken display'],
      ['error', 'a listener of run:state failed: Error: broken display'],
    ])
  })

  it('that rejects is told in the log', async () => {
    const later = (): unknown => Promise.reject(new Error('broken later'))
    graflow.events.subscribe('run:state', later)

    expect(await graflow.run(one, undefined)).toBe(1)
    expect(logged.map(({ message }) => message)).toContain('a listener of run:state failed: Error: broken later')
  })

  it('for an event that does not exist is refused with the names of those that do', () => {
    const subscribe = (): unknown => graflow.events.subscribe('run:done' as 'run:state', () => undefined)
    expect(subscribe).toThrow(
      expect.objectContaining({ code: 'INVALID_NAME', message: expect.stringContaining('run:state') }),
    )
  })
})

describe('what handlers say', () => {
  it('takes any message, and progress a little beyond 1', async () => {
    await using graflow = await connect({ logLevel: 'silent' })
    const messages: string[] = []
    const fractions: number[] = []
    graflow.events.subscribe('log', ({ message }) => messages.push(message))
    graflow.events.subscribe('run:progress', ({ fraction }) => fractions.push(fraction))
    const say = task('say', (_: unknown, ctx) => {
      ctx.log.info({ a: 1 } as unknown as string)
      ctx.progress(0.1 + 0.2 + 0.7 + Number.EPSILON * 4)
    })

    await graflow.run(say)
    expect(messages).toEqual(['an object with a'])
    expect(fractions).toEqual([1])
  })
})
