/** The floor: what JavaScript itself costs. No limit on what runs at once, no retries, no record of anything. */
import type { OpenSystem } from '../system.js'

export const open: OpenSystem = async ({ step, total }) => ({
  run: async (items) => total(await Promise.all(items.map(step))),
  close: async () => undefined,
})
