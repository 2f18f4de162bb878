import type { GroupSpec } from '../../lib/backend/backend.js'
import { pack } from '../../lib/values/packed-items.js'
import { groupArguments } from '../../lib/backend/redis/operations/group-arguments.js'
import type { Store } from '../../lib/backend/redis/store.js'
import { STORE_TIMES } from '../../lib/options.js'
import { bytes } from '../support/world.js'

const store = { times: STORE_TIMES } as Store // nothing else is asked for
const spec: GroupSpec = {
  ...{ gid: 'run/0', runId: 'run', graph: 'graph', node: '0', digest: 'digest', size: 9, shared: false, rule: 'all' },
  ...{ queue: 'default', requires: [], tasks: [], priority: 0, depth: 1, limit: 0, attempts: 1, maxLosses: 3 },
  timeoutMs: 0,
}

describe('a group on its way to the scripts', () => {
  it('has inputs of 4 GiB at most, since where they end is a number of four bytes', () => {
    const most = 2 ** 32 - 1
    const inputs = pack([bytes('abc')])
    expect(groupArguments(store, spec, 1, inputs, most - 3)[8]).toEqual(Buffer.from([0xff, 0xff, 0xff, 0xff]))
    expect(() => groupArguments(store, spec, 1, inputs, most - 2)).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
    )
  })
})
