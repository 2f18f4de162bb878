/**
 * The store is written twice: as the kernel and as Lua scripts. A kernel file has a twin of its name (`x.lua`, `x-….lua` or `part-x.lua`), and
 * what it exports as a function has the same name there. What cannot have one stands in a list, each with its reason. Answers with sentences
 * that say what is wrong; works on any texts, so that its test can show it some that are wrong.
 */

/** Texts by file name without its ending. */
type Texts = ReadonlyMap<string, string>

/** Why something has no twin, by its name: a kernel file, a Lua part, or `file: function`. */
type Reasons = Readonly<Record<string, string>>

/** Names of the functions that a kernel file exports. */
const exportedBy = (text: string): readonly string[] =>
  [...text.matchAll(/^export (?:async )?function\*? (\w+)/gm)].map((match) => match[1] ?? '')

const definedIn = (text: string, name: string): boolean => new RegExp(`^(?:local )?function ${name}\\(`, 'm').test(text)

const partOf = (name: string): string => name.replace(/^part-/, '')

export function brokenTwins(kernel: Texts, lua: Texts, alone: Reasons): readonly string[] {
  const broken: string[] = []
  const used = new Set<string>()
  const mayStandAlone = (name: string): boolean => {
    if (alone[name] !== undefined) used.add(name)
    return alone[name] !== undefined
  }
  for (const [file, text] of kernel) {
    const twins = [...lua].filter(([name]) => partOf(name) === file || name.startsWith(`${file}-`))
    if (twins.length === 0) {
      if (!mayStandAlone(`${file}.ts`)) broken.push(`${file}.ts has no Lua part of its name`)
      continue
    }
    for (const name of exportedBy(text)) {
      if (twins.some(([, twin]) => definedIn(twin, name)) || mayStandAlone(`${file}.ts: ${name}`)) continue
      broken.push(`${file}.ts exports ${name}, which its Lua part does not have`)
    }
  }
  for (const name of lua.keys()) {
    if (!name.startsWith('part-') || kernel.has(partOf(name)) || mayStandAlone(`${name}.lua`)) continue
    broken.push(`${name}.lua has no kernel file of its name`)
  }
  for (const name of Object.keys(alone))
    if (!used.has(name)) broken.push(`${name} has a twin, or is gone: it needs no reason`)
  return broken
}

/** The number of each constant that the texts define, by name, with the file; calculations in it are done. */
function numbersIn(
  texts: Texts,
  pattern: RegExp,
): ReadonlyMap<string, readonly { readonly file: string; readonly value: number }[]> {
  const found = new Map<string, { readonly file: string; readonly value: number }[]>()
  for (const [file, text] of texts) {
    for (const [, names = '', values = ''] of text.matchAll(pattern)) {
      const numbers = values
        .split(',')
        .map((value) => value.split('*').reduce((product, factor) => product * Number(factor.replaceAll('_', '')), 1))
      for (const [i, name] of names.split(/, */).entries()) {
        const value = numbers[i]
        if (value !== undefined && !Number.isNaN(value)) found.set(name, [...(found.get(name) ?? []), { file, value }])
      }
    }
  }
  return found
}

/** Constants of one name that are other numbers in TypeScript than in Lua. How many names both have is `shared`. */
export function unequalNumbers(
  kernel: Texts,
  lua: Texts,
): { readonly shared: number; readonly broken: readonly string[] } {
  const inKernel = numbersIn(kernel, /^(?:export )?const ([A-Z][A-Z_0-9]*) = ([\d_ *.]+)$/gm)
  const inLua = numbersIn(lua, /^(?:local )?([A-Z][A-Z_0-9, ]*?) = ([\d *.,]+)$/gm)
  const shared = [...inKernel.keys()].filter((name) => inLua.has(name))
  const broken = shared.filter(
    (name) => new Set([...(inKernel.get(name) ?? []), ...(inLua.get(name) ?? [])].map(({ value }) => value)).size > 1,
  )
  return { shared: shared.length, broken }
}
