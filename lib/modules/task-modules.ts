/**
 * Task modules: finds them, loads them, and takes from their exports every task, flow, workflow and join policy. The user that
 * starts the worker names the modules, and nothing else does: what comes from the store are names, which are looked up.
 */
import { type Clock, withDeadline } from '../time.js'
import { messageOf } from '../describe.js'
import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, extname, resolve } from 'node:path'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { GraflowError } from '../errors.js'
import { policiesOf, tasksOf, type PolicyJoin } from '../flow/collect.js'
import { isNode, type Expression, type TaskExpression } from '../flow/expression.js'
import { isPolicy } from '../flow/make.js'
import { didYouMean } from '../nearest.js'
import { adviceFor, expressionOf } from '../flow/node.js'
import { areSameOptions } from '../flow/options.js'
import { syntaxPlace } from './syntax-place.js'

const SCRIPTS = ['.js', '.mjs', '.cjs']
const TYPESCRIPTS = ['.ts', '.mts', '.cts']

/** What a module gave. */
export interface LoadedModule {
  readonly path: string
  readonly expressions: readonly Expression[]
  /** By the names under which it exports them. */
  readonly exported?: ReadonlyMap<string, Expression>
  /** Those exported by themselves; those in its flows stand there. */
  readonly policies: readonly PolicyJoin[]
}

/** How long one module may take to load. */
export interface LoadTime {
  readonly clock: Clock
  readonly timeoutMs: number
}

/**
 * Loads modules, in order.
 * @param paths relative to `folder`, or absolute, or URLs such as `import.meta.resolve('./tasks.js')` gives
 * @throws GraflowError TASK_MODULE for one that is missing, throws while it loads, takes too long, or exports nothing usable;
 * DUPLICATE_TASK for two different tasks, or policies, of one name
 */
export async function loadModules(
  paths: readonly string[],
  folder: string,
  time: LoadTime,
): Promise<readonly LoadedModule[]> {
  const loaded: LoadedModule[] = []
  for (const given of paths) {
    const path = find(given, folder)
    if (TYPESCRIPTS.includes(extname(path))) await readTypeScript(path)
    loaded.push({ path, ...exportsOf(await inTime(load(path), path, time), path) })
  }
  checkNames(loaded)
  return loaded
}

/** Names of all tasks with a handler, of each name one. @throws GraflowError DUPLICATE_TASK */
export function checkNames(modules: readonly LoadedModule[]): readonly string[] {
  const known = new Map<string, { readonly task: TaskExpression; readonly path: string }>()
  for (const { path, expressions } of modules) {
    for (const expression of expressions) {
      for (const task of tasksOf(expression).values()) {
        if (task.handler === undefined) continue
        const other = known.get(task.name)
        if (other === undefined) known.set(task.name, { task, path })
        else if (isOther(other.task, task)) {
          throw new GraflowError(
            'DUPLICATE_TASK',
            `two different tasks are called "${task.name}", in ${other.path} and in ${path}: a worker finds tasks by name, so rename one, or start a worker for each`,
            { details: { task: task.name, modules: [other.path, path] } },
          )
        }
      }
    }
  }
  checkPolicies(modules)
  return [...known.keys()]
}

/** @throws GraflowError DUPLICATE_TASK */
function checkPolicies(modules: readonly LoadedModule[]): void {
  const known = new Map<string, { readonly policy: PolicyJoin; readonly path: string }>()
  for (const { path, expressions, policies } of modules) {
    for (const policy of [...policies, ...expressions.flatMap((expression) => [...policiesOf(expression).values()])]) {
      const other = known.get(policy.name)
      if (other !== undefined && other.policy.decide !== policy.decide) {
        throw new GraflowError(
          'DUPLICATE_TASK',
          `two different policies are called "${policy.name}", in ${other.path} and in ${path}: a worker finds policies by name, so rename one, or start a worker for each`,
          { details: { policy: policy.name, modules: [other.path, path] } },
        )
      }
      known.set(policy.name, { policy, path })
    }
  }
}

const isOther = (a: TaskExpression, b: TaskExpression): boolean =>
  a.handler !== b.handler || !areSameOptions(a.options, b.options)

function find(given: string, folder: string): string {
  const path = given.startsWith('file:') ? fileURLToPath(given) : resolve(folder, given)
  const isFile = statSync(path, { throwIfNoEntry: false })?.isFile()
  if (isFile === undefined) {
    throw unusable(given, `there is no file ${path}${didYouMean(basename(path), neighbours(path))}`)
  }
  if (!isFile) throw unusable(given, `${path} is no file: name the module in it`)
  const known = [...SCRIPTS, ...TYPESCRIPTS]
  if (!known.includes(extname(path))) {
    throw unusable(given, `expected a module (${known.join(', ')}), got ${path}`)
  }
  return path
}

function neighbours(path: string): readonly string[] {
  try {
    return readdirSync(dirname(path))
  } catch {
    return [] // the folder is missing, too
  }
}

let isReadingTypeScript = false

/**
 * From now on TypeScript can be imported, without a check of its types: by tsx where it is installed, else by Node.js itself where that
 * strips types (22.18 and newer).
 */
async function readTypeScript(path: string): Promise<void> {
  if (isReadingTypeScript) return
  try {
    const { register } = await import('tsx/esm/api')
    const { register: registerRequire } = await import('tsx/cjs/api')
    register()
    registerRequire()
  } catch (error) {
    if (!isMissing(error)) throw unusable(path, `tsx cannot read TypeScript here: ${messageOf(error)}`, error)
    if (!stripsTypes()) {
      throw unusable(
        path,
        'reading TypeScript needs the package tsx, which is not installed: run `npm install tsx`, or compile the module and name the .js',
        error,
      )
    }
  }
  isReadingTypeScript = true
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'

/** Types of Node.js 20 do not know this feature. */
const stripsTypes = (): boolean => Boolean((process.features as { readonly typescript?: unknown }).typescript)

/** Of a module that was read, and not run. */
const IS_OF_LOADER = /^\s+at (?:compileSourceTextModule|ModuleLoader)/m

async function load(path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    // Node.js 20 and tsx do not agree on who compiles a .cts that is imported; required, it is tsx, or Node.js where that strips types.
    if (extname(path) === '.cts') return namespaceOf(createRequire(path)(path))
    return (await import(pathToFileURL(path).href)) as Record<string, unknown> // a module's namespace
  } catch (error) {
    if (error instanceof SyntaxError && error.stack?.startsWith(`${error.name}: `) === true) {
      // its stack has only lines of Node.js; where this module is whole, one that it imports is not
      const place = await syntaxPlace(path)
      const where = place === undefined ? ', in a module that it imports' : `\n${place}`
      if (place !== undefined || IS_OF_LOADER.test(error.stack))
        throw unusable(path, `it throws while it is loaded: ${messageOf(error)}${where}`, error)
    }
    const stack = error instanceof Error && error.stack !== undefined ? `\n${error.stack}` : ''
    throw unusable(path, `it throws while it is loaded: ${messageOf(error)}${stack}`, error)
  }
}

/** What a required module exports, as an import would give it. */
const namespaceOf = (exported: unknown): Readonly<Record<string, unknown>> =>
  typeof exported === 'object' && exported !== null && !isNode(exported) && !isPolicy(exported)
    ? (exported as Readonly<Record<string, unknown>>)
    : { default: exported }

/** @throws GraflowError TASK_MODULE when the module is not there in time, such as one whose top-level await waits for ever */
const inTime = <T>(loading: Promise<T>, path: string, { clock, timeoutMs }: LoadTime): Promise<T> =>
  withDeadline(clock, timeoutMs, loading, () => {
    throw unusable(
      path,
      `it was not loaded within ${timeoutMs} ms: a top-level await in it, or in what it imports, has not ended; ` +
        'do such work inside tasks, or raise moduleTimeoutMs (--module-timeout-ms)',
    )
  })

function exportsOf(namespace: Readonly<Record<string, unknown>>, path: string): Omit<LoadedModule, 'path'> {
  const expressions: Expression[] = []
  const exported = new Map<string, Expression>()
  const policies: PolicyJoin[] = []
  const others: [string, unknown][] = []
  const take = (name: string, value: unknown): void => {
    if (isNode(value)) {
      const expression = expressionOf(value)
      expressions.push(expression)
      exported.set(name, expression)
    } else if (isPolicy(value)) policies.push(value)
    else others.push([name, value])
  }
  for (const [name, value] of Object.entries(namespace)) {
    // A CommonJS module comes as the default, too: what stands in it was exported by name.
    const isRecord =
      name === 'default' && typeof value === 'object' && value !== null && !isNode(value) && !isPolicy(value)
    if (isRecord) for (const [inner, item] of Object.entries(value)) take(inner, item)
    else if (name !== 'module.exports' && name !== '__esModule') take(name, value)
  }
  if (expressions.length + policies.length > 0) return { expressions, exported, policies }
  const [first] = others
  const found =
    first === undefined
      ? 'it exports nothing'
      : `its exports are ${others.map(([name]) => name).join(', ')}${adviceFor(first[1])}`
  throw unusable(path, `expected an export that is a task, flow, workflow or policy, but ${found}`)
}

const unusable = (module: string, why: string, cause?: unknown): GraflowError =>
  new GraflowError('TASK_MODULE', `task module ${module}: ${why}`, {
    ...(cause !== undefined && { cause }),
    details: { module },
  })
