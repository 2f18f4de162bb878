/** The Redis backend answers the contract's questions about sessions, sweeps, hints and limits. */
import { openRedisHarness } from './redis-harness.js'
import { describeBackend } from './suite.js'

describeBackend('Redis', openRedisHarness, ['time'])
