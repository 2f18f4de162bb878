/** Which events of the stream concern what. */
import type { LiveEvent } from './live.js'

export const isOfRuns = ({ type }: LiveEvent): boolean => type.startsWith('run')
export const isOfQueues = ({ type }: LiveEvent): boolean => type.startsWith('queue')
export const isOfWorkers = ({ type }: LiveEvent): boolean => type.startsWith('worker') || type.startsWith('leader')
