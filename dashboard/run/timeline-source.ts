/** The data of a timeline: the whole run, looked at anew while it goes on, and sharper windows of what is in view, asked for once one stands still. */
import { useEffect, useMemo, useRef } from 'preact/hooks'
import type { Timeline } from '../../lib/report/timeline.js'
import { at, get } from '../api.js'
import { type Query, useQuery } from '../use-query.js'
import { askFor, covers, dataByName, type LaneData, type View } from './timeline-model.js'

/** So long must one stand still before a sharper window is asked for. */
const REST_MS = 120
const LOOK_MS = 2_000
const BINS = 480

export interface TimelineSource {
  readonly query: Query<Timeline>
  /** Of the lane with this name, what is best for a view; it may cover more or less of it. */
  readonly data: (view: View) => (name: string) => LaneData | undefined
  /** To be told where one stands, each time it changes. */
  readonly watch: (view: View) => void
  /** Called with how many windows have come, each time one does: drawing it again is all that it needs. Returns how to stop that. */
  readonly onWindow: (listener: (count: number) => void) => () => void
}

interface Held {
  readonly revision: string
  readonly from: number
  readonly to: number
  readonly lanes: ReadonlyMap<string, LaneData>
}

interface Now {
  readonly whole: Timeline | undefined
  readonly overview: Held | undefined
  readonly detail: Held | undefined
  readonly view: View | undefined
  readonly windows: number
}

export function useTimeline(id: string, isOver: boolean): TimelineSource {
  const path = at`/runs/${id}/timeline`
  const query = useQuery<Timeline>(path, { query: { bins: BINS }, on: () => true, everyMs: isOver ? 0 : LOOK_MS })
  const whole = query.state.is === 'ready' ? query.state.value : undefined
  // the end of a run may have come after the last look
  useEffect(() => {
    if (isOver && whole !== undefined && !whole.isOver) void query.refresh()
  }, [isOver, whole?.isOver])
  const overview = useMemo<Held | undefined>(() => {
    if (whole === undefined) return undefined
    const { window, revision, workers } = whole
    return { revision, from: window.from, to: window.to, lanes: dataByName(workers, window) }
  }, [whole])
  const now = useRef<Now>({ whole, overview, detail: undefined, view: undefined, windows: 0 })
  now.current = { ...now.current, whole, overview }
  const listeners = useRef(new Set<(count: number) => void>())
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  const asked = useRef<AbortController>(undefined)

  const ask = async (): Promise<void> => {
    const { whole: known, detail: held, view } = now.current
    if (known === undefined || view === undefined) return
    // what is in the answer for the whole run may do
    if (covers(known.window, view, known.end)) return
    const isFresh = known.isOver || (held !== undefined && held.to < known.end)
    if (held !== undefined && held.revision === known.revision && isFresh && covers(held, view, known.end)) return
    asked.current?.abort()
    const controller = new AbortController()
    asked.current = controller
    const { from, to } = askFor(view, known.end)
    try {
      const found = await get<Timeline>(path, { from, to, bins: BINS }, controller.signal)
      const lanes = dataByName(found.workers, found.window)
      const windows = now.current.windows + 1
      now.current = { ...now.current, detail: { revision: found.revision, from, to, lanes }, windows }
      for (const listener of listeners.current) listener(windows)
    } catch {
      // what is drawn stays, coarser than it might be; the next move asks again
    }
  }
  const watch = (view: View): void => {
    now.current = { ...now.current, view }
    clearTimeout(timer.current)
    timer.current = setTimeout(() => void ask(), REST_MS)
  }
  // while a run goes on, what is in view may have more
  useEffect(() => {
    if (now.current.view !== undefined) watch(now.current.view)
  }, [whole])
  useEffect(
    () => () => {
      clearTimeout(timer.current)
      asked.current?.abort()
    },
    [],
  )
  const data = (view: View): ((name: string) => LaneData | undefined) => {
    const { detail, overview: all, whole: known } = now.current
    const isSharp = detail !== undefined && detail.revision === all?.revision && covers(detail, view, known?.end ?? 0)
    return (name) => (isSharp ? (detail.lanes.get(name) ?? all.lanes.get(name)) : all?.lanes.get(name))
  }
  const onWindow = (listener: (count: number) => void): (() => void) => {
    listeners.current.add(listener)
    return () => listeners.current.delete(listener)
  }
  return { query, data, watch, onWindow }
}
