/**
 * Draws a timeline on a canvas. What is drawn is the same at every call with the same arguments, and costs what is in view: at most a few thousand rectangles, so that it
 * can be called each frame while people zoom. What stands on the lanes is timeline-marks.ts’s.
 */
import type { TimelineBins, TimelineBlocks } from '../../lib/report/timeline.js'
import { keptOf, piecesOf } from './timeline-folds.js'
import { type LaneBox, type LaneData, type NamedGroup, spanOf, ticksOf, tickStep } from './timeline-model.js'
import { drawChosen, drawFolds, drawHovered, drawStragglers, drawUnderlines } from './timeline-marks.js'
import {
  AXIS,
  clip,
  type Context,
  type Drawing,
  isInSight,
  MINIMAL,
  NAMES,
  STRIP,
  TEXT,
  TOP,
  xOf,
  yOf,
} from './timeline-scale.js'

export function draw(context: Context, drawing: Drawing): void {
  const { width, height, colours, left } = drawing
  context.clearRect(0, 0, width, height)
  context.font = TEXT
  context.textBaseline = 'middle'
  context.save()
  clip(context, left, 0, width - left, height)
  drawBands(context, drawing)
  drawAxis(context, drawing)
  drawStrip(context, drawing)
  context.save()
  clip(context, left, TOP, width - left, height - TOP)
  for (const lane of drawing.scene.lanes) if (isInSight(drawing, lane)) drawLane(context, drawing, lane)
  context.restore()
  drawFolds(context, drawing)
  context.save()
  clip(context, left, TOP, width - left, height - TOP)
  drawUnderlines(context, drawing)
  drawStragglers(context, drawing)
  drawChosen(context, drawing)
  drawHovered(context, drawing)
  context.restore()
  drawBarriers(context, drawing)
  if (!drawing.isOver) line(context, xOf(drawing, drawing.end), AXIS, height, colours['running'] ?? '', [2, 3])
  context.restore()
  drawNames(context, drawing)
}

const TICK_PX = 84

function drawAxis(context: Context, drawing: Drawing): void {
  const { view, times, folding, colours, width, left, height, words } = drawing
  const step = tickStep(spanOf(view), (width - left) / TICK_PX)
  // behind what is cut, one reads how late it is by now
  const ticks = piecesOf(folding, times).flatMap((piece, i) => [
    ...(i > 0 || piece.from > times.from ? [piece.from] : []),
    ...ticksOf(piece, step),
  ])
  context.textAlign = 'left'
  let free = Number.NEGATIVE_INFINITY
  for (const tick of ticks) {
    const x = Math.round(xOf(drawing, tick))
    if (x < free) continue
    context.fillStyle = colours['line'] ?? ''
    context.fillRect(x, AXIS - 5, 1, height)
    context.fillStyle = colours['faint'] ?? ''
    const text = words.time(tick)
    const wide = context.measureText(text).width
    // at the edge it stands before its line
    const from = x + 4 + wide > width ? x - 4 - wide : x + 4
    if (from < free) continue
    context.fillText(text, from, 9)
    free = Math.max(x + TICK_PX / 2, from + wide + 6)
  }
}

/** A ground for each outermost group, and of its barrier the time from half of the ends to the last. */
function drawBands(context: Context, drawing: Drawing): void {
  const { bands, groups, colours, height, end } = drawing
  for (const [i, group] of bands.entries()) {
    const [x, until] = [xOf(drawing, group.openedAt), xOf(drawing, group.releasedAt ?? end)]
    if (until < drawing.left || x > drawing.width) continue
    context.fillStyle = (i % 2 === 0 ? colours['band'] : colours['bandOther']) ?? ''
    context.fillRect(x, AXIS, Math.max(1, until - x), height)
    nameOfBand(context, drawing, group, x, until)
  }
  context.fillStyle = colours['skew'] ?? ''
  for (const { last, skewMs = 0, timed } of groups) {
    if (last === undefined || timed < 2 || skewMs <= 0) continue
    const [x, until] = [xOf(drawing, last - skewMs), xOf(drawing, last)]
    if (until < drawing.left || x > drawing.width || until - x < 2) continue
    context.fillRect(x, TOP - 4, until - x, height)
  }
}

function nameOfBand(context: Context, drawing: Drawing, group: NamedGroup, x: number, until: number): void {
  const [from, to] = [Math.max(x, drawing.left), Math.min(until, drawing.width)]
  if (to - from < 30) return
  context.save()
  clip(context, from, AXIS, to - from - 4, NAMES)
  context.fillStyle = drawing.colours['soft'] ?? ''
  context.textAlign = 'left'
  context.fillText(`${group.title}  × ${group.width}`, from + 6, AXIS + NAMES / 2 + 1)
  context.restore()
}

/** A line where a barrier was released; two feet tell it from a tick. */
function drawBarriers(context: Context, drawing: Drawing): void {
  const { groups, colours, height } = drawing
  for (const { releasedAt, state } of groups) {
    if (releasedAt === undefined) continue
    const x = Math.round(xOf(drawing, releasedAt))
    if (x < drawing.left || x > drawing.width) continue
    context.fillStyle = (state === 'withdrawn' ? colours['cancelled'] : colours['text']) ?? ''
    context.fillRect(x, AXIS + NAMES, 1, height)
    context.fillRect(x - 2, AXIS + NAMES, 5, 3)
  }
}

/** The critical path as one strip above the lanes: what the run waited for at each moment. */
function drawStrip(context: Context, drawing: Drawing): void {
  const y = AXIS + NAMES
  for (const part of drawing.main) {
    const [x, until] = [xOf(drawing, part.start), xOf(drawing, part.end)]
    if (until < drawing.left || x > drawing.width) continue
    context.fillStyle = drawing.colours[part.kind] ?? ''
    const high = part.kind === 'branch' || part.kind === 'step' ? STRIP - 2 : 3
    context.fillRect(x, y + (STRIP - high) / 2, Math.max(MINIMAL, until - x - 1), high)
  }
}

function drawLane(context: Context, drawing: Drawing, lane: LaneBox): void {
  const { colours, width, left } = drawing
  const y = yOf(drawing, lane)
  context.fillStyle = colours['lane'] ?? ''
  context.fillRect(left, y, width - left, lane.height)
  if (lane.kind === 'driver') {
    drawSteps(context, drawing, lane, y)
    return
  }
  const data = drawing.data(lane.name)
  if (data?.blocks !== undefined) drawBlocks(context, drawing, lane, y, data.blocks)
  else if (data?.bins !== undefined) drawBins(context, drawing, lane, y, data, data.bins)
  drawRunning(context, drawing, lane, y)
}

/** What has not ended is hollow, up to now. */
function drawRunning(context: Context, drawing: Drawing, lane: LaneBox, y: number): void {
  const { colours, end, running } = drawing
  const high = lane.height / lane.slots
  const gap = high > 5 ? 2 : high > 3 ? 1 : 0.4
  for (const { workerName, start, row, again, task, index, label } of running) {
    if (workerName !== lane.name) continue
    const [x, until] = [xOf(drawing, start), xOf(drawing, end)]
    if (until < drawing.left || x > drawing.width) continue
    const [wide, top, tall] = [Math.max(MINIMAL, until - x), y + row * high + gap / 2, high - gap]
    context.fillStyle = colours['lane'] ?? ''
    context.fillRect(x, top, wide, tall)
    context.fillStyle = colours['runningFill'] ?? ''
    context.fillRect(x, top, wide, tall)
    context.strokeStyle = colours['running'] ?? ''
    context.lineWidth = tall >= 4 ? 1 : 0.5
    if (wide > 2) context.strokeRect(x + 0.5, top + 0.5, wide - 1, Math.max(0.5, tall - 1))
    if (again > 0) edge(context, drawing, x, top, wide, tall)
    if (wide > 56 && high >= 11)
      inside(context, drawing, `${task} ${label ?? `#${index}`}`, x, top, wide, tall, colours['text'])
  }
}

const STEP_COLOURS: Readonly<Record<string, string>> = {
  ...{ running: 'running', retrying: 'retrying', failed: 'failed', succeeded: 'step' },
}

function drawSteps(context: Context, drawing: Drawing, lane: LaneBox, y: number): void {
  const high = lane.height / lane.slots
  for (const step of drawing.scene.steps) {
    const [x, until] = [xOf(drawing, step.start), xOf(drawing, step.until)]
    if (until < drawing.left || x > drawing.width) continue
    const wide = Math.max(MINIMAL, until - x - 1)
    const top = y + step.row * high + 1
    context.fillStyle = drawing.colours[STEP_COLOURS[step.state] ?? 'cancelled'] ?? ''
    context.fillRect(x, top, wide, high - 2)
    if (step.state === 'failed') cross(context, drawing, x, top, wide, high - 2)
    if (wide > 40 && high >= 11) inside(context, drawing, step.task, x, top, wide, high - 2)
  }
}

function inside(
  context: Context,
  drawing: Drawing,
  text: string,
  x: number,
  y: number,
  wide: number,
  high: number,
  colour = drawing.colours['onBlock'],
): void {
  const from = Math.max(x, drawing.left)
  const room = Math.min(x + wide, drawing.width) - from - 8
  if (room < 24) return
  context.save()
  clip(context, from, y, room + 4, high)
  context.font = high >= 14 ? TEXT : TEXT.replace('12px', '10px')
  context.fillStyle = colour ?? ''
  context.textAlign = 'left'
  context.fillText(text, from + 4, y + high / 2 + 0.5)
  context.restore()
}

const FILLS: Readonly<Record<string, string>> = { s: 'branch', f: 'failed', d: 'dead', c: 'cancelled', k: 'cancelled' }

function drawBlocks(context: Context, drawing: Drawing, lane: LaneBox, y: number, blocks: TimelineBlocks): void {
  const { times, colours } = drawing
  const high = lane.height / lane.slots
  const gap = high > 5 ? 2 : high > 3 ? 1 : 0.4
  const { start, end, row, status, again } = blocks
  let fill = ''
  for (let i = 0; i < start.length; i += 1) {
    const [from = 0, to = 0] = [start[i], end[i]]
    if (to < times.from || from > times.to) continue
    const x = xOf(drawing, from)
    const long = xOf(drawing, to) - x
    const wide = Math.max(MINIMAL, long > 4 ? long - 1 : long)
    const top = y + (row[i] ?? 0) * high + gap / 2
    const letter = status[i] ?? 's'
    const next = FILLS[letter] ?? 'branch'
    if (next !== fill) context.fillStyle = colours[(fill = next)] ?? ''
    context.fillRect(x, top, wide, high - gap)
    if (letter === 'f' || letter === 'd') cross(context, drawing, x, top, wide, high - gap)
    if ((again[i] ?? 0) > 0) edge(context, drawing, x, top, wide, high - gap)
    if (letter !== 's' || (again[i] ?? 0) > 0) fill = ''
    if (wide > 56 && high >= 11) {
      inside(context, drawing, labelOf(drawing, blocks.group[i] ?? 0, blocks.index[i] ?? 0), x, top, wide, high - gap)
      fill = ''
    }
  }
}

const labelOf = ({ groups }: Drawing, group: number, index: number): string =>
  `${groups[group]?.title.replace(/\*$/, '') ?? ''} #${index}`

/** Failed: a cross, so that its colour need not be seen; where there is no room for one, a notch. */
function cross(context: Context, { colours }: Drawing, x: number, y: number, wide: number, high: number): void {
  context.fillStyle = colours['onBlock'] ?? ''
  if (wide < 7 || high < 6) {
    context.fillRect(x, y, wide, Math.min(1.5, high / 2))
    return
  }
  const arm = Math.min(3, high / 2 - 1)
  const [cx, cy] = [x + wide - arm - 3, y + high / 2]
  context.strokeStyle = colours['onBlock'] ?? ''
  context.lineWidth = 1.5
  context.beginPath()
  context.moveTo(cx - arm, cy - arm)
  context.lineTo(cx + arm, cy + arm)
  context.moveTo(cx + arm, cy - arm)
  context.lineTo(cx - arm, cy + arm)
  context.stroke()
}

/** Started again: an edge at its begin. */
function edge(context: Context, { colours }: Drawing, x: number, y: number, wide: number, high: number): void {
  context.fillStyle = colours['retrying'] ?? ''
  context.fillRect(x, y, Math.min(3, wide), high)
}

/** How busy the slots of a worker were; failures hang from the top, what was started again stands at the bottom. */
function drawBins(
  context: Context,
  drawing: Drawing,
  lane: LaneBox,
  y: number,
  data: LaneData,
  bins: TimelineBins,
): void {
  const count = bins.ended.length
  const widthMs = (data.to - data.from) / count
  const first = Math.max(0, Math.floor((drawing.times.from - data.from) / widthMs))
  const last = Math.min(count - 1, Math.ceil((drawing.times.to - data.from) / widthMs))
  const x = (bin: number): number => xOf(drawing, data.from + bin * widthMs)
  /** Of a bin that is cut in part, the work was done in the rest. */
  const whole = (bin: number): number =>
    lane.slots *
    Math.max(1, keptOf(drawing.folding, { from: data.from + bin * widthMs, to: data.from + (bin + 1) * widthMs }))
  context.fillStyle = drawing.colours['branch'] ?? ''
  for (let bin = first; bin <= last; bin += 1) {
    const busy = bins.busyMs[bin] ?? 0
    if (busy <= 0) continue
    const high = Math.max(1.5, Math.min(1, busy / whole(bin)) * lane.height)
    const from = x(bin)
    context.fillRect(from, y + lane.height - high, x(bin + 1) - from + 0.3, high)
  }
  context.fillStyle = drawing.colours['failed'] ?? ''
  for (let bin = first; bin <= last; bin += 1) {
    const { failed, ended } = { failed: bins.failed[bin] ?? 0, ended: bins.ended[bin] ?? 0 }
    if (failed === 0) continue
    const high = Math.max(5, (failed / Math.max(1, ended)) * lane.height * 0.9)
    context.fillRect(x(bin), y, Math.max(2, x(bin + 1) - x(bin)), high)
  }
  context.fillStyle = drawing.colours['retrying'] ?? ''
  for (let bin = first; bin <= last; bin += 1) {
    if ((bins.again[bin] ?? 0) > 0) context.fillRect(x(bin), y + lane.height - 3, Math.max(2, x(bin + 1) - x(bin)), 3)
  }
}

function drawNames(context: Context, drawing: Drawing): void {
  const { scene, colours, left } = drawing
  context.textAlign = 'left'
  context.save()
  clip(context, 0, TOP - 4, left - 8, drawing.height)
  for (const lane of scene.lanes) {
    if (!isInSight(drawing, lane)) continue
    const middle = yOf(drawing, lane) + lane.height / 2
    context.fillStyle = colours['text'] ?? ''
    const isTall = lane.height >= 30
    context.fillText(fitted(context, lane.name, left - 14), 0, isTall ? middle - 7 : middle)
    if (!isTall) continue
    context.fillStyle = (lane.failed > 0 ? colours['failed'] : colours['faint']) ?? ''
    context.fillText(`${grouped(lane.branches)}${lane.failed > 0 ? ` · ${grouped(lane.failed)} ✕` : ''}`, 0, middle + 8)
  }
  context.restore()
  context.fillStyle = colours['faint'] ?? ''
  context.fillText('critical', 0, AXIS + NAMES + STRIP / 2)
}

const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f')

function fitted(context: Context, text: string, room: number): string {
  if (context.measureText(text).width <= room) return text
  let most = text.length
  while (most > 3 && context.measureText(`${text.slice(0, most)}…`).width > room) most -= 1
  return `${text.slice(0, most)}…`
}

function line(context: Context, x: number, y: number, until: number, colour: string, dash: readonly number[]): void {
  context.save()
  context.strokeStyle = colour
  context.setLineDash([...dash])
  context.beginPath()
  context.moveTo(Math.round(x) + 0.5, y)
  context.lineTo(Math.round(x) + 0.5, until)
  context.stroke()
  context.restore()
}
