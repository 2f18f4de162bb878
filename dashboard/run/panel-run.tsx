/** The run itself, when nothing of it is chosen: why it failed, what was decided by hand, what it got and what it gives. */
import type { JSX } from 'preact'
import { count, doneOf } from '../format.js'
import { State } from '../parts/state.js'
import { Tag, Time } from '../parts/text.js'
import { ErrorView } from '../parts/values.js'
import type { RunStatus } from '../wire.js'
import { Fact, Frame, type PanelProps, Part, Progress } from './panel-parts.js'
import { ValueView } from './value-view.js'

export function OfRun({ id, status, isOver, onSelect }: PanelProps): JSX.Element {
  const { workflow, tags, retries, byHand, error, state, done, withdrawn, total } = status
  const version = `${state} ${retries}`
  return (
    <Frame title={workflow ?? 'The run'} kind={workflow === undefined ? '' : 'the whole run'}>
      {error !== undefined && (
        <Part title={state === 'cancelled' ? 'Why it was cancelled' : 'Why it failed'}>
          <ErrorView error={error} isStackOpen={false} />
          <FailedPlaces status={status} onSelect={onSelect} />
        </Part>
      )}
      <dl class="facts">
        <Fact name="Steps and branches">{doneOf(done, total, isOver, withdrawn)}</Fact>
        {retries > 0 && <Fact name="Retried">{retries === 1 ? 'once' : `${count(retries)} times`}</Fact>}
        {tags.length > 0 && (
          <Fact name="Tags">
            <span class="tags">
              {tags.map((tag) => (
                <Tag key={tag}>{tag}</Tag>
              ))}
            </span>
          </Fact>
        )}
      </dl>
      <Progress status={status} path="" />
      {byHand.length > 0 && (
        <Part title="Decided by hand">
          <ul class="by-hand">
            {byHand.map((one) => (
              <li key={`${one.path} ${one.at}`}>
                <State state={one.as} />
                <button type="button" class="run-link" onClick={() => onSelect(one.path)}>
                  <code>{one.path}</code>
                </button>
                <span class="soft">
                  <Time of={one.at} />
                </span>
              </li>
            ))}
          </ul>
        </Part>
      )}
      <Part title="Input">
        <ValueView id={id} path="" which="input" version="" />
      </Part>
      {isOver && error === undefined && (
        <Part title="Result">
          <ValueView id={id} path="" which="output" version={version} />
        </Part>
      )}
    </Frame>
  )
}

/** Links to what failed: the way from «it failed» to the place. */
function FailedPlaces({
  status: { steps, groups },
  onSelect,
}: {
  readonly status: RunStatus
  readonly onSelect: (path: string) => void
}): JSX.Element | null {
  const places = [
    ...steps.filter(({ state }) => state === 'failed').map(({ path, task }) => ({ path, text: task })),
    ...groups
      .filter(({ failed, dead }) => failed + dead > 0)
      .map(({ path, failed, dead }) => ({ path, text: `${count(failed + dead)} failed` })),
  ].slice(0, 8)
  if (places.length === 0) return null
  return (
    <ul class="failed-places">
      {places.map(({ path, text }) => (
        <li key={path}>
          <button type="button" class="run-link" onClick={() => onSelect(path)}>
            {text} at <code>{path}</code>
          </button>
        </li>
      ))}
    </ul>
  )
}
