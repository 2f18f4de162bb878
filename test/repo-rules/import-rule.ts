/**
 * Who may import whom. Hides how imports are found (the TypeScript parser, so that every spelling counts: type-only, re-exports,
 * `import()` as value and as type, `require`); answers with sentences that say what is wrong and why. Works on any list of files, so
 * that its own test can show it files that are wrong.
 */
import { isBuiltin } from 'node:module'
import { posix } from 'node:path'
import ts from 'typescript'

/** A source file by its path from the root of the checkout, with forward slashes. */
export interface Source {
  readonly path: string
  readonly text: string
}

/** Rooms in their order: each may import itself and those before it. */
const order = [
  ...['describe', 'nearest', 'errors', 'time', 'options', 'events', 'flow', 'modules', 'graph', 'values', 'backend'],
  ...['engine', 'threads', 'session', 'executor', 'report', 'producer', 'admin', 'server'],
] as const
/** Everything but what only the composition root may know. */
const commonRooms = [...order, 'observe'] as const
const kept = ['kernel', 'redis'] as const

/** Rooms that stand beside the order: what each may import, and why no more. */
const beside: Readonly<Record<string, { readonly may: readonly string[]; readonly because: string }>> = {
  kernel: {
    may: order.slice(0, order.indexOf('backend') + 1),
    because: 'it implements the interface and knows no more',
  },
  redis: {
    may: order.slice(0, order.indexOf('backend') + 1),
    because: 'it implements the interface and knows no more',
  },
  observe: { may: ['events', 'describe'], because: 'observe imports events and describe only' },
  connect: { may: [...commonRooms, ...kept], because: 'connect puts the rooms together and is not one of them' },
  index: { may: [...commonRooms, 'connect'], because: 'index lists public names only' },
  worker: { may: [...commonRooms, 'connect'], because: 'worker stands on lib, and opens stores through connect' },
  testing: {
    may: [...commonRooms, ...kept, 'connect', 'index'],
    because: 'testing is for tests of flows, without worker processes',
  },
  bin: { may: [...commonRooms, ...kept, 'connect', 'index', 'worker'], because: 'testing is for tests' },
}
/** Who may see metrics, traces and logs being made: those who open them to the outside. */
const seesObserve = ['producer', 'server']

/** For every room the rooms it may import beside itself. */
export const mayImport: ReadonlyMap<string, readonly string[]> = new Map([
  ...order.map((room, index): [string, readonly string[]] => [
    room,
    [...order.slice(0, index), ...(seesObserve.includes(room) ? ['observe'] : [])],
  ]),
  ...Object.entries(beside).map(([room, { may }]): [string, readonly string[]] => [room, may]),
])

/** Rooms that are pure, with the parts of Node.js that they may use all the same: those that do no I/O. */
const pureBuiltins: Readonly<Record<string, readonly string[]>> = {
  flow: ['node:util/types'],
  graph: ['node:util/types', 'node:crypto'],
  values: ['node:util', 'node:util/types'],
}

/** The room a file belongs to; undefined when the import rule has none for it. */
export function roomOf(path: string): string | undefined {
  const [top = '', second = '', third = '', ...deeper] = path.split('/')
  if (top === 'worker' || top === 'bin') return top
  if (top !== 'lib') return undefined
  const room = third === '' ? second.replace(/\.ts$/, '') : second === 'backend' && deeper.length > 0 ? third : second
  const isFolder = third !== ''
  const single = ['describe', 'nearest', 'errors', 'time', 'options', 'events', 'connect', 'index', 'testing']
  const isTesting = room === 'testing' // its public names stand in a file, what makes them in a folder
  if (room === 'worker' || room === 'bin' || (isFolder === single.includes(room) && !isTesting)) return undefined
  return mayImport.has(room) ? room : undefined
}

/** One import as it is written. */
export interface Import {
  readonly line: number
  /** What stands between the quotes; undefined when it is computed. */
  readonly specifier: string | undefined
}

const trees = new WeakMap<Source, ts.SourceFile>()
const imports = new WeakMap<Source, readonly Import[]>()

/** The text as the TypeScript parser reads it, once for all rules. Nodes do not know their parents. */
export function treeOf(source: Source): ts.SourceFile {
  const options = { languageVersion: ts.ScriptTarget.Latest, jsDocParsingMode: ts.JSDocParsingMode.ParseNone }
  const tree = trees.get(source) ?? ts.createSourceFile(source.path, source.text, options)
  trees.set(source, tree)
  return tree
}

/** Every import of a file, in the order of the text. */
export function importsOf(source: Source): readonly Import[] {
  const found = imports.get(source) ?? importsIn(treeOf(source))
  imports.set(source, found)
  return found
}

function importsIn(file: ts.SourceFile): readonly Import[] {
  const found: Import[] = []
  const add = (node: ts.Node, specifier: ts.Node | undefined): void => {
    const line = file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1
    found.push({
      line,
      specifier: specifier && ts.isStringLiteralLike(specifier) ? specifier.text : undefined,
    })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node, node.moduleSpecifier)
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      add(node, node.moduleSpecifier)
    } else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(node, node.moduleReference.expression)
    } else if (ts.isImportTypeNode(node)) {
      add(node, ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined)
    } else if (ts.isModuleDeclaration(node) && ts.isStringLiteral(node.name)) {
      add(node, node.name)
    } else if (ts.isCallExpression(node)) {
      const callee = node.expression
      if (callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require')) {
        add(node, node.arguments[0])
      }
    }
    ts.forEachChild(node, visit)
  }
  // to walk through a file takes as long as to parse it, and few statements have an import in them
  for (const statement of file.statements) {
    if (ts.isExportDeclaration(statement) || WORDS.test(file.text.slice(statement.pos, statement.end))) visit(statement)
  }
  return found
}

/** Of these every import within a statement has one in its text, an escaped name included. */
const WORDS = /import|require|module|\\u/

/** The file that a relative specifier names, by the extensions that TypeScript maps. */
const targetOf = (from: string, specifier: string): string =>
  posix.join(posix.dirname(from), specifier).replace(/\.js$/, '.ts')

function wrongBuiltin(room: string, specifier: string): string | undefined {
  const allowed = pureBuiltins[room]
  if (allowed === undefined || !isBuiltin(specifier)) return undefined
  const name = specifier.startsWith('node:') ? specifier : `node:${specifier}`
  return allowed.includes(name) ? undefined : `${room} is pure: of Node.js it may use ${allowed.join(' and ')} only`
}

function wrongRoom(from: string, to: string): string | undefined {
  if (from === to || mayImport.get(from)?.includes(to)) return undefined
  if (kept.some((room) => room === to)) return `only lib/connect.ts and bin/ know that there is ${to}`
  const own = beside[from]
  if (own !== undefined) return own.because
  if (order.some((room) => room === to)) return `${from} stands left of ${to}, and imports go to the left only`
  if (to === 'worker') return 'lib never imports worker/'
  return `no room of the engine may rest on ${to}`
}

/** Circles of files, those of types included: whoever reads one of them has to read them all. */
export function circlesIn(sources: readonly Source[]): string[] {
  const edges = new Map(sources.map((source) => [source.path, targetsOf(source)]))
  const finished = new Set<string>()
  const found: string[] = []
  const walk = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path)
    if (at !== -1) found.push(`a circle: ${[...trail.slice(at), path].join(' → ')}`)
    if (at !== -1 || finished.has(path)) return
    for (const next of edges.get(path) ?? []) walk(next, [...trail, path])
    finished.add(path)
  }
  for (const path of edges.keys()) walk(path, [])
  return found
}

const targetsOf = (source: Source): readonly string[] =>
  importsOf(source).flatMap(({ specifier }) =>
    specifier?.startsWith('.') === true ? [targetOf(source.path, specifier)] : [],
  )

/** What is wrong with the imports of these files, one sentence each; nothing when they keep the rule. */
export function brokenImports(sources: readonly Source[]): readonly string[] {
  const broken: string[] = []
  for (const source of sources) {
    const room = roomOf(source.path)
    if (room === undefined) {
      broken.push(`${source.path}: stands in no room; say in docs/internals.md and in the import rule where it belongs`)
      continue
    }
    for (const { line, specifier } of importsOf(source)) {
      const wrong = (what: string, why: string): void => {
        broken.push(`${source.path}:${String(line)} imports ${what}: ${why}`)
      }
      if (specifier === undefined) {
        if (!['modules', 'worker', 'bin'].includes(room))
          wrong('a computed module', 'only lib/modules, worker/ and bin/ load code that users name')
      } else if (specifier.startsWith('.')) {
        const target = targetOf(source.path, specifier)
        const targetRoom = roomOf(target)
        const why = targetRoom === undefined ? 'it stands in no room' : wrongRoom(room, targetRoom)
        if (why !== undefined) wrong(target, why)
      } else if (specifier === 'graflow' || specifier.startsWith('graflow/')) {
        wrong(specifier, 'inside the package, name the file')
      } else {
        const why = wrongBuiltin(room, specifier)
        if (why !== undefined) wrong(specifier, why)
      }
    }
  }
  return [...broken, ...circlesIn(sources)]
}
