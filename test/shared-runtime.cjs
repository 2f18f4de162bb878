/**
 * Jest's runtime, with what does not differ between test files kept for the next file of the same process: sources, where imports lead, and
 * compiled code. Each file still gets a context and instances of all modules of its own. Jest itself begins anew for each of some 250 files,
 * which costs more than many of their tests: 0.3 s of CPU a file that imports `graflow`, and 0.1 s with this.
 */
const v8 = require('node:v8')
const vm = require('node:vm')
const { dirname, join, sep } = require('node:path')
const { default: Runtime } = require('jest-runtime')

// V8 optimizes what has run for long, on threads of its own. Here nearly all is loaded anew before that pays: it is to wait seven times as long.
v8.setFlagsFromString('--interrupt-budget=1000000')

/** Compiled code by file; code that is no longer the same is compiled anew. */
const scripts = new Map()
const imports = new Map()
const sources = new Map()
const seen = new WeakSet()

/** Sources of this repository and its packages, by path. Other files may be written anew by the next test, and are kept for one only. */
class SharedSources extends Map {
  #isShared
  constructor(isShared) {
    super()
    this.#isShared = isShared
  }
  get(path) {
    return super.get(path) ?? sources.get(path)
  }
  set(path, source) {
    if (this.#isShared(path)) sources.set(path, source)
    else super.set(path, source)
    return this
  }
}

/** Answers of the resolver are kept where they are a path: what is missing may be written later. */
const remember = (resolver) => {
  if (seen.has(resolver)) return
  seen.add(resolver)
  for (const method of ['resolveModule', 'resolveStubModuleName']) {
    const ask = resolver[method].bind(resolver)
    const answers = new Map()
    resolver[method] = (from, name, options) => {
      const key = `${dirname(from)}\0${name}\0${options?.conditions?.join() ?? ''}`
      const known = answers.get(key)
      if (known !== undefined) return known
      const found = ask(from, name, options)
      if (found !== null) answers.set(key, found)
      return found
    }
  }
}

/** Whether the code has an `import()`. The compiler of TypeScript only speaks of it, in texts, and is what takes longest to compile. */
const hasImports = (source, filename) => {
  const known = imports.get(filename)
  if (known?.source === source) return known.has
  const has = /\bimport\s*\(/.test(source) && !filename.endsWith(join('typescript', 'lib', 'typescript.js'))
  imports.set(filename, { source, has })
  return has
}

const compiled = (source, filename, parameters) => {
  const known = scripts.get(filename)
  if (known?.source === source) return known.script
  const head = `(function (${parameters.join()}) {`
  const script = new vm.Script(`${head}${source}\n})`, { filename, columnOffset: -head.length })
  scripts.set(filename, { source, script })
  return script
}

module.exports.default = class extends Runtime {
  constructor(config, environment, resolver, transformer, own, coverage, path, globalConfig) {
    // whoever watches changes sources meanwhile, and coverage counts characters of what Jest compiles
    const isShared = !globalConfig.watch && !globalConfig.watchAll && !coverage.collectCoverage
    const folders = ['bin', 'dashboard', 'lib', 'node_modules', 'test', 'worker'].map(
      (name) => `${config.rootDir}${sep}${name}${sep}`,
    )
    const files = isShared ? new SharedSources((file) => folders.some((folder) => file.startsWith(folder))) : own
    if (isShared) remember(resolver)
    super(config, environment, resolver, transformer, files, coverage, path, globalConfig)
    if (!isShared) return
    const { executor } = this
    const compile = executor.compile.bind(executor)
    executor.compile = (source, filename) => {
      const context = environment.getVmContext()
      // Jest answers `import()`, by the file; and it says what is wrong with code that does not compile
      if (context === null || hasImports(source, filename)) return compile(source, filename)
      try {
        return compiled(source, filename, executor.injectedModuleParameters).runInContext(context)
      } catch {
        return compile(source, filename)
      }
    }
  }
}
module.exports.__esModule = true
