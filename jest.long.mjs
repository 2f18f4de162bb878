/** `npm run test:long`: bounded parts of the kill matrix and of the peers' benchmarks. CI runs them; `npm test` does not wait for them. */
import config from './jest.config.mjs'

export default { ...config, roots: ['<rootDir>/test/long'], testPathIgnorePatterns: [] }
