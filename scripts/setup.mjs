/**
 * Makes a checkout ready to run with nothing but Node.js and npm. Only the version check is imported statically: an old Node.js would
 * stumble over the rest before it could be told so.
 */
import './node-version.mjs'

import('./prepare.mjs')
