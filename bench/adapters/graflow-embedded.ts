/**
 * This library without a server, as users install it: the compiled package, since the loader that runs TypeScript directly adds a call
 * to every named function that is made, and an engine makes many.
 */
import type * as Library from '../../lib/index.js'
import type { OpenSystem } from '../system.js'
import type { Workload } from '../workload.js'

const built = new URL('../../dist/lib/index.js', import.meta.url)

export const open: OpenSystem = async <T>({ step, total }: Workload<T>) => {
  const { connect, each, task } = (await import(built.href)) as typeof Library // built from it
  const flow = each(task('step', step)).to(task('total', total))
  const graflow = await connect()
  return {
    run: (items: readonly T[]) => graflow.run(flow, items),
    close: () => graflow.close(),
  }
}
