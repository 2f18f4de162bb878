/** Flows written as text, for routes: the client compiles those of pipeline groups by the same rules. */
export { flowOfText } from '../admin/flow-text.js'
