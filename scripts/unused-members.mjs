/**
 * Finds members of classes, interfaces and object types below lib, worker and bin that nobody reads. knip finds unused exports and files,
 * and has not looked at members since its version 6. Compares names, not types: a member counts as read when any source of ours, tests
 * aside, reads a member of its name. What is reported is thus unused without doubt; a name that several members have may hide one that is.
 * Not looked at: what users may read (all that types of the entry points are made of), members that a base class of a package asks for,
 * and names that begin with `~`, which only the type checker reads.
 *
 * Usage: node scripts/unused-members.mjs [tsconfig of another project]
 */
import './node-version.mjs'
import { dirname, join, relative, sep } from 'node:path'
import ts from 'typescript'
import { root } from './dist.mjs'

/** Members that are read where no source shows it, with the reason. */
const READ_ELSEWHERE = new Map([
  ['toJSON', 'JSON.stringify calls it'],
  ['httpStatus', 'a server answers with it; docs/errors.md has it'],
  ['meaning', 'docs/errors.md is compared with it'],
  ['releasedAt', 'the inspector tells it to whoever looks into a store'],
  ['lastRenewedAt', 'tests see by nothing else when the renewal thread renewed'],
  ['orphans', 'tests see by nothing else that no handler is left behind'],
  ['backlog', 'an autoscaler reads it in the answer of /api/v1/autoscale'],
  ['oldestSeconds', 'an autoscaler reads it in the answer of /api/v1/autoscale'],
  ['freeSlots', 'tests see by nothing else that every slot came back'],
  ['reconcile', 'tests compare notes at once, without a reconnect'],
  ['Variables', 'hono takes the type of what a request carries from it'],
  ['Bindings', 'hono takes the type of what the server of Node.js gives from it'],
  ['middleware', 'hono calls it before the route'],
  ['answers', 'routes get it by its name from the request'],
])
const ENTRIES = ['lib/index.ts', 'worker/index.ts', 'lib/testing.ts']

const config = process.argv[2] ?? join(root, 'tsconfig.json')
const project = dirname(config)
const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => process.exit(2) }
const { fileNames, options } = ts.getParsedCommandLineOfConfigFile(config, {}, host)
// the dashboard has a configuration of its own, and reads what the server answers
const pages = join(project, 'dashboard/tsconfig.json')
const dashboard = ts.sys.fileExists(pages) ? ts.getParsedCommandLineOfConfigFile(pages, {}, host) : undefined
const { jsx, jsxImportSource, lib = options.lib } = dashboard?.options ?? {}
const files = [...new Set([...fileNames, ...(dashboard?.fileNames ?? [])])]
const program = ts.createProgram(files, dashboard ? { ...options, jsx, jsxImportSource, lib } : options)
const checker = program.getTypeChecker()
const pathOf = (node) => relative(project, node.getSourceFile().fileName).split(sep).join('/')
const isJudged = (node) => /^(?:lib|worker|bin)\//.test(pathOf(node))
const isReader = (node) => /^(?:lib|worker|bin|bench|dashboard|examples|scripts)\//.test(pathOf(node))

const isMember = (node) =>
  (ts.isPropertyDeclaration(node) ||
    ts.isMethodDeclaration(node) ||
    ts.isGetAccessor(node) ||
    ts.isPropertySignature(node) ||
    ts.isMethodSignature(node)) &&
  !ts.isObjectLiteralExpression(node.parent) &&
  (ts.isIdentifier(node.name) || ts.isPrivateIdentifier(node.name) || ts.isStringLiteral(node.name))

/** Whether the value of `node` is only replaced: `x.y = …`, or `x.y += …` and `x.y++` as a statement. */
function isOnlyWritten(node) {
  const { parent } = node
  if (ts.isBinaryExpression(parent) && parent.left === node) {
    const { kind } = parent.operatorToken
    if (kind === ts.SyntaxKind.EqualsToken) return true
    const isAssignment = kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment
    return isAssignment && ts.isExpressionStatement(parent.parent)
  }
  const isStep = ts.isPostfixUnaryExpression(parent) || ts.isPrefixUnaryExpression(parent)
  return isStep && ts.isExpressionStatement(parent.parent)
}

const members = []
const read = new Set(READ_ELSEWHERE.keys())

function look(node) {
  if (isMember(node) && isJudged(node)) members.push(node)
  if (isReader(node)) {
    if (ts.isPropertyAccessExpression(node) && !isOnlyWritten(node)) read.add(node.name.text)
    if (ts.isElementAccessExpression(node)) {
      const type = checker.getTypeAtLocation(node.argumentExpression)
      for (const key of type.isUnion() ? type.types : [type]) if (key.isStringLiteral()) read.add(key.value)
    }
    if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent)) {
      const name = node.propertyName ?? node.name
      if (ts.isIdentifier(name) || ts.isStringLiteral(name)) read.add(name.text)
    }
    if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.InKeyword)
      if (ts.isStringLiteral(node.left)) read.add(node.left.text)
  }
  ts.forEachChild(node, look)
}

/** Names of members in all declarations that the entry points lead to by their types; bodies of functions are not looked into. */
function publicNames() {
  const names = new Set()
  const seen = new Set()
  const follow = (symbol) => {
    if (symbol === undefined) return
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    for (const declaration of target.declarations ?? []) {
      if (seen.has(declaration) || !isJudged(declaration)) continue
      seen.add(declaration)
      walk(declaration)
      if (ts.isVariableDeclaration(declaration)) follow(checker.getTypeAtLocation(declaration).symbol)
    }
  }
  const walk = (node) => {
    if (ts.isBlock(node) || ts.isConstructorDeclaration(node)) return
    if (isMember(node)) {
      if (ts.isPrivateIdentifier(node.name)) return
      names.add(node.name.text)
    }
    if (ts.isTypeReferenceNode(node)) follow(checker.getSymbolAtLocation(node.typeName))
    if (ts.isExpressionWithTypeArguments(node)) follow(checker.getSymbolAtLocation(node.expression))
    if (ts.isTypeQueryNode(node)) follow(checker.getSymbolAtLocation(node.exprName))
    ts.forEachChild(node, walk)
  }
  for (const entry of ENTRIES) {
    const file = program.getSourceFile(join(project, entry))
    const module = file && checker.getSymbolAtLocation(file)
    for (const symbol of module ? checker.getExportsOfModule(module) : []) follow(symbol)
  }
  return names
}

/** Whether a base class that is not ours has the member: then it is the one that reads it. */
function isAskedFor(member) {
  const bases = ts.isClassLike(member.parent) ? (member.parent.heritageClauses ?? []).flatMap(({ types }) => types) : []
  return bases.some((base) => {
    const found = checker.getPropertyOfType(checker.getTypeAtLocation(base), member.name.text)
    return found?.declarations?.some((declaration) => !isJudged(declaration)) ?? false
  })
}

for (const file of program.getSourceFiles()) if (!file.fileName.includes('/node_modules/')) look(file)
const open = publicNames()
const unused = members.filter((member) => {
  const name = member.name.text
  return !read.has(name) && !open.has(name) && !name.startsWith('~') && !isAskedFor(member)
})
for (const member of unused) {
  const { line } = member.getSourceFile().getLineAndCharacterOfPosition(member.getStart())
  console.log(`${pathOf(member)}:${line + 1}  ${member.name.text}: a member that nobody reads`)
}
// Of another project only what it has is judged.
const names = new Set(members.map(({ name }) => name.text))
const stale = process.argv[2] === undefined ? [...READ_ELSEWHERE.keys()].filter((name) => !names.has(name)) : []
for (const name of stale)
  console.log(`scripts/unused-members.mjs  ${name}: an exception for a member that is not there`)
process.exitCode = unused.length + stale.length > 0 ? 1 : 0
