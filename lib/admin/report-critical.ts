/** What a run took its time for: steps and groups one after the other, of each group the branch that ended last, and inside that the same again. */
import type { ReportCritical, ReportGroup, ReportStep } from '../report/report.js'
import { named } from '../values/item-label.js'

interface Part {
  readonly path: string
  readonly start: number
  readonly step?: ReportStep
  readonly group?: ReportGroup
  readonly inside: Part[]
}

const MOST_PARTS = 300

/** In order of time, each followed by what was inside it. */
export function criticalPath(steps: readonly ReportStep[], groups: readonly ReportGroup[]): readonly ReportCritical[] {
  const found: ReportCritical[] = []
  for (const part of treeOf(steps, groups)) follow(part, 0, found)
  return found.slice(0, MOST_PARTS)
}

/** Steps and groups, each inside the one whose path its own goes on from. */
function treeOf(steps: readonly ReportStep[], groups: readonly ReportGroup[]): readonly Part[] {
  const parts: Part[] = [
    ...steps.map((step) => ({ path: step.path, start: step.start, step, inside: [] })),
    ...groups.map((group) => ({ path: group.path, start: group.openedAt, group, inside: [] })),
  ]
  const byPath = new Map(parts.map((part) => [part.path, part]))
  const roots: Part[] = []
  for (const part of parts.sort((a, b) => a.start - b.start)) (above(part.path, byPath)?.inside ?? roots).push(part)
  return roots
}

function above(path: string, byPath: ReadonlyMap<string, Part>): Part | undefined {
  for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) {
    const found = byPath.get(path.slice(0, cut))
    if (found !== undefined) return found
  }
  return undefined
}

function follow({ path, step, group, inside }: Part, depth: number, found: ReportCritical[]): void {
  if (found.length >= MOST_PARTS) return
  if (step?.end !== undefined)
    found.push({ path, title: step.task, kind: 'step', start: step.start, end: step.end, depth })
  if (group === undefined) {
    for (const part of inside) follow(part, depth + 1, found)
    return
  }
  const last = lastOf(group)
  if (last?.start === undefined || last.end === undefined) return
  const { task, label, worker } = last
  const title = named(task, label)
  found.push({
    path,
    title: group.title,
    kind: 'start',
    start: group.openedAt,
    end: Math.max(group.openedAt, last.start),
    depth,
  })
  found.push({
    ...{ path: last.path, title, kind: 'branch', start: last.start, end: last.end, depth },
    ...(worker !== undefined && { worker }),
  })
  for (const part of inside) if (part.path.startsWith(`${last.path}/`)) follow(part, depth + 1, found)
  if (group.releasedAt !== undefined && group.releasedAt > last.end)
    found.push({ path, title: group.title, kind: 'barrier', start: last.end, end: group.releasedAt, depth })
}

function lastOf({ branches }: ReportGroup): ReportGroup['branches'][number] | undefined {
  let last: ReportGroup['branches'][number] | undefined
  for (const branch of branches) if (branch.end !== undefined && branch.end > (last?.end ?? -Infinity)) last = branch
  return last
}
