/** Preloaded by a worker whose clock is wrong: by CLOCK_SHIFT_MS, and with CLOCK_STEPS=1 by another amount every time somebody looks. */
const shiftMs = Number(process.env.CLOCK_SHIFT_MS)
const steps = process.env.CLOCK_STEPS === '1'
const RealDate = Date
const realNow = Date.now.bind(Date)

globalThis.Date = class Date extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(Date.now())
    else super(...args)
  }

  static now() {
    return Math.round(realNow() + (steps ? shiftMs * (2 * Math.random() - 1) : shiftMs))
  }
}
