/**
 * Habits of the sources that a parser can see: who reads the clock, makes randomness, reads argv and env, and exports by default.
 * Knows names, not types: `Date.now` is found in every spelling (also through globalThis, brackets and destructuring), a function of
 * the same name in another object is not meant and not found.
 */
import ts from 'typescript'
import { type Source, treeOf } from './import-rule.js'

/** A use of `property` of the thing called `object`; for a bare call, `object` is empty. */
interface Use {
  readonly object: string
  readonly property: string
}

interface Habit {
  readonly applies: (path: string) => boolean
  readonly uses: readonly string[]
  readonly because: string
}

const isIn =
  (...folders: readonly string[]) =>
  (path: string): boolean =>
    folders.some((folder) => path.startsWith(`${folder}/`))

const habits: readonly Habit[] = [
  {
    applies: (path) => isIn('lib', 'worker')(path) && path !== 'lib/time.ts',
    uses: [
      ...[
        'Date.now',
        'new Date()',
        'Date()',
        'performance.now',
        'performance.timeOrigin',
        'process.hrtime',
        'process.uptime',
      ],
      ...['Math.random', 'crypto.randomUUID', 'crypto.randomBytes', 'crypto.randomInt', 'crypto.getRandomValues'],
      ...['randomUUID()', 'randomBytes()', 'randomInt()', 'getRandomValues()'],
      ...['setTimeout()', 'setInterval()', 'AbortSignal.timeout'],
    ],
    because: 'time and randomness are injected; only lib/time.ts reads the machine’s',
  },
  {
    // the memory backend is what puts the kernel into a process: it delivers news after the operation that made it
    applies: (path) =>
      isIn('lib/flow', 'lib/graph', 'lib/backend/kernel')(path) && path !== 'lib/backend/kernel/memory-backend.ts',
    uses: ['setImmediate()', 'queueMicrotask()', 'fetch()', 'console.*', 'process.*'],
    because: 'this room is pure: no I/O, no clock, no scheduling',
  },
  {
    applies: isIn('lib', 'worker'),
    uses: ['process.argv', 'process.env', 'process.exit', 'process.argv0', 'process.execArgv'],
    because: 'only bin/ reads argv and env and ends the process',
  },
]

const propertyName = (name: ts.PropertyName | ts.BindingName): string =>
  ts.isIdentifier(name) || ts.isStringLiteralLike(name) ? name.text : '*'

/** The last word of an expression: `globalThis.Date` → Date. */
function lastWord(expression: ts.Expression): string {
  if (ts.isIdentifier(expression)) return expression.text
  if (ts.isPropertyAccessExpression(expression)) return expression.name.text
  if (ts.isParenthesizedExpression(expression) || ts.isNonNullExpression(expression))
    return lastWord(expression.expression)
  if (ts.isElementAccessExpression(expression) && ts.isStringLiteralLike(expression.argumentExpression)) {
    return expression.argumentExpression.text
  }
  return ''
}

/** What one node of the tree uses, if anything. */
function usesOf(node: ts.Node): readonly Use[] {
  if (ts.isPropertyAccessExpression(node)) return [{ object: lastWord(node.expression), property: node.name.text }]
  if (ts.isElementAccessExpression(node)) {
    const key = node.argumentExpression
    return [{ object: lastWord(node.expression), property: ts.isStringLiteralLike(key) ? key.text : '*' }]
  }
  if (ts.isVariableDeclaration(node) && node.initializer && ts.isObjectBindingPattern(node.name)) {
    const object = lastWord(node.initializer)
    return node.name.elements.map((element) => ({
      object,
      property: propertyName(element.propertyName ?? element.name),
    }))
  }
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
    const bindings = node.importClause?.namedBindings
    if (bindings === undefined || !ts.isNamedImports(bindings)) return []
    const object = node.moduleSpecifier.text.replace(/^node:/, '').replace('perf_hooks', 'performance')
    return bindings.elements.map(({ propertyName: original, name }) => ({ object, property: (original ?? name).text }))
  }
  if (ts.isNewExpression(node) && (node.arguments?.length ?? 0) === 0)
    return [{ object: 'new', property: lastWord(node.expression) }]
  if (ts.isCallExpression(node) && ts.isIdentifier(node.expression))
    return [{ object: '', property: node.expression.text }]
  return []
}

const spell = ({ object, property }: Use): string =>
  object === '' ? `${property}()` : object === 'new' ? `new ${property}()` : `${object}.${property}`

const isDefaultExport = (node: ts.Node): boolean =>
  (ts.isExportAssignment(node) && node.isExportEquals !== true) ||
  (ts.isExportSpecifier(node) && node.name.text === 'default') ||
  (ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword))

/** What is wrong in these files, one sentence each. */
export function brokenHabits(sources: readonly Source[]): readonly string[] {
  return sources.flatMap((source) => {
    const { path } = source
    const file = treeOf(source)
    const applying = habits.filter(({ applies }) => applies(path))
    const broken: string[] = []
    const visit = (node: ts.Node): void => {
      const where = (): string => `${path}:${String(file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1)}`
      if (isDefaultExport(node)) broken.push(`${where()} exports by default: named exports only`)
      for (const use of usesOf(node)) {
        const habit = applying.find(({ uses }) => uses.includes(spell(use)) || uses.includes(`${use.object}.*`))
        if (habit !== undefined) broken.push(`${where()} uses ${spell(use)}: ${habit.because}`)
      }
      ts.forEachChild(node, visit)
    }
    visit(file)
    return broken
  })
}
