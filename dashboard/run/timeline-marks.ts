/** What stands on the lanes of a timeline: the critical path below its blocks, names of stragglers, and frames around what is chosen or pointed at. */
import { age, duration } from '../format.js'
import { type BinHit, type FoldHit, type Hit, type LaneBox, lateOf, type NamedCritical } from './timeline-model.js'
import { AXIS, clip, type Context, type Drawing, isInSight, NAMES, xOf, yOf } from './timeline-scale.js'

/** Below the blocks of the critical path. */
export function drawUnderlines(context: Context, drawing: Drawing): void {
  const { critical, scene, colours } = drawing
  context.fillStyle = colours['critical'] ?? ''
  for (const part of critical) {
    const lane = laneOf(drawing, part)
    if (lane === undefined || !isInSight(drawing, lane)) continue
    const high = lane.height / lane.slots
    const row =
      part.kind === 'step' ? scene.steps.find(({ path }) => path === part.path)?.row : rowOf(drawing, lane, part)
    const y = row === undefined ? yOf(drawing, lane) + lane.height : yOf(drawing, lane) + (row + 1) * high - 1
    const [x, until] = [xOf(drawing, part.start), xOf(drawing, part.end)]
    context.fillRect(x, y, Math.max(2, until - x), 2.5)
  }
}

function laneOf({ scene }: Drawing, { kind, workerName }: NamedCritical): LaneBox | undefined {
  if (kind === 'step') return scene.lanes.find((lane) => lane.kind === 'driver')
  return kind === 'branch'
    ? scene.lanes.find(({ name, kind: of }) => of === 'worker' && name === workerName)
    : undefined
}

function rowOf(
  drawing: Drawing,
  lane: LaneBox,
  { start, end }: { readonly start: number; readonly end: number },
): number | undefined {
  const blocks = drawing.data(lane.name)?.blocks
  if (blocks === undefined) return undefined
  for (let i = 0; i < blocks.start.length; i += 1)
    if (blocks.start[i] === start && blocks.end[i] === end) return blocks.row[i]
  return undefined
}

/** Names beside the branches that took, or take, far longer than the others, as far as there is room. */
export function drawStragglers(context: Context, drawing: Drawing): void {
  const taken: { readonly x: number; readonly y: number; readonly until: number }[] = []
  context.textAlign = 'left'
  for (const { index, label, start, end, workerName, row: known } of stragglersIn(drawing)) {
    const lane = drawing.scene.lanes.find(({ name, kind }) => kind === 'worker' && name === workerName)
    if (lane === undefined || !isInSight(drawing, lane)) continue
    const until = xOf(drawing, end)
    if (until < drawing.left || xOf(drawing, start) > drawing.width || taken.length >= MOST_NAMED) continue
    const row = known ?? rowOf(drawing, lane, { start, end })
    const high = lane.height / lane.slots
    const y = yOf(drawing, lane) + (row === undefined ? lane.height - 9 : (row + 0.5) * high)
    const text = `${label === undefined ? `#${index}` : cut(label)} · ${drawing.words.duration(end - start)}`
    const wide = context.measureText(text).width + 10
    const x = Math.min(until + 4, drawing.width - wide - 2)
    if (taken.some((one) => Math.abs(one.y - y) < 16 && x < one.until && one.x < x + wide)) continue
    taken.push({ x, y, until: x + wide })
    nameTag(context, drawing, { text, x, y, wide })
  }
}

const MOST_NAMED = 14
const MOST_LABEL = 24

const cut = (label: string): string => (label.length <= MOST_LABEL ? label : `${label.slice(0, MOST_LABEL - 1)}…`)

interface Straggler {
  readonly index: number
  readonly label?: string
  readonly start: number
  readonly end: number
  readonly workerName?: string
  readonly row?: number
}

/** Those that run first: they can still be helped. */
function stragglersIn(drawing: Drawing): readonly Straggler[] {
  const ended = drawing.groups.flatMap(({ stragglers }) =>
    stragglers.flatMap((one): Straggler[] =>
      one.start === undefined || one.end === undefined ? [] : [{ ...one, start: one.start, end: one.end }],
    ),
  )
  return [...lateOf(drawing, drawing.end).map((one) => ({ ...one, end: drawing.end })), ...ended]
}

function nameTag(
  context: Context,
  { colours }: Drawing,
  { text, x, y, wide }: { readonly text: string; readonly x: number; readonly y: number; readonly wide: number },
): void {
  context.fillStyle = colours['card'] ?? ''
  context.fillRect(x, y - 8, wide, 16)
  context.strokeStyle = colours['retrying'] ?? ''
  context.lineWidth = 1
  context.strokeRect(x + 0.5, y - 7.5, wide - 1, 15)
  context.fillStyle = colours['retrying'] ?? ''
  context.fillText(text, x + 5, y + 0.5)
}

/** A frame around the branch that is chosen, where it is drawn by itself. */
export function drawChosen(context: Context, drawing: Drawing): void {
  const { chosen, scene, groups, running, colours } = drawing
  if (chosen === undefined) return
  const isChosen = (group: number | undefined, index: number | undefined): boolean =>
    index === chosen.index && groups[group ?? -1]?.path === chosen.path
  context.strokeStyle = colours['critical'] ?? ''
  context.lineWidth = 2.5
  for (const lane of scene.lanes) {
    if (lane.kind !== 'worker' || !isInSight(drawing, lane)) continue
    for (const { group, index, start, row, workerName } of running)
      if (workerName === lane.name && isChosen(group, index))
        frame(context, drawing, lane, { start, end: drawing.end, row })
    const blocks = drawing.data(lane.name)?.blocks
    const i = blocks?.index.findIndex((index, at) => isChosen(blocks.group[at], index)) ?? -1
    if (blocks !== undefined && i >= 0)
      frame(context, drawing, lane, { start: blocks.start[i] ?? 0, end: blocks.end[i] ?? 0, row: blocks.row[i] ?? 0 })
  }
}

function frame(
  context: Context,
  drawing: Drawing,
  lane: LaneBox,
  { start, end, row }: { readonly start: number; readonly end: number; readonly row: number },
): void {
  const high = lane.height / lane.slots
  const x = xOf(drawing, start)
  context.strokeRect(x - 0.5, yOf(drawing, lane) + row * high, Math.max(3, xOf(drawing, end) - x), high)
}

/** A frame around what the pointer is on. */
export function drawHovered(context: Context, drawing: Drawing): void {
  const { hover, colours } = drawing
  if (hover === undefined) return
  context.strokeStyle = colours['text'] ?? ''
  context.lineWidth = 1.5
  if (hover.kind === 'fold') {
    const [x, until] = [xOf(drawing, hover.from), xOf(drawing, hover.to)]
    context.strokeRect(x, AXIS, until - x, drawing.height - AXIS - 1)
    return
  }
  if (hover.kind === 'bin') {
    const [x, until] = [xOf(drawing, hover.from), xOf(drawing, hover.to)]
    context.strokeRect(x, yOf(drawing, hover.lane), until - x, hover.lane.height)
    return
  }
  frame(context, drawing, hover.lane, spanAndRow(hover, drawing.end))
}

function spanAndRow(
  hit: Exclude<Hit, BinHit | FoldHit>,
  now: number,
): { readonly start: number; readonly end: number; readonly row: number } {
  switch (hit.kind) {
    case 'step':
      return { start: hit.step.start, end: hit.step.until, row: hit.step.row }
    case 'running':
      return { start: hit.branch.start, end: now, row: hit.branch.row }
    case 'block':
      return hit
  }
}

const HATCH_PX = 7
/** How far beyond the view an edge is out of it. */
const EDGE_PX = 10

/** What is cut: a hatched strip between two broken lines, with how long it was. */
export function drawFolds(context: Context, drawing: Drawing): void {
  const { folding, colours, height, left, width } = drawing
  for (const { from, to } of folding.folds) {
    const [begin, end] = [xOf(drawing, from), xOf(drawing, to)]
    if (end < left || begin > width) continue
    // of a strip that one has zoomed into, which may be millions of pixels wide, what is in view
    const [x, until] = [Math.max(begin, left - EDGE_PX), Math.min(end, width + EDGE_PX)]
    context.save()
    clip(context, x, AXIS, until - x, height)
    context.fillStyle = colours['card'] ?? ''
    context.fillRect(x, AXIS, until - x, height)
    context.strokeStyle = colours['line'] ?? ''
    context.lineWidth = 1
    context.beginPath()
    const hatched = begin + Math.floor((x - begin) / HATCH_PX) * HATCH_PX
    for (let at = hatched - height; at < until; at += HATCH_PX) {
      context.moveTo(at, AXIS + height)
      context.lineTo(at + height, AXIS)
    }
    context.stroke()
    context.strokeStyle = colours['faint'] ?? ''
    context.setLineDash([4, 3])
    context.strokeRect(x + 0.5, AXIS - 10, until - x - 1, height + 20)
    context.restore()
    nameOfFold(context, drawing, to - from, x, until)
  }
}

function nameOfFold(context: Context, { colours }: Drawing, ms: number, x: number, until: number): void {
  const room = until - x - 6
  const text = [duration(ms), age(ms)].find((one) => context.measureText(one).width <= room)
  if (text === undefined) return
  const wide = context.measureText(text).width + 6
  const middle = (x + until) / 2
  context.fillStyle = colours['card'] ?? ''
  context.fillRect(middle - wide / 2, AXIS + 1, wide, NAMES - 2)
  context.fillStyle = colours['soft'] ?? ''
  context.textAlign = 'center'
  context.fillText(text, middle, AXIS + NAMES / 2 + 1)
  context.textAlign = 'left'
}
