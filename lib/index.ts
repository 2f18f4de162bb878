/** The public names, one by one. */
export { GraflowError, NotRetryableError, type ErrorCode, type GraflowErrorOptions } from './errors.js'
