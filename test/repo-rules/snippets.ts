/**
 * Code in documents, made runnable. Blocks of a page that begin with ```ts run are one module, in their order; ```js run makes a CommonJS
 * module in the same way; ```ts fails and ```js fails are code that must not compile; `@example` in a docstring is a module of its own. What
 * a line gives stands behind it:
 *
 * - `expression // → expected`, also behind a declaration: equal to this expression
 * - `expression // throws CODE` and, if it goes on, `: some words of its message`
 * - `console.log(…) // prints some text`; a promise is awaited first
 *
 * Lines keep their numbers, so that errors point into the page.
 */
import ts from 'typescript'

/** A module made of text that people read. */
export interface Snippet {
  /** Where it stands: `docs/language.md`, `lib/flow/seq.ts:14`. */
  readonly name: string
  readonly code: string
  /** TypeScript where it is left out; else JavaScript as a CommonJS module. */
  readonly language?: 'js'
}

/** What must not compile, and the words that the compiler must say. */
export interface FailingSnippet extends Snippet {
  readonly words: readonly string[]
}

const FENCE = /^```(.*)$/

/** Lines of the blocks whose info string is `info`, numbered by the page; blocks of others are left out. */
function blocksOf(page: string, info: string): readonly (readonly (readonly [line: number, text: string])[])[] {
  const blocks: [number, string][][] = []
  let open: string | undefined
  for (const [index, text] of page.split('\n').entries()) {
    const fence = FENCE.exec(text)?.[1]
    if (fence !== undefined) {
      open = open === undefined ? fence : undefined
      if (open === info) blocks.push([])
    } else if (open === info) {
      blocks.at(-1)?.push([index, text])
    }
  }
  return blocks
}

function atTheirLines(lines: readonly (readonly [line: number, text: string])[], length: number): string {
  const placed = new Array<string>(length).fill('')
  for (const [line, text] of lines) placed[line] = text
  return placed.join('\n')
}

const inLanguage = (language: 'ts' | 'js'): Pick<Snippet, 'language'> => (language === 'js' ? { language } : {})

/** All that is marked as runnable in a page, as one module with the page's line numbers; undefined where there is nothing. */
export function runnableOf(name: string, page: string, language: 'ts' | 'js' = 'ts'): Snippet | undefined {
  const lines = blocksOf(page, `${language} run`).flat()
  if (lines.length === 0) return undefined
  const code = atTheirLines(lines, page.split('\n').length)
  return { name: language === 'ts' ? name : `${name} (JavaScript)`, code, ...inLanguage(language) }
}

/** Every block that must not compile, each with all that is runnable above it. A line `// ✗ …` says what the compiler must say. */
export function failingOf(name: string, page: string, language: 'ts' | 'js' = 'ts'): readonly FailingSnippet[] {
  const runnable = blocksOf(page, `${language} run`).flat()
  return blocksOf(page, `${language} fails`).map((block) => {
    const first = block[0]?.[0] ?? 0
    const above = runnable.filter(([line]) => line < first)
    return {
      name: `${name}:${first + 1}`,
      code: atTheirLines([...above, ...block], page.split('\n').length),
      words: block.flatMap(([, text]) => /^ *\/\/ ✗ (.*)$/.exec(text)?.[1] ?? []),
      ...inLanguage(language),
    }
  })
}

/** Every `@example` of a source file. */
export function examplesOf(name: string, source: string): readonly Snippet[] {
  if (!source.includes('@example')) return [] // parsing takes long, and most files have none
  const file = ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true)
  const found = new Map<number, Snippet>()
  const visit = (node: ts.Node): void => {
    for (const tag of ts.getJSDocTags(node)) {
      if (tag.tagName.text !== 'example') continue
      const { line } = file.getLineAndCharacterOfPosition(tag.getStart())
      const code = (ts.getTextOfJSDocComment(tag.comment) ?? '').replaceAll('*\u2060/', '*/')
      found.set(line, { name: `${name}:${line + 1}`, code })
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return [...found.values()]
}

/** Adds an import of those names that the code uses and does not declare. */
export function withImports({ name, code }: Snippet, from: string, names: readonly string[]): Snippet {
  const file = ts.createSourceFile('snippet.ts', code, ts.ScriptTarget.Latest, true)
  const used = new Set<string>()
  const declared = new Set<string>()
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) {
      const { parent } = node
      const isName =
        (ts.isVariableDeclaration(parent) || ts.isFunctionDeclaration(parent) || ts.isImportSpecifier(parent)) &&
        parent.name === node
      if (isName) declared.add(node.text)
      else if (!(ts.isPropertyAccessExpression(parent) && parent.name === node)) used.add(node.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  const wanted = names.filter((wantedName) => used.has(wantedName) && !declared.has(wantedName))
  // On the first line, so that the others keep their numbers.
  return { name, code: wanted.length === 0 ? code : `import { ${wanted.join(', ')} } from '${from}'; ${code}` }
}

/** Other files are parsed once, and what they import looked up once, for all calls with the same options: that is most of the time. */
const parsed = new WeakMap<ts.CompilerOptions, Map<string, ts.SourceFile | undefined>>()
const last = new WeakMap<ts.CompilerOptions, ts.Program>()

/** What the compiler says of each snippet, by its name. */
export function diagnose(
  snippets: readonly Snippet[],
  options: ts.CompilerOptions,
  folder: string,
): ReadonlyMap<string, readonly string[]> {
  const extension = ({ language }: Snippet): string => (language === 'js' ? 'cjs' : 'ts')
  const paths = new Map(snippets.map((snippet, i) => [`${folder}/snippet-${i}.${extension(snippet)}`, snippet]))
  const others = parsed.get(options) ?? new Map<string, ts.SourceFile | undefined>()
  parsed.set(options, others)
  const host = ts.createCompilerHost(options)
  const readFromDisk = host.getSourceFile.bind(host)
  const fileExists = host.fileExists.bind(host)
  host.fileExists = (file) => paths.has(file) || fileExists(file)
  host.getSourceFile = (file, version) => {
    const snippet = paths.get(file)
    if (snippet === undefined) {
      if (!others.has(file)) others.set(file, readFromDisk(file, version))
      return others.get(file)
    }
    // What imports nothing is a module all the same; JavaScript is one by its extension.
    return ts.createSourceFile(file, snippet.language === 'js' ? snippet.code : `${snippet.code}\nexport {}\n`, version)
  }
  const program = ts.createProgram([...paths.keys()], options, host, last.get(options))
  last.set(options, program)
  return new Map(
    [...paths].map(([path, { name }]) => {
      const file = program.getSourceFile(path)
      const found = [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
      return [name, found.map((diagnostic) => said(diagnostic))]
    }),
  )
}

function said({ file, start, messageText }: ts.Diagnostic): string {
  const text = ts.flattenDiagnosticMessageText(messageText, ' ').replace(/\s+/g, ' ')
  const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start ?? 0).line + 1
  return `line ${line}: ${text}`
}

/** What a running snippet reports to. `line` counts from 1. */
export interface Checks {
  gives(line: number, actual: unknown, expected: () => unknown): void
  throws(line: number, act: () => unknown, expected: string): Promise<void>
  prints(line: number, expected: string): void
}

const MARK = /\/\/ (→|throws|prints) (.*)$/

/** The code with its marks turned into calls of `__checks`. Throws for a mark that belongs to no statement. */
function withChecks({ name, code }: Snippet): string {
  const file = ts.createSourceFile('snippet.ts', code, ts.ScriptTarget.Latest, true)
  const marks = new Map<number, readonly [kind: string, expected: string]>()
  for (const [index, text] of code.split('\n').entries()) {
    const [, kind, expected] = MARK.exec(text) ?? []
    if (kind !== undefined && expected !== undefined) marks.set(index, [kind, expected])
  }
  let checked = code
  // From the end, so that the places of what comes before stay.
  for (const statement of file.statements.toReversed()) {
    const { line } = file.getLineAndCharacterOfPosition(statement.end)
    const mark = marks.get(line)
    if (mark === undefined) continue
    marks.delete(line)
    const [start, end] = [statement.getStart(file), statement.end]
    checked = checked.slice(0, start) + checkedStatement(statement, file, line + 1, mark) + checked.slice(end)
  }
  const [lost] = marks.keys()
  if (lost !== undefined) throw new Error(`${name}: the mark in line ${lost + 1} is behind no statement at the top`)
  return checked
}

function checkedStatement(
  statement: ts.Statement,
  file: ts.SourceFile,
  line: number,
  [kind, expected]: readonly [kind: string, expected: string],
): string {
  const text = statement.getText(file)
  switch (kind) {
    case 'prints':
      return `${ts.isExpressionStatement(statement) ? `await (${statement.expression.getText(file)})` : text}; __checks.prints(${line}, ${JSON.stringify(expected)});`
    case 'throws': {
      // returned, so that a promise nobody awaits is looked at, too
      const act = ts.isExpressionStatement(statement) ? `return ${statement.expression.getText(file)}` : text
      return `await __checks.throws(${line}, async () => { ${act} }, ${JSON.stringify(expected)});`
    }
    default: {
      if (ts.isExpressionStatement(statement)) {
        return `__checks.gives(${line}, ${statement.expression.getText(file)}, () => (${expected}));`
      }
      const [declaration] = ts.isVariableStatement(statement) ? statement.declarationList.declarations : []
      if (declaration === undefined || !ts.isIdentifier(declaration.name)) {
        throw new Error(`line ${line}: a mark stands behind an expression or a declaration, not behind ${text}`)
      }
      return `${text}; __checks.gives(${line}, ${declaration.name.text}, () => (${expected}));`
    }
  }
}

const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor as new (
  ...words: readonly string[]
) => (...values: readonly unknown[]) => Promise<void>

/** Runs a snippet in this process. `load` finds its imports; `print` gets what it logs. */
export async function run(
  snippet: Snippet,
  load: (specifier: string) => unknown,
  checks: Checks,
  print: (line: string) => void,
): Promise<void> {
  const { outputText } = ts.transpileModule(withChecks(snippet), {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true },
  })
  const console = { log: (...words: readonly unknown[]) => print(words.map(String).join(' ')) }
  await new AsyncFunction('require', 'exports', 'console', '__checks', outputText)(load, {}, console, checks)
}
