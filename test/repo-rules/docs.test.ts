import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { ERROR_CODES } from '../../lib/errors.js'
import { EVENTS, GraflowError, loop, each, par, task, waitFor, workflow, type TaskOptions } from '../../lib/index.js'
import {
  CONNECT_OPTIONS,
  LIMIT_OPTIONS,
  LOCK_OPTIONS,
  RUN_OPTIONS,
  SERVER_OPTIONS,
  EXPORTER_OPTIONS,
  WORKER_OPTIONS,
  type OptionSpec,
  defaultTextOf,
  GROUP_DEFAULTS,
  RETRY_DEFAULTS,
  TASK_DEFAULTS,
} from '../../lib/options.js'
import { readDoc, tableRows } from './doc-table.js'
import { eventFields } from './event-fields.js'

const manifest = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8'))

describe('a table of the docs', () => {
  const page = '# A\n\n| x | y |\n|---|---|\n| `a` | b \\| c |\n\ntext\n\n## B\n| z |\n| :-: |\n| 1 |\n| 2 |\n'

  it('is read by its heading, without its head', () => {
    expect(tableRows(page, 'A')).toEqual([['`a`', 'b | c']])
    expect(tableRows(page, 'B')).toEqual([['1'], ['2']])
    expect(() => tableRows(page, 'C')).toThrow('no heading "C"')
  })
})

describe('docs/errors.md', () => {
  it('says of every code what the table in lib/errors.ts says, and of no other', () => {
    const told = Object.entries(ERROR_CODES).map(
      ([code, { meaning, retryable, httpStatus, exitCode }]) =>
        `| \`${code}\` | ${meaning} | ${retryable ? 'yes' : 'no'} | ${String(httpStatus)} | ${String(exitCode)} |`,
    )
    // A difference shows the rows to write.
    expect(tableRows(readDoc('errors.md'), 'Codes').map((cells) => `| ${cells.join(' | ')} |`)).toEqual(told)
  })
})

describe('docs/dependencies.md', () => {
  it.each([
    ['What users install', 'dependencies'],
    ['What developers install', 'devDependencies'],
  ])('%s: a reason for each of %s, and for no other', (section, kind) => {
    const rows = tableRows(readDoc('dependencies.md'), section)
    expect(rows.map(([name]) => name)).toEqual(Object.keys(manifest[kind]).map((name) => `\`${name}\``))
    expect(rows.filter(([, why]) => why === undefined || why.length < 10)).toEqual([])
  })
})

describe('docs/options.md', () => {
  const page = readDoc('options.md')
  const rowsOf = (section: string): readonly string[] =>
    tableRows(page, section).map((cells) => `| ${cells.join(' | ')} |`)

  /** What a table of lib/options.ts says an option may be. */
  function mayBe(spec: OptionSpec): string {
    switch (spec.kind) {
      case 'integer':
        return `integer ${spec.min ?? 0} …${spec.max === undefined ? '' : ` ${spec.max}`}${spec.unit === undefined ? '' : ` (${spec.unit})`}`
      case 'string':
        if (spec.oneOf !== undefined) return spec.oneOf.map((word) => `\`${word}\``).join(', ')
        return spec.pattern === undefined ? 'text' : `text that matches \`${String(spec.pattern)}\``
      case 'list':
      case 'boolean':
      case 'function':
      case 'object':
        return spec.kind
    }
  }

  it.each([
    ['connect', CONNECT_OPTIONS],
    ['limits', LIMIT_OPTIONS],
    ['run', RUN_OPTIONS],
    ['lock', LOCK_OPTIONS],
    ['worker', WORKER_OPTIONS],
    ['exporter', EXPORTER_OPTIONS],
    ['server', SERVER_OPTIONS],
  ] as const)('%s: says of every option what the table in lib/options.ts says, and of no other', (section, table) => {
    const told = Object.entries<OptionSpec>(table).map(
      ([name, spec]) => `| \`${name}\` | ${mayBe(spec)} | ${defaultTextOf(spec)} | ${spec.help} |`,
    )
    // A difference shows the rows to write.
    expect(rowsOf(section)).toEqual(told)
  })

  it('Flags, environment, file: says of every option of the worker where it may come from', () => {
    const told = Object.entries<OptionSpec>(WORKER_OPTIONS).map(
      ([name, { flag = '', env = [] }]) =>
        `| \`${name}\` | \`--${flag}\` | ${env.map((variable) => `\`${variable}\``).join(', ')} |`,
    )
    expect(rowsOf('Flags, environment, file')).toEqual(told)
  })

  it.each<[section: string, defaults: Readonly<Record<string, unknown>>]>([
    ['task', TASK_DEFAULTS],
    ['retry', RETRY_DEFAULTS],
    ['group', GROUP_DEFAULTS],
  ])('%s: says of every option that has a default which it is, and of no other', (section, defaults) => {
    const said = tableRows(page, section).map(([name = '', , value = '']) => [name, value.replaceAll('`', '')] as const)
    const isPlain = ([, value]: readonly [string, string]): boolean => !/^(none|one attempt|its tasks’)$/.test(value)
    expect(Object.fromEntries(said.filter(isPlain))).toEqual(
      Object.fromEntries(Object.entries(defaults).map(([name, value]) => [`\`${name}\``, String(value)])),
    )
  })

  const a = task('a', (n: number) => n)
  /** How an option of the language is set, by the section that lists it. */
  const setters: Readonly<Record<string, (options: object) => unknown>> = {
    task: (options) => task('t', options, () => 1),
    retry: (retry) => task('t', { retry } as TaskOptions, () => 1),
    group: (options) => par(a, a).configure(options),
    each: (options) => each(a).configure(options),
    workflow: (options) => workflow('w', a, options),
    waitFor: (options) => waitFor('w', options),
    loop: (options) => loop(a as never, { maxCycles: 1, ...options }),
  }
  const setterOf = (section: string): ((options: object) => unknown) => {
    const set = setters[section]
    if (set === undefined) throw new Error(`no setter for ${section}`)
    return set
  }
  const refusalOf = (act: () => unknown): string => {
    try {
      act()
      return 'nothing'
    } catch (error) {
      return error instanceof GraflowError ? `${error.code} ${error.message}` : String(error)
    }
  }

  it.each(Object.keys(setters))('%s: lists the options that there are, and no other', (section) => {
    const listed = tableRows(page, section).map(([name]) => name)
    const refusal = refusalOf(() => setterOf(section)({ nosuch: 1 }))
    const known = /the options are (.*)$/.exec(refusal)?.[1]?.split(', ') ?? []
    expect(known.length).toBeGreaterThan(0)
    const inherited = section === 'each' ? tableRows(page, 'group').map(([name]) => name) : []
    expect([...inherited, ...listed]).toEqual(known.map((name) => `\`${name.replace('retry.', '')}\``))
  })

  /** Values that a description allows, and values that it does not. */
  function examplesOf(described: string): { readonly good: readonly unknown[]; readonly bad: readonly unknown[] } {
    const [, kind, least, most] = /^(integer|number) (-?\d+) …(?: (\d+))?$/.exec(described) ?? []
    if (kind !== undefined) {
      const [min, max] = [Number(least), most === undefined ? 1e12 : Number(most)]
      const part = kind === 'integer' ? 0.5 : 0.01
      return {
        good: [min, max],
        bad: [
          min - part,
          ...(kind === 'integer' ? [min + part] : []),
          ...(most === undefined ? [] : [max + part]),
          '1',
        ],
      }
    }
    const words = [...described.matchAll(/`([^`]+)`/g)].map(([, word]) => word)
    if (words.length > 0) return { good: words, bad: ['other', 1] }
    switch (described.replace(/, see .*$/, '')) {
      case 'name':
        return { good: ['a-b', 'A_1'], bad: ['a b', '', 1] }
      case 'keys with dots between':
        return { good: ['id', 'a.b', 'a b'], bad: ['', 'a..b', 1] }
      case 'list of names':
        return { good: [[], ['gpu', 'big']], bad: ['gpu', ['a b'], [1]] }
      case 'object':
        return { good: [{}], bad: [1, []] }
      case 'object with a title':
        return { good: [{ title: 'a' }, { title: 'a', text: 'b', choices: ['c'] }], bad: [1, {}, { title: 1 }] }
      case 'plain data': // what is none is NOT_SERIALISABLE
        return { good: [0, 'a', { ok: [null, 1.5] }], bad: [] }
      case 'boolean':
        return { good: [true, false], bad: ['true', 1] }
      case 'Standard Schema':
        return { good: [z.string()], bad: [{}, 'string'] }
      case 'text up to 4096 characters':
        return { good: ['', 'x'.repeat(4096)], bad: ['x'.repeat(4097), 1] }
      default:
        throw new Error(`"${described}" says nothing that can be tried`)
    }
  }

  const listed = Object.keys(setters).flatMap((section) =>
    tableRows(page, section).map(([name = '', described = '']) => [section, name, described] as const),
  )
  it.each(listed)('%s %s may be %s, and nothing else', (section, name, described) => {
    const set = (value: unknown): unknown => setterOf(section)({ [name.replaceAll('`', '')]: value })
    const { good, bad } = examplesOf(described)
    for (const value of good) expect(refusalOf(() => set(value))).toBe('nothing')
    for (const value of bad) expect(refusalOf(() => set(value))).toMatch(/^INVALID_/)
  })
})

describe('docs/events.md', () => {
  const page = readDoc('events.md')
  const fields = eventFields()

  it('says of every event what lib/events.ts says, and of no other', () => {
    const told = Object.entries(EVENTS).map(
      ([name, says]) =>
        `| \`${name}\` | ${says} | ${(fields.get(name) ?? []).map((field) => `\`${field}\``).join(', ')} |`,
    )
    // A difference shows the rows to write.
    expect(tableRows(page, 'All events').map((cells) => `| ${cells.join(' | ')} |`)).toEqual(told)
    expect([...fields.keys()]).toEqual(Object.keys(EVENTS))
  })

  it('explains every field, and no other', () => {
    const explained = tableRows(page, 'Fields').flatMap(([names]) => names?.match(/\w+/g) ?? [])
    const used = [...fields.values()].flat().map((field) => field.replace('?', ''))
    expect(explained.sort()).toEqual([...new Set(used)].sort())
  })
})
