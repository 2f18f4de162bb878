/** Why something failed, on one line of a list. */

/** Of a group its first member that failed says more than how many did. */
const OF_GROUP = /^group .*? failed: [^()]* branches succeeded(?:, \w+ must)? \((.+?) failed: (.+)\)$/u
const WHERE = /^task ".*?" \(at .*?\) failed[^:]*: (?=\S)/u

/** Why, in one line: which task failed and where stands beside it in every list, and would take the room of the reason. */
export function reasonIn(message: string): string {
  const line = message.split('\n', 1)[0] ?? ''
  const [, member, why] = OF_GROUP.exec(line) ?? []
  return member === undefined || why === undefined ? line.replace(WHERE, '') : `${member}: ${why.replace(WHERE, '')}`
}
