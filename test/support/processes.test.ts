/** Processes and ledger of the fault tests: signals arrive, notes stay, nothing outlives the test. */
import { join } from 'node:path'
import { compiled } from './compiled.js'
import { Child, endChildren, isAlive } from './processes.js'
import { Ledger } from './ledger.js'
import { until } from './waits.js'

const ledgers: Ledger[] = []
afterEach(async () => {
  await endChildren()
  for (const ledger of ledgers.splice(0)) ledger.remove()
})

const script = (code: string, env: Readonly<Record<string, string>> = {}): Child =>
  new Child({ name: 'script', args: ['--input-type=module', '-e', code], env })

describe('a process of a test', () => {
  it('says what it says, and how it ended', async () => {
    const child = script(`console.log('one'); console.error('two'); process.exitCode = 3`)
    await child.said(/one/)
    expect((await child.ends(10_000)).code).toBe(3)
    expect(child.output).toMatch(/one[^]*two|two[^]*one/)
    expect(child.isRunning).toBe(false)
  })

  it('tells what it said when it ends instead of saying what was waited for', async () => {
    const child = script(`console.log('something else')`)
    await expect(child.said(/ready/)).rejects.toThrow(/it ended .*to say \/ready\/[^]*something else/)
  })

  it('tells what it said when it is too late', async () => {
    const child = script(`console.log('hello'); setInterval(() => {}, 1000)`)
    await child.said(/hello/)
    await expect(child.said(/ready/, 20)).rejects.toThrow(/within 20 ms: .*to say[^]*hello/)
    await expect(child.ends(20)).rejects.toThrow(/within 20 ms: .*to end[^]*hello/)
  })

  it('is killed, stopped, continued and asked to end', async () => {
    const child = script(`
      process.on('SIGTERM', () => { console.log('asked'); process.exit(4) })
      process.on('SIGCONT', () => console.log('continued'))
      setInterval(() => {}, 1000)
      console.log('up')`)
    await child.said(/up/)
    await child.freeze()
    child.signal('SIGTERM') // waits until it runs again
    child.thaw()
    expect((await child.ends(10_000)).code).toBe(4)
    const other = script(`console.log('up'); setInterval(() => {}, 1000)`)
    await other.said(/up/)
    expect((await other.kill9()).signal).toBe('SIGKILL')
  })

  it('ends with the tests, frozen or not', async () => {
    const child = script(`console.log('up'); setInterval(() => {}, 1000)`)
    await child.said(/up/)
    await child.freeze()
    await endChildren()
    expect(isAlive(child.pid)).toBe(false)
  })

  it('ends when the process that started it is killed', async () => {
    const parent = script(`
      const { Child } = await import(${JSON.stringify(compiled(join(__dirname, 'processes.ts')))})
      const forever = () => new Child({ name: 'c', args: ['-e', 'setInterval(() => {}, 1000)'] })
      const gone = forever()
      await gone.kill9()
      console.log('pids', forever().pid, forever().pid)`)
    const [, ...pids] = await parent.said(/pids (\d+) (\d+)\n/)
    expect(pids.map((pid) => isAlive(Number(pid)))).toEqual([true, true])
    await parent.kill9()
    await until(() => !pids.some((pid) => isAlive(Number(pid))), 'their end', 5_000)
  })

  it('says so when the command does not exist', async () => {
    const child = new Child({ name: 'none', command: join(__dirname, 'no-such-command'), args: [] })
    await expect(child.said(/ready/)).rejects.toThrow('to say')
    await expect(child.exited).rejects.toThrow('ENOENT')
  })
})

describe('the ledger', () => {
  it('keeps what processes wrote, in order, also of one that was killed', async () => {
    const ledger = new Ledger()
    ledgers.push(ledger)
    const child = script(
      `import { note, passGate } from ${JSON.stringify(compiled(join(__dirname, 'ledger.ts')))}
      note('started', { n: 1 })
      await passGate('go')
      note('passed')
      setInterval(() => {}, 1000)`,
      ledger.env,
    )
    const [started] = await ledger.until('started')
    expect(started).toMatchObject({ pid: child.pid, details: { n: 1 } })
    expect(ledger.notes('passed')).toEqual([])
    ledger.open('go')
    await ledger.until('passed')
    await child.kill9()
    expect(ledger.notes().map(({ what }) => what)).toEqual(['started', 'passed'])
    const [first, second] = ledger.notes()
    expect(second?.at).toBeGreaterThan(first?.at ?? Infinity)
  })

  it('says what there is when something does not come', async () => {
    const ledger = new Ledger()
    ledgers.push(ledger)
    await expect(ledger.until('started', 2, 20)).rejects.toThrow(`expected within 20 ms: 2 × 'started', got 0`)
  })
})
