/** Each Lua file lists what it needs of the others, and each part what it gives: no more and no less. */
import { waysOf } from '../../lib/backend/redis/scripts.js'
import { isPart, luaTexts } from './lua-sources.js'
import { brokenNeeds, namesUsed } from './lua-names.js'

const files = (...texts: readonly [string, string][]): ReadonlyMap<string, string> => new Map(texts)
const clock = '-- Gives: now\n-- Needs: none\nfunction now()\n  return 1\nend\n'
const script = (needs: string, code: string): string => `-- Flags:\n-- Needs:${needs}\n${code}\n`

describe('the heads of the Lua files', () => {
  it('list what the file uses of other parts, and what others use of it', () => {
    expect([...luaTexts.keys()]).toContain('part-group')
    expect(brokenNeeds(luaTexts)).toEqual([])
  })

  it('put each part into the library once', () => {
    const ways = [...waysOf(luaTexts).values()]
    const places = new Set(ways.flatMap((way) => way.map((_, i) => way.slice(0, i + 1).join(' '))))
    expect(places.size).toBe([...luaTexts.keys()].filter(isPart).length)
  })
})

describe('the rule of the heads', () => {
  it('is kept by a file that lists what it uses', () => {
    expect(brokenNeeds(files(['part-clock', clock], ['a', script('\n--   clock: now', 'return now()')]))).toEqual([])
  })

  it.each([
    ['a name that is used and not listed', 'a', script(' none', 'return now()'), 'a does not list now, and uses it'],
    [
      'a name that is listed and not used',
      'a',
      script('\n--   clock: now', 'return 1'),
      'a lists now, and does not use it',
    ],
    [
      'a name that the part does not give',
      'a',
      script('\n--   clock: now wall', 'return now() + wall()'),
      'a needs wall of part-clock, which does not give it',
    ],
    [
      'a local that hides a name of a part',
      'a',
      script('\n--   clock: now', 'local now = now()'),
      'a makes a now of its own, which hides that of part-clock',
    ],
    ['a name that nobody needs', 'a', script(' none', 'return 1'), 'part-clock gives now, and no other file needs it'],
    [
      'a name that is given and not defined',
      'part-other',
      '-- Gives: other\n-- Needs:\n--   clock: now\nlocal x = now()\n',
      'part-other gives other, and does not define it',
    ],
    [
      'a name that two parts give',
      'part-other',
      '-- Gives: now\n-- Needs: none\nfunction now()\nend\n',
      'part-other gives now, which part-clock gives',
    ],
  ])('refuses %s', (_, name, text, expected) => {
    expect(brokenNeeds(files(['part-clock', clock], [name, text]))).toContain(expected)
  })

  it('knows names from fields, texts and comments', () => {
    expect([...namesUsed("a = { b = c, [d] = e }.f .. 'g' .. h:i() -- j")].sort()).toEqual(['a', 'c', 'd', 'e', 'h'])
  })
})

describe('the ways of the scripts through the parts', () => {
  it('refuse a part that is not there, and parts that need each other', () => {
    expect(() => waysOf(files(['a', script('\n--   clock: now', 'return now()')]))).toThrow('part-clock.lua')
    const circle = files(
      ['part-x', '-- Gives: x\n-- Needs:\n--   y: y\nfunction x()\n  return y()\nend\n'],
      ['part-y', '-- Gives: y\n-- Needs:\n--   x: x\nfunction y()\n  return x()\nend\n'],
      ['a', script('\n--   x: x', 'return x()')],
    )
    expect(() => waysOf(circle)).toThrow('no circle of parts')
  })
})
