/** What a trace of Chromium says of the main thread of a page. Times of the processor are those of the thread itself. */
import { quantile } from './statistics.js'

/** As Chromium writes it; times are in microseconds. */
export interface TraceEvent {
  readonly name: string
  readonly cat: string
  readonly ph: string
  readonly pid: number
  readonly tid: number
  readonly ts: number
  readonly dur?: number
  readonly tdur?: number
  readonly args?: { readonly data?: Readonly<Record<string, unknown>>; readonly [name: string]: unknown }
}

const LONG_MS = 16
const FIRST_MS = 1_000
const TASK = /RunTask$/

/** The thread that a page's own work is done on: that which has painted it. */
function mainThread(events: readonly TraceEvent[], mark: string): Pick<TraceEvent, 'pid' | 'tid'> {
  const counts = new Map<string, { readonly pid: number; readonly tid: number; count: number }>()
  for (const { name, pid, tid } of events) {
    if (name !== mark) continue
    const one = counts.get(`${pid} ${tid}`) ?? { pid, tid, count: 0 }
    one.count += 1
    counts.set(`${pid} ${tid}`, one)
  }
  const [most] = [...counts.values()].sort((a, b) => b.count - a.count)
  if (most === undefined) throw new Error(`expected a trace with ${mark}`)
  return most
}

const onThread = (
  events: readonly TraceEvent[],
  { pid, tid }: Pick<TraceEvent, 'pid' | 'tid'>,
): readonly TraceEvent[] => events.filter((one) => one.pid === pid && one.tid === tid)

const cpu = (events: readonly TraceEvent[], from: number, to: number): number =>
  events.reduce((sum, { ts, dur = 0, tdur = 0 }) => {
    if (ts >= to || ts + dur <= from) return sum
    const share = dur === 0 ? 1 : (Math.min(to, ts + dur) - Math.max(from, ts)) / dur
    return sum + (tdur * share) / 1_000
  }, 0)

/** What the main thread of the page that was navigated to did until its first paint. */
export function paintOf(events: readonly TraceEvent[]) {
  // what the browser itself says of the navigation: the page may be in another process than the one before it
  const of = events.filter(({ name }) => name === 'PageLoadMetrics.NavigationToFirstContentfulPaint')
  const start = of.findLast(({ ph }) => ph === 'b')
  const paint = events.findLast(({ name, ph }) => name === 'firstContentfulPaint' && ph !== 'M')
  if (start === undefined || paint === undefined || paint.ts < start.ts)
    throw new Error('expected a trace with a first paint')
  const own = onThread(events, paint)
  const tasks = own.filter(({ name, ph }) => ph === 'X' && TASK.test(name))
  const scripts = own.filter(
    ({ name, ph }) =>
      ph === 'X' && /^(EvaluateScript|v8\.evaluateModule|FunctionCall|v8\.compile|v8\.compileModule)$/.test(name),
  )
  return {
    cpuMs: cpu(tasks, start.ts, paint.ts),
    scriptMs: cpu(outermost(scripts), start.ts, paint.ts),
    allMs: cpu(tasks, start.ts, start.ts + FIRST_MS * 1_000),
  }
}

/** Those that are in no other of them. */
function outermost(events: readonly TraceEvent[]): readonly TraceEvent[] {
  let until = 0
  return [...events]
    .sort((a, b) => a.ts - b.ts)
    .filter(({ ts, dur = 0 }) => {
      if (ts < until) return false
      until = ts + dur
      return true
    })
}

/** From one animation frame to the next. */
export function framesOf(events: readonly TraceEvent[]) {
  const main = mainThread(events, 'FireAnimationFrame')
  const starts = onThread(events, main)
    .filter(({ name }) => name === 'FireAnimationFrame')
    .map(({ ts }) => ts)
    .sort((a, b) => a - b)
  const gaps = starts.slice(1).map((ts, i) => (ts - (starts[i] ?? ts)) / 1_000)
  const apart = gaps.filter((gap) => gap > 1) // several callbacks of one frame
  return { frames: apart.length, medianMs: quantile(apart, 0.5), p95Ms: quantile(apart, 0.95) }
}

/** Tasks of the main thread, and those that took longer of the processor than a frame has, the longest first, with what they were made of. */
export function longTasks(events: readonly TraceEvent[]) {
  const own = onThread(events, mainThread(events, 'FireAnimationFrame'))
  const tasks = own.filter(({ name, ph }) => ph === 'X' && TASK.test(name))
  const long = tasks
    .filter(({ tdur = 0 }) => tdur / 1_000 > LONG_MS)
    .sort((a, b) => (b.tdur ?? 0) - (a.tdur ?? 0))
    .map((task) => ({ ms: (task.tdur ?? 0) / 1_000, parts: partsOf(own, task) }))
  return { count: tasks.length, busyMs: tasks.reduce((sum, { tdur = 0 }) => sum + tdur / 1_000, 0), long }
}

function partsOf(events: readonly TraceEvent[], task: TraceEvent): string {
  const inside = events.filter(
    ({ ts, dur = 0, ph, name }) =>
      ph === 'X' && !TASK.test(name) && ts >= task.ts && ts + dur <= task.ts + (task.dur ?? 0) && dur > 500,
  )
  const sums = new Map<string, number>()
  for (const { name, tdur = 0, args } of inside) {
    const of = args?.data?.['functionName']
    const key = typeof of === 'string' && of !== '' ? `${name} ${of}` : name
    sums.set(key, (sums.get(key) ?? 0) + tdur / 1_000)
  }
  return [...sums]
    .sort(([, a], [, b]) => b - a)
    .slice(0, 8)
    .map(([name, took]) => `${name} ${took.toFixed(1)}`)
    .join(', ')
}
