/** What operators read and do, put together: the client has it as its own, and the command and the server are thin over it. */
import type { OperatorServices, Operators } from '../producer/operators.js'
import { DeploymentDesk } from './deployments/deployments.js'
import { QueueBoard } from './queues.js'
import { RunDesk } from './runs.js'
import { WaitList } from './waits.js'

/** Of a store, for one client. */
export function operatorsOf(services: OperatorServices): Operators {
  return {
    runs: new RunDesk(services),
    queues: new QueueBoard(services),
    waits: new WaitList(services),
    deployments: new DeploymentDesk(services),
  }
}
