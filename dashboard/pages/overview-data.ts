/** What the overview is made of: the last hour, and what needs a person. */
import { age, bytes, count, plural, shortId } from '../format.js'
import type { IconName } from '../parts/icons.js'
import { href, runHref } from '../router.js'
import type { DeadLetter, PageOf, Queue, Run, Wait, Worker } from '../wire.js'
import { isAsked, isStuck, waitWords } from './wait-words.js'
import { isLive } from './worker-words.js'

/** What `GET /api/v1/overview` answers. Each list has a number a minute, the newest last; null where nothing is known of it. */
export interface Overview {
  readonly now: string
  readonly minutes: {
    readonly started: readonly (number | null)[]
    readonly completed: readonly (number | null)[]
    readonly failed: readonly (number | null)[]
    readonly cancelled: readonly (number | null)[]
    readonly oldestMs: readonly (number | null)[]
  }
  readonly memory: { readonly usedBytes: number; readonly limitBytes?: number }
}

export interface Need {
  readonly key: string
  readonly icon: IconName
  /** How loud it is. */
  readonly mark: 'failed' | 'retrying' | 'paused'
  readonly title: string
  /** What a person is asked, where the title does not say all of it. */
  readonly question?: string
  readonly text: string
  /** The text with its ids whole; the text itself unless told. */
  readonly whole?: string
  readonly since?: string
  readonly to: string
}

export interface Sources {
  /** Where the process of the server does the work, no worker is missed. */
  readonly isEmbedded: boolean
  readonly overview?: Overview
  readonly waits?: PageOf<Wait>
  readonly dead?: PageOf<DeadLetter>
  readonly workers?: PageOf<Worker>
  readonly queues?: PageOf<Queue>
}

const MOST_OF_A_KIND = 5
const HOUR_MS = 3_600_000
const MEMORY_SHARE = 0.8

/** Questions to people, each by itself. */
function questions(waits: readonly Wait[]): readonly Need[] {
  return waits.filter(isAsked).map((wait) => {
    const { runId, workflow, path, label, prompt, details, since, count: many } = wait
    // the end of an id tells runs of one moment apart
    const said = (id: string): string =>
      `${label === undefined ? '' : `${label}: `}${many > 1 ? `asked ${count(many)} times` : 'asked'} by ${workflow === undefined ? '' : `${workflow}, `}run ${id}`
    return {
      key: `ask ${runId} ${path}`,
      icon: 'person',
      mark: 'paused',
      title: prompt?.title ?? details.signal ?? 'A question',
      ...(prompt?.text !== undefined && { question: prompt.text }),
      text: said(shortId(runId)),
      whole: said(runId),
      since,
      to: runHref(runId),
    }
  })
}

/** What nobody can serve, by the reason: a thousand runs that lack one worker are one thing to do. */
function stuck(waits: readonly Wait[]): readonly Need[] {
  const groups = new Map<
    string,
    { readonly first: Wait; branches: number; readonly runs: Set<string>; since: string }
  >()
  for (const wait of waits.filter(isStuck)) {
    const words = waitWords(wait)
    const group = groups.get(words) ?? { first: wait, branches: 0, runs: new Set(), since: wait.since }
    group.branches += wait.count
    group.runs.add(wait.runId)
    if (wait.since < group.since) group.since = wait.since
    groups.set(words, group)
  }
  return [...groups].map(([words, { first, runs, since }]) => ({
    key: `stuck ${words}`,
    icon: 'warning',
    mark: 'failed',
    title: words,
    text: runs.size === 1 ? `Run ${first.runId} stands still` : `${plural(runs.size, 'run')} stand still`,
    since,
    to: runs.size === 1 ? runHref(first.runId) : href(['runs'], { why: first.why }),
  }))
}

/** Nothing can go on: what a page of workers says where nobody is there. */
function noWorker(workers: readonly Worker[]): readonly Need[] {
  if (workers.some(isLive)) return []
  return [
    {
      key: 'no worker',
      icon: 'workers',
      mark: 'failed',
      title: 'No worker is there',
      text: 'Nothing goes on until one starts: npx graflow-worker --tasks ./tasks.mjs',
      to: href(['workers']),
    },
  ]
}

function lostWorkers(workers: readonly Worker[], now: number): readonly Need[] {
  const lost = workers.filter(
    ({ state, seenAt }) => (state === 'stale' || state === 'dead') && now - new Date(seenAt).getTime() < HOUR_MS,
  )
  const [first] = lost
  if (first === undefined) return []
  const newest = lost.reduce((latest, { seenAt }) => (seenAt > latest ? seenAt : latest), first.seenAt)
  return [
    {
      key: 'lost workers',
      icon: 'workers',
      mark: 'failed',
      title: lost.length === 1 ? `Worker ${first.id} is lost` : `${plural(lost.length, 'worker')} lost within the hour`,
      text:
        lost.length === 1
          ? `On ${first.hostname}; its work went to others`
          : lost
              .slice(0, 4)
              .map(({ id }) => id)
              .join(', '),
      since: newest,
      to: href(['workers']),
    },
  ]
}

function deadLetters({ items, cursor }: PageOf<DeadLetter>, now: number): readonly Need[] {
  const recent = items.filter(({ at }) => now - new Date(at).getTime() < HOUR_MS)
  const [newest] = recent
  if (newest === undefined) return []
  const tasks = [...new Set(recent.map(({ task }) => task ?? 'a task'))]
  const isMore = cursor !== undefined && recent.length === items.length
  return [
    {
      key: 'dead letters',
      icon: 'dead',
      mark: 'retrying',
      title: `${count(recent.length)}${isMore ? '+' : ''} dead ${recent.length === 1 ? 'letter' : 'letters'} within the hour`,
      text: `Of ${tasks.slice(0, 3).join(', ')}${tasks.length > 3 ? ` and ${tasks.length - 3} more` : ''}`,
      since: newest.at,
      to: href(['dead-letters']),
    },
  ]
}

function memory({ memory: { usedBytes, limitBytes } }: Overview): readonly Need[] {
  if (limitBytes === undefined || limitBytes === 0 || usedBytes / limitBytes < MEMORY_SHARE) return []
  return [
    {
      key: 'memory',
      icon: 'queues',
      mark: 'failed',
      title: `Redis uses ${Math.round((usedBytes / limitBytes) * 100)} % of its memory`,
      text: `${bytes(usedBytes)} of ${bytes(limitBytes)}; past it new work is refused`,
      to: href(['cluster']),
    },
  ]
}

function paused(queues: readonly Queue[]): readonly Need[] {
  return queues
    .filter(({ isPaused, ready }) => isPaused && ready > 0)
    .map(({ name, ready, oldestMs }) => ({
      key: `paused ${name}`,
      icon: 'pause',
      mark: 'paused',
      title: `The queue ${name} is paused`,
      text: `${ready === 1 ? '1 branch waits' : `${count(ready)} branches wait`}${oldestMs === undefined ? '' : `, the oldest for ${age(oldestMs)}`}`,
      to: href(['queues'], { name }),
    }))
}

const some = (needs: readonly Need[], more: string, to: string): readonly Need[] =>
  needs.length <= MOST_OF_A_KIND
    ? needs
    : [
        ...needs.slice(0, MOST_OF_A_KIND - 1),
        {
          key: `more ${more}`,
          icon: 'right',
          mark: needs[0]?.mark ?? 'paused',
          title: `${needs.length - MOST_OF_A_KIND + 1} more ${more}`,
          text: 'Show them all',
          to,
        },
      ]

/** What a person should do something about, the most pressing first. */
export function needsOf({ isEmbedded, overview, waits, dead, workers, queues }: Sources, now: number): readonly Need[] {
  return [
    ...some(questions(waits?.items ?? []), 'questions', href(['waits'], { why: 'signal' })),
    ...(workers === undefined || isEmbedded ? [] : noWorker(workers.items)),
    ...some(stuck(waits?.items ?? []), 'things stand still', href(['waits'])),
    ...(overview === undefined ? [] : memory(overview)),
    ...lostWorkers(workers?.items ?? [], now),
    ...(dead === undefined ? [] : deadLetters(dead, now)),
    ...some(paused(queues?.items ?? []), 'paused queues', href(['queues'])),
  ]
}

/** Nothing was ever started here, and nobody is there to work. */
export const isFresh = (runs: PageOf<Run> | undefined, workers: PageOf<Worker> | undefined): boolean =>
  runs !== undefined && runs.items.length === 0 && workers !== undefined && workers.items.length === 0
