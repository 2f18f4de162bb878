/** What the exit code of a command says; docs/command.md is compared with it by a test. Errors of graflow have theirs in lib/errors.ts. */
export const EXIT_CODES = Object.freeze({
  done: { code: 0, says: 'Done. Of `doctor`: nothing keeps this Redis from being used.' },
  failed: {
    code: 1,
    says: 'The run failed or was cancelled, Redis cannot be reached or used, or `doctor` found an error.',
  },
  wrong: {
    code: 2,
    says: 'What was asked for is wrong: a command, flag, option, module or name. Nothing was started.',
  },
  internal: { code: 70, says: 'A fault of graflow itself: please report it.' },
  interrupted: {
    code: 130,
    says: 'Interrupted by SIGINT or SIGTERM before it was done. A run of `run` is cancelled; a submitted one goes on. What goes on until it is interrupted (`--watch`, `serve`, `exporter`, `top`, `dev`) is done then: 0.',
  },
})
