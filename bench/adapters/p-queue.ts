/** p-queue: a limit on what runs at once, and nothing else. The limit is that of an embedded client. */
import PQueue from 'p-queue'
import type { OpenSystem } from '../system.js'

const CONCURRENCY = 256

export const open: OpenSystem = async ({ step, total }) => {
  const queue = new PQueue({ concurrency: CONCURRENCY })
  return {
    run: async (items) => total(await queue.addAll(items.map((item) => () => step(item)))),
    close: async () => undefined,
  }
}
