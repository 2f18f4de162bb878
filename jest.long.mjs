/** `npm run test:long`: bounded parts of the kill matrix, processes that are killed and frozen, lost keys and replies, the peers’ benchmarks, and what else takes ten seconds and more. CI runs them; `npm test` does not wait for them. */
import config from './jest.config.mjs'

export default {
  ...config,
  testTimeout: 60_000,
  roots: ['<rootDir>/test/long', '<rootDir>/test/faults'],
  testPathIgnorePatterns: [],
}
