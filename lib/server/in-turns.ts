/** Tells many readers of something without keeping the event loop from all else. */

/** Readers that are told in one turn of the event loop: what one of them costs is mostly the writing to its socket. */
const A_TURN = 50

/** Calls `tell` for each of those that there are now, some a turn. */
export async function inTurns<T>(all: Iterable<T>, tell: (one: T) => void): Promise<void> {
  let told = 0
  for (const one of [...all]) {
    if (told > 0 && told % A_TURN === 0) await new Promise<void>((resolve) => setImmediate(resolve))
    tell(one)
    told += 1
  }
}
