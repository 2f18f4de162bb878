/** What a step that was dispatched by itself reports after a goto, so that the process that dispatched it leaves out what follows. */
export class Went {
  /** @param value what the goto's target gave */
  constructor(readonly value: unknown) {}
}
