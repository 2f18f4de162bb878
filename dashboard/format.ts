/** Times, numbers and ids as people read them. */

/** `1 203`, with narrow spaces that no line breaks at. */
export const count = (value: number): string => String(Math.round(value)).replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f')

/** Where room is short: `980`, `12.4k`, `3.1M`. */
export function brief(value: number): string {
  if (value < 10_000) return count(value)
  const [unit, by] = value < 1e6 ? ['k', 1e3] : value < 1e9 ? ['M', 1e6] : ['G', 1e9]
  const scaled = value / by
  return `${scaled < 100 ? scaled.toFixed(1).replace(/\.0$/, '') : Math.round(scaled)}${unit}`
}

/** `740 ms`, `4.2 s`, `38 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 0) return '0 ms'
  if (ms < 1_000) return `${Math.round(ms)} ms`
  const tenths = Math.round(ms / 100)
  if (tenths < 100) return `${(tenths / 10).toFixed(1)} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`
  return hours % 24 === 0 ? `${Math.floor(hours / 24)} d` : `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** One unit: `now`, `12 s`, `5 min`, `3 h`, `2 d`. */
export function age(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1_000)
  if (seconds < 1) return 'now'
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`
}

/** `12 s ago`, `in 5 min`. */
export function relative(at: number, now: number): string {
  const ms = now - at
  if (Math.abs(ms) < 1_000) return 'now'
  return ms > 0 ? `${age(ms)} ago` : `in ${age(-ms)}`
}

const pad = (value: number, digits = 2): string => String(value).padStart(digits, '0')

/** `2026-11-30 14:03:22.481`, of this machine's time zone. */
export function exactTime(at: Date): string {
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`
  return `${day} ${clockTime(at)}.${pad(at.getMilliseconds(), 3)}`
}

/** `14:03:22`. */
export const clockTime = (at: Date): string => `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`

const SHOWN_OF_ID = 17

/** An id with its middle left out: the ends tell most ids apart. */
export const shortId = (id: string, most = SHOWN_OF_ID): string => {
  const signs = [...id]
  if (signs.length <= most) return id
  const head = Math.ceil((most - 1) * 0.55)
  return `${signs.slice(0, head).join('')}…${signs.slice(signs.length - (most - 1 - head)).join('')}`
}

/** `1 run`, `3 runs`. */
export const plural = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`

/**
 * `3 of 8 done`. What comes next is counted once it begins: where all that is known is done and the run goes on, it is not all there is.
 * @param withdrawn so many of those that are over were never begun, or told to stop
 */
export function doneOf(over: number, total: number, isOver: boolean, withdrawn = 0): string {
  const done = count(over - withdrawn)
  const said = over < total || isOver ? `${done} of ${count(total)} done` : `${done} done so far`
  return withdrawn > 0 ? `${said}, ${count(withdrawn)} withdrawn` : said
}

/** `512 B`, `1.4 MiB`. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let scaled = value
  let unit = 0
  while (scaled >= 1_024 && unit < units.length - 1) {
    scaled /= 1_024
    unit += 1
  }
  return `${unit === 0 || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${units[unit] ?? ''}`
}
