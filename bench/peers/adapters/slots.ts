/** What all systems with slots share. */

/** Branches that a worker has under way at once: for BullMQ one was slower, and between 16 and 200 no difference stood out. */
export const CONCURRENCY = 64
