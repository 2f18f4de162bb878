/**
 * Opens a run that this process drives, in one call with its first group. The driver may begin before: whichever comes first, its first step
 * or the end of this turn of the event loop, sends the opening; any other step waits for the answer.
 */
import type { FirstGroup, OpenAnswer, StepAnswer, StepRequest, Token } from '../backend/backend.js'
import type { Opening } from '../engine/execution.js'

/** One a run. */
export class RunOpening implements Opening {
  readonly #send: (first: FirstGroup | undefined) => Promise<OpenAnswer>
  #listener: ((token: Token) => void) | undefined
  #answer: Promise<OpenAnswer> | undefined

  /** @param send called once */
  constructor(send: (first: FirstGroup | undefined) => Promise<OpenAnswer>) {
    this.#send = send
  }

  onToken(listener: (token: Token) => void): void {
    this.#listener = listener
  }

  async step({ group, save, retire, rest }: Omit<StepRequest, 'holder' | 'runId'>): Promise<StepAnswer | undefined> {
    const isAlone = save === undefined && retire === undefined && rest === undefined
    const goesAlong = this.#answer === undefined && group?.from === 0 && group.refused === undefined && isAlone
    const answer = await this.#open(goesAlong ? group : undefined).catch(() => undefined) // the client that opens the run sees why
    if (answer?.status !== 'ok') return { status: 'fenced' }
    return goesAlong ? answer.first : undefined
  }

  async isOpened(): Promise<boolean> {
    const answer = await this.#open(undefined).catch(() => undefined) // as above
    return answer?.status === 'ok'
  }

  /** The store's answer. What a driver does in this turn still goes with the opening. */
  async answer(): Promise<OpenAnswer> {
    await endOfTurn()
    return this.#open(undefined)
  }

  #open(group: FirstGroup | undefined): Promise<OpenAnswer> {
    this.#answer ??= this.#send(group === undefined ? undefined : { spec: group.spec, inputs: group.inputs }).then(
      (answer) => {
        if (answer.status === 'ok' && answer.token !== undefined) this.#listener?.(answer.token)
        return answer
      },
    )
    return this.#answer
  }
}

/** After all microtasks, before any I/O. */
const endOfTurn = (): Promise<void> =>
  new Promise((resolve) => {
    void Promise.resolve().then(() => process.nextTick(resolve))
  })
