/** The data of a timeline: the whole run, looked at anew while it goes on, and sharper windows of what is in view, asked for once one stands still. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
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
  /** Counts the windows that have come. */
  readonly windows: number
}

interface Held {
  readonly revision: string
  readonly from: number
  readonly to: number
  readonly lanes: ReadonlyMap<string, LaneData>
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
  const [detail, setDetail] = useState<Held | undefined>(undefined)
  const [windows, setWindows] = useState(0)
  const now = useRef({ whole, detail, view: undefined as View | undefined })
  now.current = { ...now.current, whole, detail }
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
      setDetail({ revision: found.revision, from, to, lanes: dataByName(found.workers, found.window) })
      setWindows((count) => count + 1)
    } catch {
      // what is drawn stays, coarser than it might be; the next move asks again
    }
  }
  const watch = (view: View): void => {
    now.current.view = view
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
    const isSharp =
      detail !== undefined && detail.revision === overview?.revision && covers(detail, view, whole?.end ?? 0)
    return (name) => (isSharp ? (detail.lanes.get(name) ?? overview.lanes.get(name)) : overview?.lanes.get(name))
  }
  return { query, data, watch, windows }
}
