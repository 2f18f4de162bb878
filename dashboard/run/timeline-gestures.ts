/** What pointers, wheels and keys do on the canvas of a timeline. */
import { useEffect, useRef } from 'preact/hooks'
import type { Hit } from './timeline-model.js'
import type { Surface } from './timeline-surface.js'

interface Says {
  readonly setHover: (hover: { readonly hit: Hit; readonly x: number; readonly y: number } | undefined) => void
  readonly toggleIdle: () => void
  readonly choose: (hit: Hit | undefined) => void
}

/** What pointers, wheels and keys do on the canvas. */
export function useGestures(
  canvas: { readonly current: HTMLCanvasElement | null },
  surface: Surface,
  says: Says,
): void {
  const held = useRef(says)
  held.current = says
  useEffect(() => {
    const element = canvas.current
    if (element === null) return
    const pointers = pointerGestures(element, surface, held)
    const wheel = (event: WheelEvent): void => {
      const isZoom = event.ctrlKey || event.metaKey
      const across = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX
      if (!isZoom && across === 0) return
      event.preventDefault()
      held.current.setHover(undefined)
      if (isZoom) surface.zoom(Math.exp(event.deltaY / 240), surface.timeAt(event.offsetX))
      else surface.pan(across)
    }
    const key = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return
      const { width, left } = surface.size()
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key]
      if (move !== undefined) surface.pan((move * (width - left)) / 5)
      else if (event.key === '+' || event.key === '=') surface.zoom(0.5)
      else if (event.key === '-') surface.zoom(2)
      else if (event.key === '0') surface.whole()
      else if (event.key === 'i') held.current.toggleIdle()
      else return
      event.preventDefault()
      event.stopPropagation()
    }
    element.addEventListener('wheel', wheel, { passive: false })
    element.addEventListener('keydown', key)
    return () => {
      pointers()
      element.removeEventListener('wheel', wheel)
      element.removeEventListener('keydown', key)
    }
  }, [])
}

function pointerGestures(element: HTMLCanvasElement, surface: Surface, says: { readonly current: Says }): () => void {
  const down = new Map<number, number>()
  let moved = 0
  let band: number | undefined
  const place = (event: PointerEvent): { readonly x: number; readonly y: number } => ({
    x: event.offsetX,
    y: event.offsetY,
  })
  const begin = (event: PointerEvent): void => {
    if (event.button !== 0) return
    down.set(event.pointerId, event.offsetX)
    element.setPointerCapture(event.pointerId)
    moved = 0
    band = event.shiftKey ? surface.timeAt(event.offsetX) : undefined
    says.current.setHover(undefined)
  }
  const move = (event: PointerEvent): void => {
    const before = down.get(event.pointerId)
    if (before === undefined) {
      if (event.pointerType === 'mouse') hoverAt(event)
      return
    }
    const x = event.offsetX
    if (down.size === 2) pinch(event.pointerId, before, x)
    else if (band !== undefined) surface.select([band, surface.timeAt(x)])
    else surface.pan(before - x)
    moved += Math.abs(before - x)
    down.set(event.pointerId, x)
  }
  const pinch = (id: number, before: number, x: number): void => {
    const other = [...down].find(([one]) => one !== id)?.[1] ?? 0
    const [was, is] = [Math.max(8, Math.abs(before - other)), Math.max(8, Math.abs(x - other))]
    surface.zoom(was / is, surface.timeAt((x + other) / 2))
  }
  const hoverAt = (event: PointerEvent): void => {
    const { x, y } = place(event)
    const hit = surface.hitAt(x, y)
    element.style.cursor = hit === undefined ? 'grab' : 'pointer'
    says.current.setHover(hit === undefined ? undefined : { hit, x: x / Math.max(1, surface.size().width), y })
  }
  const end = (event: PointerEvent): void => {
    if (!down.delete(event.pointerId)) return
    const from = band
    band = undefined
    surface.select(undefined)
    if (event.type === 'pointercancel') return
    if (from !== undefined && moved > 4) {
      const to = surface.timeAt(event.offsetX)
      surface.look({ from: Math.min(from, to), to: Math.max(from, to) })
    } else if (moved <= 4) says.current.choose(surface.hitAt(event.offsetX, event.offsetY))
  }
  const leave = (): void => says.current.setHover(undefined)
  element.addEventListener('pointerdown', begin)
  element.addEventListener('pointermove', move)
  element.addEventListener('pointerup', end)
  element.addEventListener('pointercancel', end)
  element.addEventListener('pointerleave', leave)
  return () => {
    element.removeEventListener('pointerdown', begin)
    element.removeEventListener('pointermove', move)
    element.removeEventListener('pointerup', end)
    element.removeEventListener('pointercancel', end)
    element.removeEventListener('pointerleave', leave)
  }
}
