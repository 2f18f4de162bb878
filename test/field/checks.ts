/** What the scripts of this folder share: checks that print what they saw, and an end that leaves nothing behind. */
import { endChildren } from '../support/processes.js'

let failures = 0

/** Prints what was seen; one that is not so makes the script fail. */
export function check(what: string, isSo: boolean, seen: unknown): void {
  if (!isSo) failures += 1
  console.log(`${isSo ? 'ok' : 'FAILED'}: ${what} (${typeof seen === 'string' ? seen : JSON.stringify(seen)})`)
}

/** Runs the script; whatever happens, what it started is stopped in reverse order. */
export async function play(script: (onEnd: (stop: () => Promise<unknown>) => void) => Promise<void>): Promise<void> {
  const stops: (() => Promise<unknown>)[] = []
  try {
    await script((stop) => stops.push(stop))
  } catch (error) {
    failures += 1
    console.error(error)
  }
  await endChildren()
  for (const stop of stops.reverse()) await stop()
  process.exitCode = failures === 0 ? 0 : 1
}

/** The value of a sample of the text format; undefined where there is none. */
export function sampleOf(text: string, name: string, labels: Readonly<Record<string, string>>): number | undefined {
  for (const line of text.split('\n')) {
    const isIt =
      line.startsWith(`${name}{`) &&
      Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`))
    if (isIt) return Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return undefined
}
