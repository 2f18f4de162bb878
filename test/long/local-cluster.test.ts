/** What examples start beside themselves, and that nothing of it stays. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { compiled } from '../support/compiled.js'
import { build, root } from '../support/programs.js'

let folder: string
beforeAll(() => {
  build()
  folder = mkdtempSync(join(tmpdir(), 'graflow-cluster-'))
}, 120_000)
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** A process that runs this code with all of local-cluster.ts at hand, and a line of what it prints. */
function run(code: string, path = process.env['PATH'] ?? ''): ChildProcess & { readonly next: () => Promise<string> } {
  const source = `
    import { findServer, LocalCluster } from ${JSON.stringify(compiled(join(root, 'examples/support/local-cluster.ts')))}
    const { signal } = new AbortController()
    const options = { server: findServer(), tasks: '/none', workers: 0, maxConcurrentTasks: 1, signal }
    ${code}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    cwd: root,
    env: { ...process.env, PATH: path },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return Object.assign(child, { next: async () => String((await lines.next()).value) })
}

/** A connection to the server, which ends when the server does. */
async function connected(url: string): Promise<{ readonly closed: Promise<unknown> }> {
  const socket = connect(url.replace('unix://', ''))
  await once(socket, 'connect')
  socket.write('PING\r\n')
  const [answer] = await once(socket, 'data')
  expect(String(answer)).toBe('+PONG\r\n')
  return { closed: once(socket, 'close') }
}

const START = `
  const cluster = await LocalCluster.start(options)
  console.log(cluster.url)`
const folderOf = (url: string): string => url.replace('unix://', '').replace('/redis.sock', '')

describe('the private server of an example', () => {
  it('is there until it is stopped, and leaves no file', async () => {
    const child = run(`${START}
      process.stdin.once('data', async () => {
        await cluster.stop()
        await cluster.stop() // repeating it is safe
        console.log('stopped')
        process.exit()
      })`)
    const url = await child.next()
    const server = await connected(url)
    child.stdin?.write('go on')
    expect(await child.next()).toBe('stopped')
    await server.closed
    expect(existsSync(folderOf(url))).toBe(false)
  })

  it('goes with whoever started it, also when that is killed', async () => {
    const child = run(START)
    const url = await child.next()
    const server = await connected(url)
    child.kill('SIGKILL')
    await server.closed
  })

  it('takes its workers along when whoever started it is killed', async () => {
    const child = run(`
      const cluster = await LocalCluster.start({ ...options, tasks: ${JSON.stringify(compiled(join(root, 'examples/mandelbrot/tasks.ts')))}, workers: 2 })
      console.log(cluster.url)`)
    const url = await child.next()
    const isThere = (): boolean => spawnSync('ps', ['-A', '-o', 'args'], { encoding: 'utf8' }).stdout.includes(url)
    expect(isThere()).toBe(true)
    const server = await connected(url)
    child.kill('SIGKILL')
    await server.closed
    // Shells and workers end at the same time as the server does, in whatever order.
    for (let looks = 0; isThere() && looks < 500; looks++) await once(spawn('ps'), 'exit')
    expect(isThere()).toBe(false)
  }, 60_000)

  it('says which worker did not start, and stops the others', async () => {
    const child = run(`
      await LocalCluster.start({ ...options, tasks: '/nowhere/tasks.js', workers: 2 }).catch((error) => {
        console.log(error.message)
      })`)
    expect(await child.next()).toMatch(/^worker-[12] ended with exit code 2 before it was ready$/)
    const [code] = await once(child, 'exit')
    expect(code).toBe(0)
  }, 60_000)

  it('says so when it does not start', async () => {
    const child = run(`
      await LocalCluster.start({ ...options, server: { ...options.server, path: '/bin/false' } }).catch((error) => {
        console.log(error.message)
      })`)
    expect(await child.next()).toMatch(/^redis-server ended /)
    const [code] = await once(child, 'exit')
    expect(code).toBe(0)
  })

  it('is not started for somebody who has given up', async () => {
    const child = run(`
      const late = AbortSignal.abort(new Error('given up'))
      await LocalCluster.start({ ...options, signal: late }).catch((error) => console.log(error.message))`)
    expect(await child.next()).toBe('given up')
  })
})

describe('the search for a server', () => {
  const program = (name: string, says: string): void => {
    const file = join(folder, name)
    writeFileSync(file, `#!/bin/sh\necho '${says}'\n`)
    chmodSync(file, 0o755)
  }
  const found = async (): Promise<unknown> =>
    JSON.parse(await run('console.log(JSON.stringify(findServer() ?? null))', folder).next())

  it.each([
    ['redis-server', 'Redis server v=7.4.1 sha=00000000:0', '7.4.1'],
    ['valkey-server', 'Valkey server v=8.0.1 sha=00000000:0', '8.0.1'],
  ])('finds %s on PATH', async (name, says, version) => {
    program(name, says)
    expect(await found()).toEqual({ name, path: join(folder, name), version })
    rmSync(join(folder, name))
  })

  it.each(['Redis server v=6.2.14 sha=00000000:0', 'something else'])('passes over one that says %j', async (says) => {
    program('redis-server', says)
    expect(await found()).toBeNull()
    rmSync(join(folder, 'redis-server'))
  })
})
