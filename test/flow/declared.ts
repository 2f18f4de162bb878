import { declareTask } from '../../lib/flow/task.js'
import type { Node } from '../../lib/flow/types.js'

/** A flow whose types do not matter. */
export type Flow = Node<any, any>

/** A declared task of this name, as a flow whose types do not matter. */
export const declared = (name: string): Flow => declareTask<any, any>(name)
