/** The Redis backend answers the contract's questions about runs, groups and branches. */
import { openRedisHarness } from './redis-harness.js'
import { describeBackend } from './suite.js'

describeBackend('Redis', openRedisHarness, ['work'])
