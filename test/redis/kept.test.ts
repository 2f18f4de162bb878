/** The scripts cannot import a number: they have their own, which must be that of the kernel. */
import {
  GRAPH_RETENTION_MS,
  MOST_COUNTED_ENDS,
  MOST_DEAD_LETTERS,
  MOST_DISPATCHERS,
  OTHER_WORKFLOWS,
} from '../../lib/backend/kept.js'
import { LAYOUT_CAPABILITY } from '../../lib/backend/reserved.js'
import { luaTexts } from './lua-sources.js'

/** What a part gives a name that it does not make anew. */
function constantIn(part: string, name: string): number {
  const found = new RegExp(`^local ([\\w, ]*\\b${name}\\b[\\w, ]*) = ([\\d, ]+)$`, 'm').exec(luaTexts.get(part) ?? '')
  const at = (found?.[1] ?? '').split(', ').indexOf(name)
  return Number(found?.[2]?.split(', ')[at])
}

describe('what a store keeps', () => {
  it('is as much and as long in the scripts as in the kernel', () => {
    expect(constantIn('part-dead-letters', 'MOST_DEAD_LETTERS')).toBe(MOST_DEAD_LETTERS)
    expect(constantIn('part-runs', 'MOST_COUNTED_ENDS')).toBe(MOST_COUNTED_ENDS)
    expect(constantIn('part-purge', 'MOST_DISPATCHERS')).toBe(MOST_DISPATCHERS)
    expect(luaTexts.get('part-runs')).toContain(`local OTHER_WORKFLOWS = '${OTHER_WORKFLOWS}'`)
    expect(luaTexts.get('part-retries')).toContain(`local LAYOUT_CAPABILITY = '${LAYOUT_CAPABILITY}'`)
    expect(constantIn('part-opening', 'GRAPH_RETENTION_S') * 1_000).toBe(GRAPH_RETENTION_MS)
  })
})
