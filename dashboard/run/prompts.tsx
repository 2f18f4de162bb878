/** Questions that the run asks a person: each with what is known of it, and its answer by one click and one confirmation. */
import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { at, call } from '../api.js'
import { now } from '../clock.js'
import { duration, exactTime } from '../format.js'
import { Button, ask } from '../parts/buttons.js'
import { Icon } from '../parts/icons.js'
import { Time } from '../parts/text.js'
import { toast } from '../parts/toasts.js'
import { useStore } from '../store.js'
import { asApiError } from '../use-query.js'
import { beginningOf, type Issue, issuesOf, issuesOfProblem, type Schema } from '../parts/schema.js'
import { focusWrong, JsonArea, SchemaForm } from '../parts/schema-form.js'
import type { Changed, Wait } from '../wire.js'

/** Shown of many questions at once. */
const MOST = 20

export interface PromptsProps {
  readonly id: string
  readonly workflow: string | undefined
  readonly waits: readonly Wait[]
  /** What happens to a question that nobody answers in time, by its path; undefined where the flow does not say. */
  readonly onTimeout: (path: string) => { readonly value: unknown } | undefined
  readonly onAnswered: () => void
}

export function Prompts({ waits, ...props }: PromptsProps): JSX.Element | null {
  const asked = waits.filter(({ why }) => why === 'signal')
  if (asked.length === 0) return null
  return (
    <section class="prompts" aria-label="Questions">
      {asked.slice(0, MOST).map((wait) => (
        <Question
          key={`${wait.path} ${wait.details.signal ?? ''} ${wait.details.index ?? ''}`}
          wait={wait}
          {...props}
        />
      ))}
      {asked.length > MOST && <p class="soft">{asked.length - MOST} more questions wait behind these.</p>}
    </section>
  )
}

interface QuestionProps extends Omit<PromptsProps, 'waits'> {
  readonly wait: Wait
}

function Question({ id, workflow, wait, onTimeout, onAnswered }: QuestionProps): JSX.Element {
  const { signal = '', index, refused } = wait.details
  const { title = `Waits for the signal “${signal}”`, text, choices = [] } = wait.prompt ?? {}
  const form = (wait.prompt?.form ?? wait.details.schema) as Schema | undefined // JSON Schema
  const [wrong, setWrong] = useState<readonly Issue[]>([])
  const answer = async (payload: unknown, shown: string): Promise<void> => {
    const isMeant = await ask({
      title: `Answer “${shown}”?`,
      text: (
        <>
          <p>{title}</p>
          <p>
            <strong>Nobody can undo this.</strong> The run goes on with this answer at once; a later one is refused.
          </p>
        </>
      ),
      action: 'Answer',
    })
    if (!isMeant) return
    setWrong([])
    const path = at`/runs/${id}/signals/${signal}`
    const query = index === undefined ? {} : { query: { index } }
    try {
      const { changed } = await call<Changed>(path, { method: 'POST', body: payload ?? null, ...query })
      const text = changed ? 'Answered. The run goes on.' : 'Somebody answered first, or its time is over.'
      toast({ kind: 'done', text })
      onAnswered()
    } catch (error) {
      // what the schema refuses is not sent: the question stands, with what is wrong
      const { message, code, details } = asApiError(error)
      setWrong(code === 'INVALID_INPUT' ? issuesOfProblem(details) : [])
      toast({ kind: 'failed', text: message, code })
    }
  }
  return (
    <article class="prompt">
      <header>
        <Icon name="person" />
        <h2 class="wrap">{title}</h2>
      </header>
      {text !== undefined && <p class="prompt-text wrap">{text}</p>}
      {refused !== undefined && (
        <p class="prompt-refused wrap" role="status">
          <Icon name="warning" /> The last answer was refused: {refused.message}
        </p>
      )}
      {choices.length > 0 && wrong.length > 0 && <p class="wrong">{wrong.map(({ message }) => message).join('; ')}</p>}
      <Facts wait={wait} workflow={workflow} onTimeout={onTimeout(wait.path)} />
      {choices.length > 0 ? (
        <div class="prompt-choices" role="group" aria-label="Answers">
          {choices.map((choice) => (
            <Button key={choice} needs="operate" onClick={() => void answer(choice, choice)}>
              {choice}
            </Button>
          ))}
        </div>
      ) : (
        <AnswerForm form={form} refused={wrong} onAnswer={answer} />
      )}
    </article>
  )
}

function Facts({
  wait,
  workflow,
  onTimeout,
}: {
  readonly wait: Wait
  readonly workflow: string | undefined
  readonly onTimeout: { readonly value: unknown } | undefined
}): JSX.Element {
  const { signal, index, dueAt } = wait.details
  return (
    <p class="prompt-facts small soft">
      <span>
        Asked by <b>{wait.task ?? workflow ?? 'the run'}</b> at <code>{wait.path}</code>
        {index !== undefined && ` for item ${index}`}
        {wait.label !== undefined && (
          <>
            {' '}
            <b>{wait.label}</b>
          </>
        )}
      </span>
      <span>
        <Time of={wait.since} />
      </span>
      {dueAt === undefined ? <span>waits as long as it takes</span> : <Deadline dueAt={dueAt} onTimeout={onTimeout} />}
      <span>
        signal <code>{signal}</code>
      </span>
    </p>
  )
}

function Deadline({
  dueAt,
  onTimeout,
}: {
  readonly dueAt: string
  readonly onTimeout: { readonly value: unknown } | undefined
}): JSX.Element {
  const left = new Date(dueAt).getTime() - useStore(now)
  const then =
    onTimeout === undefined ? 'then it fails with TIMEOUT' : `then it goes on with ${JSON.stringify(onTimeout.value)}`
  return (
    <span class="prompt-due" title={exactTime(new Date(dueAt))}>
      {left > 0 ? `${duration(left)} left` : 'its time is over'}, {then}
    </span>
  )
}

/** With fields from the schema, or one for JSON where there is none. */
function AnswerForm({
  form,
  refused,
  onAnswer,
}: {
  readonly form: Schema | undefined
  /** What the server found wrong with what was sent. */
  readonly refused: readonly Issue[]
  readonly onAnswer: (payload: unknown, shown: string) => Promise<void>
}): JSX.Element {
  const [filled, setFilled] = useState<{ readonly value: unknown; readonly wrong?: string }>(() => ({
    value: beginningOf(form),
  }))
  const [isTried, setTried] = useState(false)
  const found = form === undefined ? [] : issuesOf(form, filled.value)
  const issues = isTried && found.length > 0 ? found : refused
  const change = (value: unknown, wrong?: string): void => setFilled({ value, ...(wrong !== undefined && { wrong }) })
  const submit = (event: SubmitEvent): void => {
    event.preventDefault()
    setTried(true)
    if (found.length === 0 && filled.wrong === undefined) void onAnswer(filled.value, shownOf(filled.value))
    else focusWrong(event.currentTarget)
  }
  return (
    <form class="prompt-form" noValidate onSubmit={submit}>
      {form === undefined ? (
        <div class="field">
          <JsonArea value={undefined} aria-label="Answer as JSON" onChange={change} />
          {issues.map(({ path, message }) => (
            <span key={`${path} ${message}`} class="wrong">
              {path === '' ? message : `${path}: ${message}`}
            </span>
          ))}
        </div>
      ) : (
        <SchemaForm schema={form} value={filled.value} issues={issues} onChange={change} />
      )}
      <div>
        <Button type="submit" look="primary" needs="operate" isDisabled={filled.wrong !== undefined}>
          Answer
        </Button>
      </div>
    </form>
  )
}

const shownOf = (value: unknown): string => {
  const text = value === undefined ? 'nothing' : typeof value === 'string' ? value : JSON.stringify(value)
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`
}
