/** What flows need of this room for their `hash`, `toMermaid()` and `toSvg()`: lib/index.ts hands it to the flow room. */
import type { Expression } from '../flow/expression.js'
import type { Drawing } from '../flow/node.js'
import { graphHash } from './canonical.js'
import { graphOf } from './graph-of.js'
import { toMermaid } from './mermaid.js'
import { toSvg } from './svg.js'

/** The errors are those of graphOf. */
export const drawing: Drawing = Object.freeze({
  hash: (expression: Expression) => graphHash(graphOf(expression)),
  mermaid: (expression: Expression) => toMermaid(graphOf(expression)),
  svg: (expression: Expression) => toSvg(graphOf(expression)),
})
