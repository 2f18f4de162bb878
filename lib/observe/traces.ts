/**
 * Spans for OpenTelemetry: run → group → branch, across processes, and the steps of a run or branch. Only its API is used, and only where the
 * application has registered an SDK before this process connected: then the API is there and loaded. Without one nothing is loaded or made.
 */
import type * as OpenTelemetry from '@opentelemetry/api'
import type { Attributes, Context, Span as ApiSpan, Tracer as ApiTracer } from '@opentelemetry/api'
import type { Span, SpanFacts, SpanName, Tracer } from '../events.js'

type Api = typeof OpenTelemetry

/** Under which every copy of the API, of its first major version, keeps what is registered. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/** The tracer of the application; undefined where it has none. */
export async function findTracer(): Promise<Tracer | undefined> {
  const registered = (globalThis as { readonly [REGISTERED]?: { readonly trace?: unknown } })[REGISTERED]
  if (registered?.trace === undefined) return undefined
  try {
    return new ApiTracing(await import('@opentelemetry/api'))
  } catch {
    return undefined // it is an optional peer
  }
}

/** `00-<trace>-<span>-<flags>`, as W3C Trace Context has it. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

class ApiTracing implements Tracer {
  readonly #api: Api
  readonly #tracer: ApiTracer

  constructor(api: Api) {
    this.#api = api
    this.#tracer = api.trace.getTracer('graflow')
  }

  start(name: SpanName, facts: SpanFacts, parent?: Span | string): Span | undefined {
    const { SpanKind } = this.#api
    const kinds = {
      run: SpanKind.INTERNAL,
      submit: SpanKind.PRODUCER,
      group: SpanKind.PRODUCER,
      branch: SpanKind.CONSUMER,
      step: SpanKind.INTERNAL,
    }
    const label = facts.task ?? facts.name ?? facts.workflow
    const options = { kind: kinds[name], attributes: attributesOf(facts) }
    const span = this.#tracer.startSpan(
      label === undefined ? name : `${name} ${label}`,
      options,
      this.#contextOf(parent),
    )
    if (span.isRecording()) return new ApiTraceSpan(this.#api, span)
    span.end() // not sampled: what would stand below it is not either
    return undefined
  }

  /** Of another process, of this one, or whatever is current where there is none. */
  #contextOf(parent: Span | string | undefined): Context {
    const { context, trace, ROOT_CONTEXT } = this.#api
    if (parent instanceof ApiTraceSpan) return trace.setSpan(ROOT_CONTEXT, parent.span)
    const [, traceId, spanId, flags] = (typeof parent === 'string' ? TRACEPARENT.exec(parent) : null) ?? []
    if (traceId === undefined || spanId === undefined || flags === undefined) return context.active()
    const remote = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
    return trace.setSpanContext(ROOT_CONTEXT, remote)
  }
}

class ApiTraceSpan implements Span {
  readonly span: ApiSpan
  readonly #api: Api
  #hasEnded = false

  constructor(api: Api, span: ApiSpan) {
    this.#api = api
    this.span = span
  }

  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.span.spanContext()
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
  }

  run<T>(fn: () => T): T {
    const { context, trace } = this.#api
    return context.with(trace.setSpan(context.active(), this.span), fn)
  }

  set(facts: SpanFacts): void {
    if (!this.#hasEnded) this.span.setAttributes(attributesOf(facts))
  }

  fail(error: Error): void {
    if (this.#hasEnded) return
    const code = this.#api.SpanStatusCode.ERROR
    try {
      this.span.recordException(error)
      this.span.setStatus({ code, message: error.message })
    } catch {
      this.span.setStatus({ code }) // what handlers throw may throw again when it is looked at
    }
  }

  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.span.end()
  }
}

/** What the facts of a span are called outside; docs/traces.md is compared with it by a test. */
export const ATTRIBUTES: Readonly<Record<keyof SpanFacts, string>> = Object.freeze({
  runId: 'graflow.run.id',
  workflow: 'graflow.workflow',
  path: 'graflow.path',
  name: 'graflow.group.name',
  width: 'graflow.group.width',
  failed: 'graflow.group.failed',
  withdrawn: 'graflow.group.withdrawn',
  task: 'graflow.task',
  attempt: 'graflow.attempt',
  losses: 'graflow.losses',
  worker: 'graflow.worker.id',
  outcome: 'graflow.outcome',
  retryInMs: 'graflow.retry_in_ms',
  queue: 'messaging.destination.name',
})

function attributesOf(facts: SpanFacts): Attributes {
  const attributes: Attributes = { 'messaging.system.name': 'graflow' }
  for (const [fact, value] of Object.entries(facts) as [keyof SpanFacts, string | number | undefined][])
    if (value !== undefined) attributes[ATTRIBUTES[fact]] = value
  return attributes
}
