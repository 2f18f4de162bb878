/** Starts a run: of a workflow that is known, or of a flow as text; with a form where the workflow has a schema of its input, else with JSON. */
import type { JSX } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { at, call } from '../api.js'
import { isOfWorkers } from '../changes.js'
import { Button } from '../parts/buttons.js'
import { Empty, Show, Skeleton } from '../parts/feedback.js'
import type { Types } from '../parts/json-tree.js'
import { Box, Page } from '../parts/page.js'
import { beginningOf, type Issue, issuesOf, issuesOfProblem, type Schema } from '../parts/schema.js'
import { focusWrong, JsonArea, SchemaForm } from '../parts/schema-form.js'
import { toast } from '../parts/toasts.js'
import { go, href, runHref, setQuery, useRoute } from '../router.js'
import { asApiError, type Loaded, type Query, useQuery } from '../use-query.js'
import { me } from '../session.js'
import { useStore } from '../store.js'
import type { ApiError } from '../api.js'
import type { PageOf, RunStatus, Worker } from '../wire.js'
import { isLive, StartWorker } from './worker-words.js'

interface WorkflowLine {
  readonly name: string
}
interface Workflow extends WorkflowLine {
  readonly inputSchema?: Schema
}
interface Values {
  readonly value: unknown
  /** By JSON pointer: what JSON has no form for. */
  readonly types?: Types
  readonly truncated?: boolean
}

/** New for each form, so that a click twice starts one run. */
function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

export function StartPage(): JSX.Element {
  const { query } = useRoute()
  const from = query.get('from') ?? undefined
  const before = useQuery<RunStatus>(from === undefined ? undefined : at`/runs/${from}`, { everyMs: 0 })
  const input = useQuery<Values>(from === undefined ? undefined : at`/runs/${from}/values`, {
    query: { path: '', which: 'input' },
    everyMs: 0,
  })
  const workflows = useQuery<PageOf<WorkflowLine>>('/workflows', { query: { limit: 200 }, everyMs: 10_000 })
  const workers = useQuery<PageOf<Worker>>('/cluster/workers', {
    query: { limit: 200 },
    on: isOfWorkers,
    everyMs: 5_000,
  })
  const again = before.state.is === 'ready' ? before.state.value : undefined
  const isLoading = from !== undefined && (before.state.is === 'loading' || input.state.is === 'loading')
  return (
    <Page
      title={from === undefined ? 'Start a run' : 'Start again'}
      {...(from !== undefined && {
        note: (
          <>
            as run{' '}
            <a class="link" href={runHref(from)}>
              {from}
            </a>
          </>
        ),
      })}
    >
      <NoWorker query={workers} />
      {isLoading ? (
        <Skeleton rows={4} height={48} />
      ) : (
        <Show what="Workflows" query={workflows}>
          {({ items }) => (
            <Form
              key={from}
              workflows={items.map(({ name }) => name)}
              {...(again?.workflow !== undefined && { first: again.workflow })}
              tags={again?.tags ?? []}
              isAgain={from !== undefined}
              {...inputOf(input.state)}
              {...(from !== undefined && inputOf(input.state) === undefined && { lost: LOST })}
            />
          )}
        </Show>
      )}
    </Page>
  )
}

/** Said before one starts a run, which would wait. */
function NoWorker({ query: { state } }: { readonly query: Query<PageOf<Worker>> }): JSX.Element | null {
  const who = useStore(me)
  if (state.is !== 'ready' || state.value.items.some(isLive) || who?.store.kind !== 'redis') return null
  return (
    <div class="start">
      <Box title="No worker is there" note="what you start now waits until there is one">
        <StartWorker />
      </Box>
    </div>
  )
}

const LOST = 'The input of this run is not kept any more, or is too large to be shown: give it anew.'

/** What the run got, where all of it came, and can be sent again. */
function inputOf(state: Loaded<Values>): Pick<FormProps, 'input' | 'types'> | undefined {
  if (state.is !== 'ready' || state.value.truncated === true) return undefined
  const { value, types = {} } = state.value
  if (types[''] === 'undefined') return {}
  return Object.values(types).some((type) => type === 'Error' || type === 'omitted')
    ? undefined
    : { input: value, types }
}

interface FormProps {
  readonly workflows: readonly string[]
  readonly isAgain: boolean
  readonly first?: string
  readonly input?: unknown
  /** What JSON cannot say of it. */
  readonly types?: Types
  readonly tags: readonly string[]
  readonly lost?: string
}

function Form({ workflows, isAgain, first, input, types, tags, lost }: FormProps): JSX.Element {
  const { query } = useRoute()
  const [kind, setKind] = useState<'workflow' | 'flow'>(
    query.get('flow') !== null || ((workflows.length === 0 || isAgain) && first === undefined) ? 'flow' : 'workflow',
  )
  const name = query.get('workflow') ?? first ?? (workflows.length === 1 ? (workflows[0] ?? '') : '')
  const [flow, setFlow] = useState(query.get('flow') ?? '')
  const [value, setValue] = useState<Given>({ value: input, issues: [] })
  const [isTried, setTried] = useState(false)
  const [more, setMore] = useState({ id: '', tags: tags.join(', ') })
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<ApiError | undefined>(undefined)
  const key = useMemo(newKey, [kind, name, flow, JSON.stringify(value.value), more.id, more.tags])
  const isReady = (kind === 'workflow' ? name !== '' : flow.trim() !== '') && value.wrong === undefined
  const sent = typesLeft(types, value.value)
  const start = async (): Promise<void> => {
    setBusy(true)
    setFailure(undefined)
    try {
      const list = more.tags
        .split(',')
        .map((tag) => tag.trim())
        .filter((tag) => tag !== '')
      const { id } = await call<{ readonly id: string }>('/runs', {
        method: 'POST',
        headers: { 'idempotency-key': key },
        body: {
          ...(kind === 'workflow' ? { workflow: name } : { flow: flow.trim() }),
          ...(value.value !== undefined && { input: value.value }),
          ...(Object.keys(sent).length > 0 && { types: sent }),
          ...(more.id.trim() !== '' && { id: more.id.trim() }),
          ...(list.length > 0 && { tags: list }),
        },
      })
      toast({ kind: 'done', text: `Run ${id} is started` })
      go(runHref(id))
    } catch (error) {
      setFailure(asApiError(error))
    }
    setBusy(false)
  }
  return (
    <form
      class="start"
      onSubmit={(event) => {
        event.preventDefault()
        setTried(true)
        if (isReady && value.issues.length === 0) void start()
        else focusWrong(event.currentTarget)
      }}
      noValidate
    >
      <Box title="What">
        <div class="stack">
          <div class="toggles" role="group" aria-label="Kind">
            <button type="button" class="toggle" aria-pressed={kind === 'workflow'} onClick={() => setKind('workflow')}>
              Workflow
            </button>
            <button type="button" class="toggle" aria-pressed={kind === 'flow'} onClick={() => setKind('flow')}>
              Flow as text
            </button>
          </div>
          {kind === 'flow' ? (
            <div class="field">
              <label for="flow">Flow</label>
              <input
                id="flow"
                class="input mono"
                spellcheck={false}
                autoComplete="off"
                placeholder="ingest >> (a | b) >> store"
                value={flow}
                onInput={(event) => setFlow(event.currentTarget.value)}
              />
              {isAgain && first === undefined && (
                <span class="hint">This run was of a flow without a name: write it here, or choose a workflow.</span>
              )}
              <span class="hint">Names of tasks that live workers know; &gt;&gt; is then, | is in parallel.</span>
            </div>
          ) : workflows.length === 0 && first === undefined ? (
            <Empty title="No workflow is registered">
              <p>Workers register the workflows of their task modules as they start.</p>
            </Empty>
          ) : (
            <div class="field">
              <label for="workflow">Workflow</label>
              <select
                id="workflow"
                class="select"
                value={name}
                onChange={(event) => {
                  // what was filled in for another workflow is no input of this one; what one starts again with is
                  if (input === undefined) setValue({ value: undefined, issues: [] })
                  setQuery({ workflow: event.currentTarget.value }, 'replace')
                }}
              >
                <option value="">Choose one</option>
                {[...new Set([...(name === '' ? [] : [name]), ...workflows])].sort().map((one) => (
                  <option key={one} value={one}>
                    {one}
                  </option>
                ))}
              </select>
            </div>
          )}
        </div>
      </Box>
      <Box title="Input">
        {lost !== undefined && <p class="late">{lost}</p>}
        <Input
          key={`${kind} ${name}`}
          workflow={kind === 'workflow' && name !== '' ? name : undefined}
          value={value.value}
          issues={isTried && value.issues.length > 0 ? value.issues : issuesOfProblem(failure?.details ?? {})}
          onChange={setValue}
        />
        <Kept types={sent} />
      </Box>
      <Box title="More" note="may be left out">
        <div class="two">
          <div class="field">
            <label for="run-id">Id</label>
            <input
              id="run-id"
              class="input"
              spellcheck={false}
              autoComplete="off"
              value={more.id}
              onInput={(event) => setMore({ ...more, id: event.currentTarget.value })}
              placeholder="made for you"
            />
          </div>
          <div class="field">
            <label for="tags">Tags</label>
            <input
              id="tags"
              class="input"
              spellcheck={false}
              autoComplete="off"
              value={more.tags}
              onInput={(event) => setMore({ ...more, tags: event.currentTarget.value })}
              placeholder="one, another"
            />
          </div>
        </div>
      </Box>
      {failure !== undefined && (
        <div class="notice is-failed" role="alert">
          <p class="notice-title">It was not started</p>
          <div class="notice-text">
            <pre class="plain">{failure.message}</pre>
            <code>{failure.code}</code>
          </div>
        </div>
      )}
      <div class="start-buttons">
        <Button type="submit" look="primary" needs="operate" isBusy={isBusy} isDisabled={!isReady}>
          Start the run
        </Button>
        <a class="button" href={href(['runs'])}>
          Not now
        </a>
      </div>
    </form>
  )
}

/** What is filled in, and what is wrong with it. */
interface Given {
  readonly value: unknown
  readonly wrong?: string
  readonly issues: readonly Issue[]
}

/** How the types that JSON has no form for are written. */
const WRITTEN: Readonly<Record<string, (value: unknown) => boolean>> = {
  Map: (value) => typeof value === 'object' && value !== null,
  Set: Array.isArray,
  bigint: (value) => typeof value === 'string' && /^-?\d+$/.test(value),
  Date: (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)),
}

/** The types of what is still there as it was written before. */
function typesLeft(types: Types = {}, value: unknown): Types {
  return Object.fromEntries(
    Object.entries(types).filter(([pointer, type]) => {
      const found = valueAt(value, pointer)
      return type === 'undefined' ? found === undefined : (WRITTEN[type] ?? isText)(found)
    }),
  )
}
const isText = (value: unknown): boolean => typeof value === 'string'

function valueAt(value: unknown, pointer: string): unknown {
  let at = value
  for (const segment of pointer === '' ? [] : pointer.slice(1).split('/')) {
    const key = segment.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined
    at = (at as Readonly<Record<string, unknown>>)[key]
  }
  return at
}

const MOST_KEPT = 12

/** Dates are sent as dates again: said, since the fields show texts. */
function Kept({ types }: { readonly types: Types }): JSX.Element | null {
  const kept = Object.entries(types).filter(([, type]) => type !== 'undefined')
  if (kept.length === 0) return null
  return (
    <p class="small soft">
      Sent as in the run before:{' '}
      {kept.slice(0, MOST_KEPT).map(([pointer, type], i) => (
        <span key={pointer}>
          {i > 0 && ', '}
          <code>{pointer === '' ? 'all of it' : pointer.slice(1).replaceAll('/', '.')}</code> {type}
        </span>
      ))}
      {kept.length > MOST_KEPT && ` and ${kept.length - MOST_KEPT} more`}
    </p>
  )
}

interface InputProps {
  readonly workflow: string | undefined
  readonly value: unknown
  readonly issues: readonly Issue[]
  readonly onChange: (given: Given) => void
}

/** The fields of the workflow's schema; JSON where there is none, or where one likes that better. */
function Input({ workflow, value, issues, onChange }: InputProps): JSX.Element {
  const { state } = useQuery<Workflow>(workflow === undefined ? undefined : at`/workflows/${workflow}`, { everyMs: 0 })
  const schema = state.is === 'ready' ? state.value.inputSchema : undefined
  const [isJson, setJson] = useState(false)
  const isForm = schema !== undefined && !isJson
  const change = (next: unknown, wrong?: string): void =>
    onChange({ value: next, issues: isForm ? issuesOf(schema, next) : [], ...(wrong !== undefined && { wrong }) })
  useEffect(() => {
    if (schema !== undefined) change(value ?? beginningOf(schema))
  }, [schema, isJson])
  if (workflow !== undefined && state.is === 'loading') return <Skeleton rows={2} height={48} />
  return (
    <div class="stack">
      {schema !== undefined && (
        <div class="toggles" role="group" aria-label="Form or JSON">
          <button type="button" class="toggle" aria-pressed={!isJson} onClick={() => setJson(false)}>
            Form
          </button>
          <button type="button" class="toggle" aria-pressed={isJson} onClick={() => setJson(true)}>
            JSON
          </button>
        </div>
      )}
      {isForm ? (
        <SchemaForm schema={schema} value={value} issues={issues} onChange={change} />
      ) : (
        <div class="field">
          <JsonArea aria-label="Input as JSON" aria-invalid={issues.length > 0} value={value} onChange={change} />
          {issues.map(({ path, message }) => (
            <span key={`${path} ${message}`} class="wrong">
              {path === '' ? message : `${path}: ${message}`}
            </span>
          ))}
          <span class="hint">
            Empty is no input.{' '}
            {schema === undefined && workflow !== undefined
              ? 'This workflow has no schema of its input that the server knows.'
              : ''}
          </span>
        </div>
      )}
    </div>
  )
}
