/** The name of every key and channel, and nothing else knows one. docs/redis.md has the same table; a test compares the two. */

/** Names of one shard. `gid` and `runId` are as in the interface, `lane` is a digest of what it asks. */
export type Keys = ReturnType<typeof keysOf>

/**
 * The names below the hash tag `{<prefix>:<shard>}`: the group `r1/0` of the prefix `app` is `{app:0}:b:r1/0`.
 * @param db channels of one Redis are the same in all its databases: those of another than 0 have its number in their names
 */
export function keysOf(tag: string, db = 0) {
  const activities = db === 0 ? `${tag}:act:` : `${tag}:act@${db}:`
  return Object.freeze({
    main: `${tag}:m`,
    lanes: `${tag}:l`,
    lane: (lane: string) => `${tag}:q:${lane}`,
    delayed: `${tag}:d`,
    group: (gid: string) => `${tag}:b:${gid}`,
    table: (gid: string) => `${tag}:b:${gid}:d`,
    segment: (gid: string, k: number | string) => `${tag}:b:${gid}:i${k}`,
    requeued: (gid: string) => `${tag}:b:${gid}:r`,
    children: (gid: string) => `${tag}:b:${gid}:k`,
    outcomes: (gid: string) => `${tag}:b:${gid}:o`,
    /** Values of outcomes that stand apart from these. */
    values: (gid: string, n: number | string) => `${tag}:b:${gid}:o${n}`,
    upload: (name: string) => `${tag}:up:${name}`,
    sessions: `${tag}:w`,
    session: (session: string) => `${tag}:wi:${session}`,
    bases: `${tag}:wb`,
    lead: `${tag}:lead`,
    nodes: `${tag}:node`,
    about: `${tag}:about`,
    waiting: `${tag}:wait`,
    owned: (session: string) => `${tag}:o:${session}`,
    broken: `${tag}:bad`,
    lost: `${tag}:lost`,
    inbox: (session: string) => `${tag}:in:${session}`,
    run: (runId: string) => `${tag}:r:${runId}`,
    outputs: (runId: string) => `${tag}:r:${runId}:v`,
    /** The value that a run ended with, where it is large. */
    result: (runId: string) => `${tag}:r:${runId}:e`,
    channels: (runId: string) => `${tag}:r:${runId}:ch`,
    channelTimes: (runId: string) => `${tag}:r:${runId}:cx`,
    channelCalls: (runId: string) => `${tag}:r:${runId}:cn`,
    channelLocks: (runId: string) => `${tag}:r:${runId}:cl`,
    channelList: (runId: string, key: string) => `${tag}:r:${runId}:cl:${key}`,
    /** The root group of a parked run. */
    packed: (runId: string) => `${tag}:p:${runId}`,
    waits: (runId: string) => `${tag}:u:${runId}`,
    runGroups: (runId: string) => `${tag}:r:${runId}:k`,
    idempotency: (key: string) => `${tag}:k:${key}`,
    runs: `${tag}:runs`,
    /** Runs by a word: `w:<workflow>`, `t:<tag>` or `b:<build>`. */
    runsBy: (word: string) => `${tag}:by:${word}`,
    pins: `${tag}:pins`,
    workflows: `${tag}:wf`,
    documents: (collection: string) => `${tag}:doc:${collection}`,
    due: `${tag}:due`,
    purge: `${tag}:purge`,
    wakes: `${tag}:wake`,
    todo: `${tag}:todo`,
    graph: (sha256: string) => `${tag}:g:${sha256}`,
    events: `${tag}:ev`,
    runEvents: (runId: string) => `${tag}:ev:${runId}`,
    /** What was seen last of the run by those who watch it. */
    runSeen: (runId: string) => `${tag}:es:${runId}`,
    /** Runs by when what was seen of them is kept no longer; and how many bytes of it each has. */
    runLogs: `${tag}:evx`,
    runLogSizes: `${tag}:evb`,
    deadLetters: `${tag}:dead`,
    quarantine: `${tag}:quar`,
    activity: (runId: string) => `${activities}${runId}`,
    alive: (session: string) => `${tag}:alive:${session}`,
  })
}

/** `{<prefix>:<shard>}`: what makes Redis Cluster keep all of a shard in one place. */
export const tagOf = (keyPrefix: string, shard = 0): string => `{${keyPrefix}:${shard}}`
