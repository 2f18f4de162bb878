/** Counts the unfinished runs of builds, by the list that scripts keep of pinned runs. */
import type { PinnedRuns } from '../../backend.js'
import { fieldsOf, listOf, textOf } from '../replies.js'
import type { Store } from '../store.js'

/** Runs in one reply. */
const PAGE = 1_000
/**
 * Of a build with so many runs at most, each is looked at: a release before this one ends runs and leaves them in the list. What people ask is
 * whether none is left; of more runs it does not matter.
 */
const MOST_LOOKED_AT = 256

/** A run that comes or ends meanwhile may count or not. */
export async function pinned(store: Store): Promise<readonly PinnedRuns[]> {
  const found: { build: string; runs: number }[] = []
  for (const [build, ids] of await listedIn(store)) {
    const runs = ids.length > MOST_LOOKED_AT ? ids.length : await unfinishedOf(store, ids)
    if (runs > 0) found.push({ build, runs })
  }
  return found
}

async function listedIn({ shard, keys }: Store): Promise<ReadonlyMap<string, readonly string[]>> {
  const buildOf = new Map<string, string>() // a scan may meet a run twice
  let cursor = '0'
  do {
    const page = listOf(await shard.command('HSCAN', keys.pins, cursor, 'COUNT', PAGE))
    cursor = textOf(page[0])
    for (const [runId, build] of fieldsOf(page[1])) buildOf.set(runId, build.toString())
  } while (cursor !== '0')
  const byBuild = new Map<string, string[]>()
  for (const [runId, build] of buildOf) {
    const ids = byBuild.get(build)
    if (ids === undefined) byBuild.set(build, [runId])
    else ids.push(runId)
  }
  return byBuild
}

async function unfinishedOf({ shard, keys }: Store, ids: readonly string[]): Promise<number> {
  const facts = await Promise.all(ids.map((id) => shard.command('HMGET', keys.run(id), 'created', 'end')))
  return facts.map(listOf).filter(([created, end]) => created !== null && end === null).length
}
