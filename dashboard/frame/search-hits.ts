/**
 * What a search finds: pages, workflows, workers and queues by their names; the newest runs by parts of their ids and tags, and any run by its id; branches
 * that wait or have failed for good by their paths and labels, and any place of a run by its id with a path, such as `order-7/1/0` or `order-7 at 1/0`.
 */
import { useEffect, useState } from 'preact/hooks'
import { at, get } from '../api.js'
import type { IconName } from '../parts/icons.js'
import { href, runHref, useRoute } from '../router.js'
import type { DeadLetter, PageOf, Queue, Run, RunStatus, Wait, Worker } from '../wire.js'
import { PAGES } from './rail.js'

export interface Found {
  readonly icon: IconName
  readonly text: string
  readonly kind: string
  readonly to: string
  /** What else it is found by. */
  readonly words?: string
}

const MOST = 12
const LIMIT = 200
/** Between the last key and the question whether there is such a run. */
const REST_MS = 150
/** `1`, `1/0`, `0/eu/~1`. */
const PATH = /^\d+(?:\/[^\s/]+)*$/
const RUN = /^[\w.:@+=-]{3,}$/
const RUN_AND_PATH = /^([\w.:@+=-]+)(?:\s+at\s+|[\s#/]+)(\d+(?:\/[^\s/]+)*)$/

interface Named {
  readonly name: string
}

const placeHref = (id: string, path: string): string => href(['runs', id], { at: path })
const ofRun = ({ id, workflow, state, tags }: Pick<Run, 'id' | 'workflow' | 'state' | 'tags'>): Found => ({
  icon: 'runs',
  text: id,
  kind: `${workflow ?? 'run'}, ${state}`,
  to: runHref(id),
  words: tags.join(' '),
})
const ofWait = ({ runId, workflow, path, label, prompt, task }: Wait): readonly Found[] =>
  path === ''
    ? []
    : [
        {
          icon: 'waits',
          text: `${path} of ${runId}`,
          kind: prompt === undefined ? 'waits' : 'asks',
          to: placeHref(runId, path),
          words: [workflow, label, prompt?.title, task].join(' '),
        },
      ]
const ofLetter = ({ runId, path, label, task }: DeadLetter): Found => ({
  icon: 'dead',
  text: `${path} of ${runId}`,
  kind: 'dead letter',
  to: placeHref(runId, path),
  words: [label, task].join(' '),
})

/** What is found first, whichever answer comes first. */
const ORDER = ['/workflows', '/cluster/workers', '/queues', '/runs', '/waits', '/dead-letters']

/** What there is; what cannot be asked is left out. */
export function useKnown(): readonly Found[] {
  const [found, setFound] = useState<Readonly<Record<string, readonly Found[]>>>({})
  useEffect(() => {
    const controller = new AbortController()
    const add = async <T>(path: string, of: (one: T) => Found | readonly Found[]): Promise<void> => {
      try {
        const { items } = await get<PageOf<T>>(path, { limit: LIMIT }, controller.signal)
        setFound((before) => ({ ...before, [path]: items.flatMap(of) }))
      } catch {
        // the rest is found without it
      }
    }
    void add<Named>('/workflows', ({ name }) => ({
      ...{ icon: 'runs', text: name, kind: 'runs of the workflow', to: href(['runs'], { workflow: name }) },
    }))
    void add<Worker>('/cluster/workers', ({ id }) => ({
      ...{ icon: 'workers', text: id, kind: 'worker', to: href(['workers'], { id }) },
    }))
    void add<Queue>('/queues', ({ name }) => ({
      ...{ icon: 'queues', text: name, kind: 'queue', to: href(['queues'], { name }) },
    }))
    void add<Run>('/runs', ofRun)
    void add<Wait>('/waits', ofWait)
    void add<DeadLetter>('/dead-letters', ofLetter)
    return () => controller.abort()
  }, [])
  return ORDER.flatMap((path) => found[path] ?? [])
}

interface Place {
  readonly id: string
  readonly path?: string
}

/** What a text may name: a run, or a place of one. */
function placeIn(text: string): Place | undefined {
  const [, id, path] = RUN_AND_PATH.exec(text) ?? []
  if (id !== undefined && path !== undefined) return { id, path }
  return RUN.test(text) ? { id: text } : undefined
}

async function lookUp({ id, path }: Place, signal: AbortSignal): Promise<readonly Found[]> {
  try {
    const run = ofRun(await get<RunStatus>(at`/runs/${id}`, undefined, signal))
    if (path === undefined) return [run]
    return [{ icon: 'right', text: `${path} of ${id}`, kind: `place in ${run.kind}`, to: placeHref(id, path) }, run]
  } catch {
    return [] // there is no such run
  }
}

/** Runs, and places of runs, that a text names: they are asked for, so they are there. */
export function useExact(typed: string): readonly Found[] {
  const text = typed.trim()
  const { parts } = useRoute()
  const [found, setFound] = useState<{ readonly text: string; readonly hits: readonly Found[] }>()
  useEffect(() => {
    const controller = new AbortController()
    const place = placeIn(text)
    if (place === undefined) return
    const timer = setTimeout(() => {
      void lookUp(place, controller.signal).then((hits) => {
        if (!controller.signal.aborted) setFound({ text, hits })
      })
    }, REST_MS)
    return () => {
      clearTimeout(timer)
      controller.abort()
    }
  }, [text])
  const [page, run] = parts
  const here: readonly Found[] =
    page === 'runs' && run !== undefined && PATH.test(text)
      ? [{ icon: 'right', text, kind: 'place in this run', to: placeHref(run, text) }]
      : []
  return [...here, ...(found?.text === text ? found.hits : [])]
}

/** What a text finds of what is known. @param exact what it names, which stands first */
export function matches(typed: string, known: readonly Found[], exact: readonly Found[]): readonly Found[] {
  const pages = PAGES.map(
    ({ at, title, icon }): Found => ({ icon, text: title, kind: 'page', to: href(at === '' ? [] : [at]) }),
  )
  const start: Found = { icon: 'start', text: 'Start a run', kind: 'page', to: href(['start']) }
  const text = typed.trim()
  const word = text.toLowerCase()
  if (word === '') return [...pages, start]
  const hits = [...pages, start, ...known].filter((one) =>
    `${one.text} ${one.words ?? ''}`.toLowerCase().includes(word),
  )
  const all: readonly Found[] = [
    ...exact,
    ...hits.slice(0, MOST),
    { icon: 'right', text, kind: 'open the run of this id', to: runHref(text) },
    { icon: 'runs', text, kind: 'runs with this tag', to: href(['runs'], { tag: text }) },
  ]
  return all.filter(({ to }, i) => all.findIndex((one) => one.to === to) === i)
}
