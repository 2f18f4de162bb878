/**
 * Compiles a source that uses the language and tells what the compiler said and how much work it was. Sources are given as text, so a
 * test can make them; they stand in test/types and import from 'graflow'.
 */
import { readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import ts from 'typescript'

/** What the compiler said, and at what price. */
export interface Compilation {
  /** One for each error, in order: `name.ts:8:6 TS2345 the message`, later lines of it indented. */
  readonly errors: readonly string[]
  /** How often a type was made from a generic one: the work, as a number that no machine changes much. */
  readonly instantiations: number
  readonly durationMs: number
  /** The types of the variables asked for, as an editor shows them. */
  readonly types: ReadonlyMap<string, string>
}

const folder = import.meta.dirname
const config = readConfig()
/** Other files are parsed once, and what they import looked up once, for all compilations: that is most of the time. */
const parsed = new Map<string, ts.SourceFile | undefined>()
let last: ts.Program | undefined

function readConfig(): ts.CompilerOptions {
  const path = join(folder, 'tsconfig.json')
  const { config: json } = ts.readConfigFile(path, (file) => readFileSync(file, 'utf8')) as { config: unknown }
  // the sources that are given hold no tests, and Jest's types are half of all files; declarations are what users compile against
  const paths = { graflow: [join(folder, '../../dist/lib/index.d.ts')] }
  return { ...ts.parseJsonConfigFileContent(json, ts.sys, folder).options, types: ['node'], paths }
}

/**
 * Compiles `text` as the file `name` in this folder.
 * @param asked names of variables at the top of the file whose types are wanted
 */
export function compile(name: string, text: string, asked: readonly string[] = []): Compilation {
  const path = join(folder, name)
  const host = ts.createCompilerHost(config)
  const readFromDisk = host.getSourceFile.bind(host)
  const fileExists = host.fileExists.bind(host)
  host.fileExists = (file) => resolve(file) === path || fileExists(file)
  host.getSourceFile = (file, version) => {
    if (resolve(file) === path) return ts.createSourceFile(file, text, version)
    if (!parsed.has(file)) parsed.set(file, readFromDisk(file, version))
    return parsed.get(file)
  }
  const started = performance.now()
  const program = ts.createProgram([path], config, host, last)
  last = program
  const source = program.getSourceFile(path)
  const diagnostics = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
  const durationMs = performance.now() - started
  return {
    errors: diagnostics.map(sentence),
    instantiations: program.getInstantiationCount(),
    durationMs,
    types: new Map(asked.map((variable) => [variable, typeOf(program, source, variable)])),
  }
}

function sentence({ file, start, code, messageText }: ts.Diagnostic): string {
  const message = ts.flattenDiagnosticMessageText(messageText, '\n')
  if (file === undefined || start === undefined) return `TS${code} ${message}`
  const { line, character } = file.getLineAndCharacterOfPosition(start)
  return `${relative(folder, file.fileName)}:${line + 1}:${character + 1} TS${code} ${message}`
}

function typeOf(program: ts.Program, source: ts.SourceFile | undefined, variable: string): string {
  const checker = program.getTypeChecker()
  let found = `no variable ${variable}`
  source?.forEachChild(function visit(node) {
    if (ts.isVariableDeclaration(node) && node.name.getText(source) === variable) {
      found = checker.typeToString(checker.getTypeAtLocation(node.name), node)
    }
    node.forEachChild(visit)
  })
  return found
}
