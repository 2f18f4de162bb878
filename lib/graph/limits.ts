/** How large a graph may be. The defaults stand in the contract; a process may ask for less, or for more where all its peers do. */
export interface GraphLimits {
  /** Groups, loops, choices and workflows inside one another; a sequence adds none. */
  readonly nesting: number
  /** Branches of one written group; items of an each are counted where they are dispatched. */
  readonly branches: number
  /** Nodes in all, each counted as often as it stands in the graph. */
  readonly nodes: number
  /** Bytes of the compressed form, which is what travels. */
  readonly compressedBytes: number
  /** Bytes of the canonical form. */
  readonly canonicalBytes: number
}

const MIB = 1024 * 1024

export const GRAPH_LIMITS: GraphLimits = Object.freeze({
  nesting: 64,
  branches: 100_000,
  nodes: 1_000_000,
  compressedBytes: 8 * MIB,
  canonicalBytes: 64 * MIB,
})
