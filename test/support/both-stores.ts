/**
 * The same tests embedded and on a real Redis with a worker in the test's own process, so that handlers may close over what a test has.
 * Where processes matter, backends.ts has two of them.
 */
import { connect, type AnyNode, type ConnectOptions, type Graflow } from 'graflow'
import { Worker } from 'graflow/worker'
import { keepRenewalThread } from './kept-thread.js'
import { freshPrefix, sharedRedis } from './shared-redis.js'

/** Opens a client whose runs are worked on by this process, which knows these tasks; both end after the test. */
export type OpenBoth = (tasks: readonly AnyNode[], options?: OpenBothOptions) => Promise<Graflow>

export interface OpenBothOptions extends Pick<ConnectOptions, 'maxConcurrentTasks'> {
  /** Of the worker, besides `default` and `q`. */
  readonly queues?: readonly string[]
}

/** Opens another client of the same store. */
export type OpenAnother = () => Promise<Graflow>

export function describeOnBothStores(
  title: string,
  tests: (open: OpenBoth, name: 'embedded' | 'redis', another: OpenAnother) => void,
): void {
  describe.each(['embedded', 'redis'] as const)(`${title} (%s)`, (name) => {
    const ends: (() => Promise<unknown>)[] = []
    let another: OpenAnother | undefined
    afterEach(async () => {
      for (const end of ends.splice(0).reverse()) await end()
    })
    const client = async (open: () => Promise<Graflow>): Promise<Graflow> => {
      const graflow = await open()
      ends.push(() => graflow.close())
      return graflow
    }
    const open: OpenBoth = async (tasks, { queues = [], ...options } = {}) => {
      if (name === 'embedded') {
        const graflow = await client(() => connect({ logLevel: 'silent', tasks, ...options }))
        another = () => Promise.resolve(graflow)
        return graflow
      }
      const { url: redisUrl } = await sharedRedis()
      await keepRenewalThread()
      const keyPrefix = freshPrefix()
      const all = ['default', 'q', ...queues]
      const { maxConcurrentTasks = 8 } = options
      const worker = new Worker({
        redisUrl,
        keyPrefix,
        tasks: [...tasks],
        queues: all,
        maxConcurrentTasks,
        logLevel: 'silent',
      })
      await worker.start()
      ends.push(() => worker.stop())
      another = () => client(() => connect(redisUrl, { keyPrefix, logLevel: 'silent' }))
      return another()
    }
    tests(open, name, () => {
      if (another === undefined) throw new Error('expected a client to be open already')
      return another()
    })
  })
}
