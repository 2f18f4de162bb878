/** What is saved about time that is over: of a wait that fails by it, and of a deadline around waits. Hides how both are told from other outputs. */
import { WAIT_ANSWERED_BY } from '../backend/backend.js'
import { waitMark } from '../backend/kept.js'

/** What a wait for a signal has in place of an `onTimeout`: no encoded value begins so. A wait for time has nothing. */
export const TIMED_OUT: Uint8Array = Uint8Array.of(0xc1)

/** Whether a wait for a signal was saved as one whose time was over, without a value for that. */
export const isTimedOut = (value: Uint8Array): boolean =>
  value[0] === WAIT_ANSWERED_BY.due && value.length === 2 && value[1] === TIMED_OUT[0]

/** Below the path of a workflow. No segment of a path is called so. */
const DEADLINE = '/!t'

/** Where the end of a workflow's time is saved. @param errors of the handler that brought the workflow, before this start */
export const deadlineMark = (path: string, errors = 0): string => `${path}${DEADLINE}${errors === 0 ? '' : errors}`

/** Where it is saved that the workflow with this mark was over in time. */
export const overMark = (mark: string): string => `${mark}!`

/** Whether a saved output says that time is over, or when: the next try begins its time anew. */
export const isTimeMark = (path: string, value: Uint8Array): boolean =>
  /\/!t\d*!?$/u.test(path) || (path.endsWith(waitMark('')) && isTimedOut(value))
