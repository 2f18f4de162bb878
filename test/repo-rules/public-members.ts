/** Reads the interfaces that users set or read, so that a test can tell which of their members a hover says nothing of. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

/** One signature of a member, with the text of its doc comment; `''` where it has none. */
export interface PublicMember {
  readonly owner: string
  readonly name: string
  readonly doc: string
}

/** The members of all exported interfaces of a source, overloads one by one; a phantom such as `~types` is none. */
export function membersOf(path: string, text: string): readonly PublicMember[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  return file.statements.filter(ts.isInterfaceDeclaration).flatMap((declared) => {
    const isExported = declared.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true
    if (!isExported) return []
    return declared.members.flatMap((member) => {
      const name = member.name?.getText(file)
      return name === undefined || name.startsWith(`'~`)
        ? []
        : [{ owner: declared.name.text, name, doc: docOf(member) }]
    })
  })
}

/** The same of a file of the repository. */
export const membersOfFile = (path: string): readonly PublicMember[] =>
  membersOf(path, readFileSync(join(__dirname, '../..', path), 'utf8'))

const docOf = (member: ts.Node): string =>
  ts
    .getJSDocCommentsAndTags(member)
    .map((comment) => comment.getText())
    .join('\n')
    .replace(/\s*\n\s*\* ?/g, ' ')
