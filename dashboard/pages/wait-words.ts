/** Why something stands still, as a sentence. */
import { plural } from '../format.js'
import type { Wait } from '../wire.js'

const list = (names: readonly string[] | undefined): string =>
  names === undefined || names.length === 0 ? '' : names.join(', ')

export function waitWords({ why, details, task }: Wait): string {
  const { queue, workers, tasks, requires, worker, limit, running, attempt, error, signal, index, dueAt, graph } =
    details
  switch (why) {
    case 'worker':
      return `No live worker serves the queue ${queue ?? ''}`
    case 'task':
      return `No worker${queue === undefined ? '' : ` of ${queue}`} knows ${list(tasks) || task || 'its task'}`
    case 'capability':
      return `No live worker has ${list(requires)}`
    case 'driver':
      return tasks !== undefined && tasks.length > 0 ? `Nobody can drive it: needs ${list(tasks)}` : 'Nobody drives it'
    case 'affinity':
      return `Kept for the worker ${worker ?? ''}`
    case 'limit':
      return `${running ?? limit ?? ''} of ${limit ?? ''} of its group run already`
    case 'paused':
      return queue === undefined ? 'The run is paused' : `The queue ${queue} is paused`
    case 'delay':
      return `Starts again after an error${attempt === undefined ? '' : ` in attempt ${attempt}`}${error === undefined ? '' : `: ${error.message.split('\n', 1)[0] ?? ''}`}`
    case 'busy':
      return workers === undefined ? 'All slots are taken' : `All slots of ${plural(workers, 'worker')} are taken`
    case 'signal':
      return `Waits for ${signal ?? 'a signal'}${index === undefined ? '' : ` of item ${index}`}`
    case 'timer':
      return dueAt === undefined ? 'Waits for its time' : `Sleeps until ${new Date(dueAt).toLocaleString()}`
    case 'graph':
      return `Its graph ${graph?.slice(0, 12) ?? ''} is not kept any more`
  }
}

/** The reason in one or two words. */
export const WHY: Readonly<Record<Wait['why'], string>> = {
  worker: 'no worker',
  task: 'unknown task',
  capability: 'no capability',
  driver: 'no driver',
  affinity: 'affinity',
  limit: 'limit',
  paused: 'paused',
  delay: 'delay',
  busy: 'busy',
  signal: 'signal',
  timer: 'timer',
  graph: 'no graph',
}

/** A reason in words, of what an address says, which may be anything. */
export const whyWord = (why: string): string => (why in WHY ? WHY[why as Wait['why']] : why)

/** Reasons that do not go away by themselves. */
export const isStuck = ({ why }: Wait): boolean =>
  why === 'worker' || why === 'task' || why === 'capability' || why === 'driver' || why === 'graph'
/** A person is asked. */
export const isAsked = ({ why, prompt }: Wait): boolean => why === 'signal' && prompt !== undefined
