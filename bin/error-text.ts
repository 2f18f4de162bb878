/** Errors as the commands write them: a code and a message, never a stack. */
import { messageOf } from '../lib/describe.js'
import { GraflowError } from '../lib/errors.js'
import { plainText } from './output.js'

const MOST_ERRORS = 5
const MOST_CAUSES = 4

/** `CODE: message` */
export function headOf(error: unknown): string {
  const code = error instanceof GraflowError ? error.code : error instanceof Error ? error.name : undefined
  return code === undefined ? messageOf(error) : `${code}: ${messageOf(error)}`
}

/** The same on one line. */
export const firstLineOf = (error: unknown): string => headOf(error).split('\n', 1)[0] ?? ''

/** The error, and what made it so, a line each. */
export function withCauses(error: unknown): readonly string[] {
  const lines = [headOf(error)]
  let cause = error instanceof Error ? error.cause : undefined
  for (let i = 0; i < MOST_CAUSES && cause !== undefined; i += 1) {
    lines.push(`  caused by ${headOf(cause)}`)
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return lines
}

/** Why a run failed: its error, what made it so, and of a group the first members that failed. */
export function failureText(error: unknown): string {
  const members = error instanceof GraflowError ? error.errors : []
  const lines = members.length === 0 ? [...withCauses(error)] : [headOf(error)]
  for (const member of members.slice(0, MOST_ERRORS)) lines.push(`  ${headOf(member)}`)
  if (members.length > MOST_ERRORS) lines.push(`  … ${members.length - MOST_ERRORS} more`)
  return lines.map((line) => `${plainText(line)}\n`).join('')
}
