import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import * as graflow from 'graflow'
import * as testing from 'graflow/testing'
import * as worker from 'graflow/worker'
import * as zod from 'zod'
import { compiled } from '../support/compiled.js'
import { sharedRedis } from '../support/shared-redis.js'
import { readDoc } from './doc-table.js'
import { diagnose, examplesOf, failingOf, run, runnableOf, withImports, type Snippet } from './snippets.js'

const root = join(__dirname, '../..')
const modules: Readonly<Record<string, unknown>> = {
  graflow,
  'graflow/testing': testing,
  'graflow/worker': worker,
  zod,
}
const load = (specifier: string): unknown => {
  if (!Object.hasOwn(modules, specifier)) throw new Error(`snippets import graflow and zod, not ${specifier}`)
  return modules[specifier]
}

const options: ts.CompilerOptions = {
  ...ts.parseJsonConfigFileContent(ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config, ts.sys, root)
    .options,
  incremental: false,
  // imports are added for whoever reads, types among them
  verbatimModuleSyntax: false,
  paths: {
    graflow: [join(root, 'dist/lib/index.d.ts')],
    'graflow/testing': [join(root, 'dist/lib/testing.d.ts')],
    'graflow/worker': [join(root, 'dist/worker/index.d.ts')],
  },
  types: ['node'],
  allowJs: true,
  checkJs: true,
}
delete options.tsBuildInfoFile

/** Modules that it names by their paths: jest reads no TypeScript for threads, so they are those that were compiled. */
const withCompiled = (snippet: Snippet): Snippet => ({
  ...snippet,
  code: snippet.code.replaceAll(/'(examples\/[\w./-]+\.ts)'/g, (_, path: string) => `'${compiled(join(root, path))}'`),
})

/** Runs a snippet; gives how many of its marks were looked at. */
async function runChecked(given: Snippet): Promise<number> {
  const snippet = withCompiled(given)
  let count = 0
  let printed = ''
  await run(
    snippet,
    load,
    {
      gives(line, actual, expected) {
        count += 1
        expect({ line, gives: actual }).toEqual({ line, gives: expected() })
      },
      async throws(line, act, expected) {
        count += 1
        const [, code, words = ''] = /^(\w+)(?:: (.*))?$/.exec(expected) ?? []
        const thrown: unknown = await Promise.resolve(act()).then(
          () => 'nothing',
          (error: unknown) => error,
        )
        const told = thrown instanceof graflow.GraflowError ? `${thrown.code}: ${thrown.message}` : String(thrown)
        expect({ line, throws: told }).toEqual({ line, throws: expect.stringMatching(`^${code ?? expected}: `) })
        expect({ line, throws: told }).toEqual({ line, throws: expect.stringContaining(words) })
      },
      prints(line, expected) {
        count += 1
        expect({ line, prints: printed }).toEqual({ line, prints: expected })
      },
    },
    (text) => {
      printed = text
    },
  )
  return count
}

const pages = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .sort()
  .map((name) => ({ name: `docs/${name}`, text: readDoc(name) }))
const languages = ['ts', 'js'] as const
const inAll = <T>(find: (name: string, text: string, language: 'ts' | 'js') => T): readonly T[] =>
  pages.flatMap(({ name, text }) => languages.map((language) => find(name, text, language)))
const runnable = inAll(runnableOf).filter((snippet) => snippet !== undefined)
const failing = inAll(failingOf).flat()
const names = publicNames()
const examples = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
  .map((file) => `lib/${file.replaceAll('\\', '/')}`)
  .filter((file) => file.endsWith('.ts'))
  .sort()
  .flatMap((file) => examplesOf(file, readFileSync(join(root, file), 'utf8')))
  .map((example) => withImports(example, 'graflow', names))

/** Types too, which the module itself does not have at run time. */
function publicNames(): readonly string[] {
  const file = ts.createSourceFile('index.ts', readFileSync(join(root, 'lib/index.ts'), 'utf8'), ts.ScriptTarget.Latest)
  return file.statements.flatMap((statement) =>
    ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)
      ? statement.exportClause.elements.map(({ name }) => name.text)
      : [],
  )
}

describe('code for readers', () => {
  /** What the compiler says of each, compiled once for all, since that takes seconds. */
  let said: ReadonlyMap<string, readonly string[]>
  beforeAll(async () => {
    said = diagnose([...runnable, ...failing, ...examples], options, join(root, 'test/repo-rules'))
    process.env['REDIS_URL'] = (await sharedRedis()).url
  }, 120_000)

  it('is in the guides, in docstrings, and where a mistake is shown', () => {
    expect(runnable.map(({ name }) => name)).toEqual([
      'docs/commonjs-and-javascript.md (JavaScript)',
      'docs/from-bullmq.md',
      'docs/from-celery.md',
      'docs/from-temporal.md',
      'docs/guides/channels-and-locks.md',
      'docs/guides/control-flow.md',
      'docs/guides/control-plane.md',
      'docs/guides/durable-runs.md',
      'docs/guides/operating-in-code.md',
      'docs/guides/pipeline-groups.md',
      'docs/guides/retry-and-settle.md',
      'docs/guides/testing.md',
      'docs/guides/threads.md',
      'docs/guides/versions.md',
      'docs/guides/waiting.md',
      'docs/language.md',
      'docs/workers.md',
    ])
    expect([failing.length > 2, examples.length > 9]).toEqual([true, true])
  })

  it('compiles', () => {
    const all = [...runnable, ...examples]
    expect(all.flatMap(({ name }) => said.get(name)?.map((error) => `${name} ${error}`))).toEqual([])
  })

  it('does not compile where it says so, with the words that it shows', () => {
    const unsaid = failing.filter(({ name, words }) => {
      const errors = said.get(name) ?? []
      return words.length === 0 || !words.every((some) => errors.some((error) => error.includes(some)))
    })
    expect(unsaid.map(({ name, words }) => ({ name, words, said: said.get(name) }))).toEqual([])
  })

  it.each([...runnable, ...examples].map((snippet) => [snippet.name, snippet] as const))(
    'in %s gives what it says',
    async (_, snippet) => {
      expect(await runChecked(snippet)).toBeGreaterThan(0)
    },
  )
})

describe('a snippet', () => {
  const page = [
    'text',
    '```ts run',
    `import { task } from 'graflow'`,
    `const one = task('one', () => 1) // → one`,
    '```',
    '```ts',
    'this is not run',
    '```',
    '```ts run',
    `one.name // → 'one'`,
    `console.log('a', 1) // prints a 1`,
    `one.to(3 as never) // throws INVALID_NODE: expected a flow`,
    '```',
    '```ts fails',
    'one.to(3)',
    '// ✗ not assignable',
    '```',
    '```js run',
    `const { task: make } = require('graflow')`,
    `Promise.resolve(make('two', () => 2).name).then(console.log) // prints two`,
    '```',
    '```js fails',
    'make(2, () => 2)',
    '// ✗ not assignable',
    '```',
  ].join('\n')
  const runnableIn = (text: string, language: 'ts' | 'js' = 'ts'): Snippet => {
    const snippet = runnableOf('page', text, language)
    if (snippet === undefined) throw new Error(`the page has no ${language} to run`)
    return snippet
  }

  it('is what is marked in a page, in its own lines', () => {
    const { code } = runnableIn(page)
    expect(code.split('\n').length).toBe(page.split('\n').length)
    expect(code.split('\n')[9]).toBe(`one.name // → 'one'`)
    expect(code).not.toContain('this is not run')
    const [failing] = failingOf('page', page)
    expect(failing?.words).toEqual(['not assignable'])
    expect(failing?.code.split('\n')[14]).toBe('one.to(3)')
  })

  it('is run, and every mark looked at', async () => {
    expect(await runChecked(runnableIn(page))).toBe(4)
    expect(await runChecked(runnableIn(page, 'js'))).toBe(1)
    expect(runnableOf('page', 'no code')).toBeUndefined()
  })

  it('in JavaScript is checked by its JSDoc', () => {
    const [failing] = failingOf('page', page, 'js')
    const wrong = {
      name: 'wrong',
      code: `const { task } = require('graflow')\ntask(/** @type {number} */ (1), () => 2)`,
    }
    const said = diagnose(
      [runnableIn(page, 'js'), ...(failing ? [failing] : []), { ...wrong, language: 'js' }],
      options,
      __dirname,
    )
    expect([...said.values()].map((errors) => errors.join(' '))).toEqual([
      ...['', expect.stringContaining('not assignable'), expect.stringContaining('not assignable')],
    ])
  }, 60_000)

  it.each([
    [`1 + 1 // → 3`, '"line": 1'],
    [`throw new Error('x') // throws INVALID_NODE`, 'INVALID_NODE'],
    [`1 // throws INVALID_NODE`, 'nothing'],
    [`console.log('a') // prints b`, '"prints": "a"'],
    [`Promise.resolve('a').then(console.log) // prints b`, '"prints": "a"'],
    [`if (true) {\n  1 // → 1\n}`, 'the mark in line 2 is behind no statement'],
  ])('fails where it is wrong: %j', async (code, why) => {
    await expect(runChecked({ name: 'wrong', code })).rejects.toThrow(why)
  })

  it('gets the imports that it does not write', () => {
    const { code } = withImports({ name: 'x', code: `const seq = 1\ntask.par(seq, each)` }, 'graflow', [
      ...['seq', 'par', 'each', 'task', 'loop'],
    ])
    expect(code).toBe(`import { each, task } from 'graflow'; const seq = 1\ntask.par(seq, each)`)
  })
})
