/** Reads a record of nodes: the branches of a group, the cases of a choice. */
import { lookingAt } from '../errors.js'
import type { Expression } from './expression.js'
import { checkName, type NameKind } from './names.js'
import { expressionOf } from './node.js'

/**
 * The entries in written order (keys that are whole numbers come first, by size: so JavaScript keeps them).
 * @throws GraflowError INVALID_NAME, INVALID_NODE
 */
export function recordOf(
  asked: string,
  kind: Extract<NameKind, 'branch key' | 'case key'>,
  record: Readonly<Record<string, unknown>>,
): readonly (readonly [key: string, node: Expression])[] {
  return lookingAt(asked, 'INVALID_NODE', () => Object.entries(record)).map(
    ([key, node]) => [checkName(kind, key), expressionOf(node, `${asked}, key ${key}`)] as const,
  )
}
