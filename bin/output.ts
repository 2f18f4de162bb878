/** How commands write what they found: colours for people, JSON for programs. Tables are in table.ts. */
import { inspect } from 'node:util'
import { plainOf } from '../lib/server/plain-json.js'
import type { Host, Screen } from './host.js'

/** NO_COLOR (https://no-color.org) is obeyed; what is no terminal gets no colour. */
export const hasColour = (screen: Screen, env: Host['env']): boolean =>
  screen.isTTY === true && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'

const COLOURS = { dim: 2, bold: 1, red: 31, green: 32, yellow: 33 } as const
export type Colour = keyof typeof COLOURS

/** Paints a text, or leaves it as it is. */
export type Paint = (colour: Colour, text: string) => string

export const painter = (screen: Screen, env: Host['env']): Paint =>
  hasColour(screen, env) ? (colour, text) => `\u001b[${COLOURS[colour]}m${text}\u001b[0m` : (_, text) => text

/** What a pipe or a file is as wide as. */
const USUAL_COLUMNS = 100

/** How wide a screen is; some terminals do not know, and say 0. */
export const columnsOf = ({ columns = 0 }: Screen): number => (columns > 0 ? columns : USUAL_COLUMNS)

/** Control codes in a text cannot move the cursor of who reads it. */
export const plainText = (text: string): string =>
  text.replace(
    /[\u0000-\u001f\u007f-\u009f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** A value as JSON: what JSON has no form for is written as the nearest that it has. */
export const toJson = (value: unknown): string => `${JSON.stringify(value, plainOf, 2)}\n`

/** A value as people read it: a text as it is, anything else as Node.js shows it. */
export function shownValue(value: unknown, screen: Screen, env: Host['env'], mostItems = 1_000): string {
  if (typeof value === 'string') return value
  return inspect(value, {
    depth: 8,
    colors: hasColour(screen, env),
    maxArrayLength: mostItems,
    breakLength: Math.min(columnsOf(screen), USUAL_COLUMNS),
  })
}

/** `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  const tenths = Math.round(Math.max(0, ms) / 100)
  if (tenths < 100) return `${(tenths / 10).toFixed(1)} s`
  const seconds = Math.round(Math.max(0, ms) / 1_000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
