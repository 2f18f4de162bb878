/** Where the picture of a flow lies in its frame, and how pointers, wheels and keys move and zoom it. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { Picture } from './graph-layout.js'

/** Where the picture lies in its frame. */
interface Place {
  readonly x: number
  readonly y: number
  readonly scale: number
}

const LEAST_SCALE = 0.25
const MOST_SCALE = 2
/** Smaller than this nobody can read it. */
const READABLE = 0.62
const STEP_PX = 60

/** The one that is larger in the frame; where neither fits, the one that goes on in the direction in which pages do. */
export function best(
  pictures: readonly Picture[],
  { width, height }: { readonly width: number; readonly height: number },
): Picture {
  const fits = (picture: Picture): number => Math.min(1, width / picture.width, height / picture.height)
  return pictures.reduce((a, b) => (fits(b) > fits(a) * 1.1 ? b : a))
}

export const scaledAround = ({ x, y, scale }: Place, by: number, aroundX: number, aroundY: number): Place => {
  const next = Math.min(MOST_SCALE, Math.max(LEAST_SCALE, scale * by))
  const ratio = next / scale
  return { scale: next, x: aroundX - (aroundX - x) * ratio, y: aroundY - (aroundY - y) * ratio }
}

/** As large as fits, and never too small to read; then what goes on now is in the middle. */
function placed(
  { width, height, boxes }: Picture,
  size: { readonly width: number; readonly height: number },
  focus: string | undefined,
): Place {
  if (size.width === 0) return { x: 0, y: 0, scale: 1 }
  const fits = Math.min(1, size.width / width, size.height / height)
  const scale = Math.max(fits, Math.min(READABLE, 1))
  const box = boxes.find(({ path }) => path === focus)
  const along = (room: number, whole: number, from: number, long: number): number => {
    if (whole * scale <= room) return (room - whole * scale) / 2
    if (box === undefined) return 0
    return Math.min(0, Math.max(room - whole * scale, room / 2 - (from + long / 2) * scale))
  }
  return {
    scale,
    x: along(size.width, width, box?.x ?? 0, Math.min(box?.width ?? 0, size.width / scale)),
    y: along(size.height, height, box?.y ?? 0, Math.min(box?.height ?? 0, size.height / scale)),
  }
}

export function usePlace(
  picture: Picture,
  size: { readonly width: number; readonly height: number },
  focus: string | undefined,
) {
  const [moved, setMoved] = useState<Place | undefined>(undefined)
  // what was moved by hand stays, until the picture is another one
  useEffect(() => setMoved(undefined), [picture])
  const [focused] = useState(focus)
  const natural = useMemo(() => placed(picture, size, focused ?? focus), [picture, size, focused])
  const place = moved ?? natural
  const held = useRef(place)
  held.current = place
  const setPlace = (change: (at: Place) => Place): void => setMoved(change(held.current))
  const fit = (): void => {
    const scale = Math.min(1, size.width / picture.width, size.height / picture.height)
    setMoved({ scale, x: (size.width - picture.width * scale) / 2, y: (size.height - picture.height * scale) / 2 })
  }
  return {
    place,
    setPlace,
    isMoved:
      moved !== undefined ||
      natural.scale * picture.width > size.width + 1 ||
      natural.scale * picture.height > size.height + 1,
    fit,
  }
}

export function useDrag(place: Place, setPlace: (change: (at: Place) => Place) => void) {
  const [isDragging, setDragging] = useState(false)
  const moved = useRef(false)
  const begin = (event: PointerEvent): void => {
    if (event.button !== 0) return
    const [startX, startY, from] = [event.clientX, event.clientY, place]
    moved.current = false
    const move = (to: PointerEvent): void => {
      const [dx, dy] = [to.clientX - startX, to.clientY - startY]
      if (!moved.current && Math.hypot(dx, dy) < 4) return
      moved.current = true
      setDragging(true)
      setPlace(() => ({ ...from, x: from.x + dx, y: from.y + dy }))
    }
    const end = (): void => {
      setDragging(false)
      removeEventListener('pointermove', move)
      removeEventListener('pointerup', end)
      removeEventListener('pointercancel', end)
    }
    addEventListener('pointermove', move)
    addEventListener('pointerup', end)
    addEventListener('pointercancel', end)
  }
  return { begin, isDragging, wasMoved: () => moved.current }
}

/** Ctrl and the wheel zoom, as pinching does; the wheel alone moves the page. */
export function useWheel(
  frame: { readonly current: HTMLElement | null },
  setPlace: (change: (at: Place) => Place) => void,
): void {
  const held = useRef(setPlace)
  held.current = setPlace
  useEffect(() => {
    const element = frame.current
    if (element === null) return
    const wheel = (event: WheelEvent): void => {
      if (!event.ctrlKey && !event.metaKey) return
      event.preventDefault()
      const { left, top } = element.getBoundingClientRect()
      held.current((at) => scaledAround(at, Math.exp(-event.deltaY / 240), event.clientX - left, event.clientY - top))
    }
    element.addEventListener('wheel', wheel, { passive: false })
    return () => element.removeEventListener('wheel', wheel)
  }, [])
}

export function moveByKey(
  event: KeyboardEvent,
  zoom: (by: number) => void,
  setPlace: (change: (at: Place) => Place) => void,
  fit: () => void,
): void {
  const moves: Readonly<Record<string, readonly [number, number]>> = {
    ...{ ArrowLeft: [STEP_PX, 0], ArrowRight: [-STEP_PX, 0], ArrowUp: [0, STEP_PX], ArrowDown: [0, -STEP_PX] },
  }
  const move = event.shiftKey ? moves[event.key] : undefined
  if (event.key === '+' || event.key === '=') zoom(1.25)
  else if (event.key === '-') zoom(0.8)
  else if (event.key === '0') fit()
  else if (move !== undefined) setPlace((at) => ({ ...at, x: at.x + move[0], y: at.y + move[1] }))
  else return
  event.preventDefault()
  event.stopPropagation()
}
