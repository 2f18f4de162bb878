/** What both uses of BullMQ share. */

/** Jobs that a worker has under way at once: one was slower, and between 16 and 200 no difference stood out. */
export const CONCURRENCY = 64
