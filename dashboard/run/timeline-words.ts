/** What a timeline says in words: its axis, and what is under the pointer. */
import { count, duration } from '../format.js'
import { type Hit, type RunningHit, STATUS_WORDS, type Whole } from './timeline-model.js'

/** In less than that one wants to know the second. */
const LONG_MS = 600_000

/** A moment on the axis: since the creation of the run, as finely as the view needs it. */
export function axisTime(ms: number, spanMs: number): string {
  if (spanMs < 2_000 && ms < 10_000) return `${count(ms)} ms`
  const seconds = ms / 1_000
  if (spanMs < 2_000 && seconds < 60) return `${seconds.toFixed(3)} s`
  if (seconds < 60) return `${seconds.toFixed(spanMs < 20_000 && seconds % 1 !== 0 ? 1 : 0)} s`
  // so near that ticks are parts of a second apart
  const digits = spanMs < 2_000 ? 3 : spanMs < 20_000 ? 1 : 0
  const whole = digits > 0 ? seconds : Math.round(seconds)
  const minutes = Math.floor(whole / 60)
  const rest = (whole % 60).toFixed(digits).padStart(digits > 0 ? digits + 3 : 2, '0')
  if (minutes < 60) return `${minutes}:${rest} min`
  const hours = `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}`
  return spanMs < LONG_MS ? `${hours}:${rest} h` : `${hours} h`
}

/** Lines about what is under the pointer, the name first. */
export function tipOf(hit: Hit, { groups }: Pick<Whole, 'groups'>): readonly string[] {
  if (hit.kind === 'step') {
    const { task, path, state, start, until, attempt } = hit.step
    const again = attempt > 1 ? [`attempt ${attempt}`] : []
    return [task, `step ${path} · ${state}`, `${duration(until - start)}, from ${duration(start)}`, ...again]
  }
  if (hit.kind === 'bin') {
    const { from, to, busyMs, ended, failed, again, lane } = hit
    const slots = busyMs / Math.max(0.001, to - from)
    return [
      lane.name,
      `${duration(from)} to ${duration(to)}`,
      `${slots.toFixed(1)} of ${lane.slots} slots busy`,
      `${count(ended)} ended${failed > 0 ? `, ${count(failed)} failed` : ''}${again > 0 ? `, ${count(again)} started again` : ''}`,
      'click to zoom in',
    ]
  }
  if (hit.kind === 'running') return runningTip(hit, groups)
  if (hit.kind === 'fold')
    return [
      'Nothing was at work',
      `for ${duration(hit.to - hit.from)}, from ${duration(hit.from)}`,
      'cut short; click to show it',
    ]
  const group = groups[hit.group]
  const again = hit.again > 0 ? [`started ${count(hit.again + 1)} times`] : []
  const isSlow = group?.stragglers.some(({ index }) => index === hit.index) === true
  const late = isSlow && group.medianMs !== undefined ? [`straggler: the median is ${duration(group.medianMs)}`] : []
  const label = group?.stragglers.find(({ index }) => index === hit.index)?.label
  return [
    `${group?.title ?? 'branch'} #${hit.index}${label === undefined ? '' : ` ${label}`}`,
    `${STATUS_WORDS[hit.status] ?? ''} on ${hit.lane.name}`,
    `${duration(hit.end - hit.start)}, from ${duration(hit.start)}`,
    ...again,
    ...late,
  ]
}

function runningTip({ branch, end, lane }: RunningHit, groups: Whole['groups']): readonly string[] {
  const { group, index, task, label, start, again } = branch
  const { medianMs } = groups[group] ?? {}
  return [
    `${task} #${index}${label === undefined ? '' : ` ${label}`}`,
    `running on ${lane.name}`,
    `for ${duration(Math.max(0, end - start))}, since ${duration(start)}`,
    ...(again > 0 ? [`start ${count(again + 1)}`] : []),
    ...(medianMs === undefined ? [] : [`the median of those that ended is ${duration(medianMs)}`]),
  ]
}
