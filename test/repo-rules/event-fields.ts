/** Reads from lib/events.ts what each event carries: a type has no value at run time, so the parser is asked. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

/** The fields of every event of EventMap, in their order; `?` behind one that may be missing. */
export function eventFields(): ReadonlyMap<string, readonly string[]> {
  const path = join(__dirname, '../../lib/events.ts')
  const file = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true)
  const map = file.statements.find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === 'EventMap',
  )
  if (map === undefined) throw new Error('lib/events.ts has no interface EventMap')
  return new Map(map.members.map((member) => [nameOf(member), fieldsOf(member)]))
}

function fieldsOf(member: ts.TypeElement): readonly string[] {
  if (!ts.isPropertySignature(member) || member.type === undefined || !ts.isTypeLiteralNode(member.type)) {
    throw new Error(`expected an event with a type in braces, got ${member.getText()}`)
  }
  return member.type.members.map((field) => nameOf(field) + (field.questionToken === undefined ? '' : '?'))
}

function nameOf(member: ts.TypeElement): string {
  const { name } = member
  if (name !== undefined && (ts.isIdentifier(name) || ts.isStringLiteral(name))) return name.text
  throw new Error(`expected a name, got ${member.getText()}`)
}
