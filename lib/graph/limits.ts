import { FLOW_LIMITS } from '../flow/limits.js'
import { DEFAULT_LIMITS } from '../options.js'

/** How large a graph may be. The defaults stand in the contract; a process may ask for less, or for more where all its peers do. */
export interface GraphLimits {
  /** These three are limits of flows: see there. */
  readonly nesting: number
  readonly branches: number
  readonly nodes: number
  /** Bytes of the compressed form, which is what travels. */
  readonly compressedBytes: number
  /** Bytes of the canonical form. */
  readonly canonicalBytes: number
}

const MIB = 1024 * 1024

export const GRAPH_LIMITS: GraphLimits = Object.freeze({
  ...FLOW_LIMITS,
  compressedBytes: DEFAULT_LIMITS.graphBytes,
  canonicalBytes: 64 * MIB,
})
