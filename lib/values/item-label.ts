/** What people call an item by: the text at a key of it. Hides what makes a text of a value, and how long that may be. */

/** Characters of a label at most. */
export const LONGEST_LABEL = 64
const CUT = '…'
/** What would break a line, or steer a terminal. */
const CONTROLS = /[\p{Cc}\p{Zl}\p{Zp}]+/gu

/**
 * The label of an item; undefined where nothing stands there that makes one: text, a number, a boolean or a date.
 * @param path keys with dots between
 */
export function labelIn(item: unknown, path: string): string | undefined {
  try {
    let at = item
    for (const key of path.split('.')) at = valueAt(at, key)
    return labelOf(at)
  } catch {
    return undefined // a getter that throws, in an item that was not sent yet
  }
}

/** A name with its label behind it, for people. */
export const named = (name: string, label: string | undefined): string =>
  label === undefined ? name : `${name} (${label})`

function valueAt(value: unknown, key: string): unknown {
  if (value instanceof Map) return value.get(key)
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Readonly<Record<string, unknown>>)[key]
}

function labelOf(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return line(value)
    case 'number':
    case 'bigint':
    case 'boolean':
      return line(String(value))
    default:
      return value instanceof Date && !Number.isNaN(value.getTime()) ? value.toISOString() : undefined
  }
}

/** One line of at most so many characters; undefined for an empty one. */
function line(text: string): string | undefined {
  // of a long text no more is looked at than can be shown
  const shown = text
    .slice(0, 4 * LONGEST_LABEL)
    .replace(CONTROLS, ' ')
    .trim()
    .toWellFormed()
  if (shown.length <= LONGEST_LABEL && text.length <= 4 * LONGEST_LABEL) return shown === '' ? undefined : shown
  const end = LONGEST_LABEL - CUT.length
  const isPair = /[\uD800-\uDBFF]/u.test(shown.charAt(end - 1))
  return `${shown.slice(0, isPair ? end - 1 : end)}${CUT}`
}
