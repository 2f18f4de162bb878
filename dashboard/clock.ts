/** One clock for all relative times: it ticks each second while the tab is seen, and times are drawn again together. */
import { store } from './store.js'

export const now = store(Date.now())
let timer: ReturnType<typeof setInterval> | undefined

export function startClock(): void {
  const tick = (): void => now.set(Date.now())
  const run = (): void => {
    clearInterval(timer)
    if (document.hidden) return
    tick()
    timer = setInterval(tick, 1_000)
  }
  document.addEventListener('visibilitychange', run)
  run()
}
