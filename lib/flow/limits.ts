import { DEFAULT_LIMITS } from '../options.js'

/** How large a flow may be. The graph room uses the same limits, and adds its own for the bytes of a graph. */
export const FLOW_LIMITS = Object.freeze({
  /** Groups, loops, choices and workflows inside one another; a sequence adds none. */
  nesting: DEFAULT_LIMITS.nesting,
  /** Branches of one written group, cases of one choice; items of an each are counted where they are dispatched. */
  branches: DEFAULT_LIMITS.branches,
  /** Nodes in all, each counted as often as it stands in the flow: a node shared twice, forty times over, is a trillion. */
  nodes: 1_000_000,
})
