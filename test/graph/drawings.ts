/** Drawings, read by the parsers they are made for; in one process for all of them, since Mermaid takes a second to load. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

export interface Flowchart {
  readonly error?: string
  /** identifier → label */
  readonly boxes: Readonly<Record<string, string>>
  readonly shapes: Readonly<Record<string, string>>
  /** `from → to`, with the label of the edge behind, if it has one */
  readonly edges: readonly string[]
  readonly containers: Readonly<Record<string, { readonly label: string; readonly holds: readonly string[] }>>
}
export interface Rectangle {
  readonly path: string
  readonly kind: string
  readonly text: string
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}
export interface Picture {
  readonly error?: string
  readonly width: number
  readonly height: number
  readonly rectangles: readonly Rectangle[]
  readonly texts: readonly string[]
}
export interface Drawings {
  readonly mermaid: readonly Flowchart[]
  readonly svg: readonly Picture[]
  /** Of the diagrams, each: what is wrong with it, or nothing. */
  readonly faults: readonly string[]
}

const reader = join(__dirname, 'read-drawings.mjs')

/** What Mermaid, and an XML parser, find in the texts; `error` where they find a fault. */
export function readDrawings(given: {
  readonly mermaid?: readonly string[]
  readonly svg?: readonly string[]
  /** Of any kind that Mermaid knows. */
  readonly diagrams?: readonly string[]
}): Drawings {
  const input = JSON.stringify({ mermaid: [], svg: [], diagrams: [], ...given })
  return JSON.parse(
    execFileSync(process.execPath, [reader], { input, encoding: 'utf8', maxBuffer: 2 ** 28 }),
  ) as Drawings
}
