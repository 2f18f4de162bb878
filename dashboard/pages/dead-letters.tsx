/** Branches that failed for good: show one, run it again, delete it. */
import type { JSX } from 'preact'
import { reasonIn } from '../../lib/report/reason.js'
import { at, post, remove } from '../api.js'
import { isOfRuns } from '../changes.js'
import { plural } from '../format.js'
import { ActButton } from '../parts/buttons.js'
import { Empty, Show } from '../parts/feedback.js'
import { Filter } from '../parts/filter.js'
import { MoreFoot } from '../parts/more.js'
import { Box, Page } from '../parts/page.js'
import { State } from '../parts/state.js'
import { type Column, Table } from '../parts/table.js'
import { Id, Tag, Time } from '../parts/text.js'
import { ErrorView, ValueView } from '../parts/values.js'
import { go, href, runHref, useRoute } from '../router.js'
import { usePages } from '../use-pages.js'
import { useQuery } from '../use-query.js'
import type { DeadLetter, DeadLetterWhole } from '../wire.js'

const letterHref = (id: string): string => href(['dead-letters', id])
const firstLine = ({ error, status }: DeadLetter): string =>
  error === undefined ? (status === 'dead' ? 'Its workers were lost too often' : '') : reasonIn(error.message)

interface Replayed {
  readonly runId?: string
  readonly id?: string
}

function Replay({
  id,
  isQuiet = false,
  onDone,
}: {
  readonly id: string
  readonly isQuiet?: boolean
  readonly onDone?: (runId: string | undefined) => void
}): JSX.Element {
  return (
    <ActButton
      icon="retry"
      look={isQuiet ? 'quiet' : 'primary'}
      needs="operate"
      {...(isQuiet && { label: `Replay ${id}` })}
      run={() => post<Replayed>(at`/dead-letters/${id}/replay`)}
      done={({ runId }) => `It runs again${runId === undefined ? '' : ` as run ${runId}`}; the letter is kept`}
      {...(onDone !== undefined && { onDone: ({ runId }: Replayed) => onDone(runId) })}
    >
      Replay
    </ActButton>
  )
}

function Delete({
  id,
  isQuiet = false,
  onDone,
}: {
  readonly id: string
  readonly isQuiet?: boolean
  readonly onDone: () => void
}): JSX.Element {
  return (
    <ActButton
      icon="trash"
      look={isQuiet ? 'quiet' : 'danger'}
      needs="admin"
      {...(isQuiet && { label: `Delete ${id}` })}
      ask={{
        title: 'Delete this letter?',
        text: <p>Its input and its error are gone for good.</p>,
        action: 'Delete it',
        isDangerous: true,
      }}
      run={() => remove(at`/dead-letters/${id}`)}
      done={() => 'The letter is deleted'}
      onDone={onDone}
    >
      {isQuiet ? undefined : 'Delete'}
    </ActButton>
  )
}

const columnsOf = (refresh: () => void): readonly Column<DeadLetter>[] => [
  { key: 'status', title: 'Ended', track: '84px', min: 84, cell: ({ status }) => <State state={status} /> },
  {
    key: 'task',
    title: 'Task',
    track: 'minmax(110px, 1fr)',
    min: 110,
    cell: ({ id, task }) => (
      <a class="cut strong" href={letterHref(id)} title={task ?? id}>
        {task ?? 'unknown task'}
      </a>
    ),
  },
  {
    key: 'label',
    title: 'Item',
    track: 'minmax(96px, 1.2fr)',
    min: 96,
    rank: 3,
    cell: ({ label, index }) =>
      label === undefined ? (
        <span class="num faint">{index}</span>
      ) : (
        <Tag title={`${label} (item ${index})`}>{label}</Tag>
      ),
  },
  {
    key: 'error',
    title: 'Error',
    track: 'minmax(160px, 2.4fr)',
    min: 160,
    rank: 2,
    cell: (letter) => (
      <span class="cut" title={letter.error?.message}>
        {firstLine(letter)}
      </span>
    ),
  },
  {
    key: 'run',
    title: 'Run',
    track: 'minmax(168px, 1fr)',
    min: 168,
    rank: 3,
    cell: ({ runId }) => <Id id={runId} to={runHref(runId)} what="the run’s id" />,
  },
  {
    key: 'path',
    title: 'Path',
    track: '80px',
    min: 80,
    rank: 4,
    cell: ({ path }) => <code class="cut soft">{path}</code>,
  },
  {
    key: 'starts',
    title: 'Starts',
    track: '64px',
    min: 64,
    rank: 4,
    isEnd: true,
    cell: ({ errors, losses }) => (
      <span
        class="num"
        title={`${plural(errors + 1, 'start')} that ended in an error, ${plural(losses, 'loss', 'losses')} of a worker`}
      >
        {errors + losses + 1}
      </span>
    ),
  },
  { key: 'at', title: 'When', track: '84px', min: 84, isEnd: true, cell: (letter) => <Time of={letter.at} /> },
  {
    key: 'act',
    title: '',
    track: '128px',
    min: 128,
    isEnd: true,
    cell: ({ id }) => (
      <>
        <Replay id={id} isQuiet />
        <Delete id={id} isQuiet onDone={refresh} />
      </>
    ),
  },
]

export function DeadLettersPage({ id }: { readonly id?: string }): JSX.Element {
  return id === undefined ? <Letters /> : <Letter id={id} />
}

function Letters(): JSX.Element {
  const { query } = useRoute()
  const task = query.get('task') ?? ''
  const pages = usePages<DeadLetter>(
    '/dead-letters',
    { task: task === '' ? undefined : task },
    { on: isOfRuns, everyMs: 5_000 },
  )
  const refresh = (): void => void pages.refresh()
  return (
    <Page
      title="Dead letters"
      note="branches that failed for good; the newest 1 000 or so are kept"
      tools={
        <div class="filters">
          <Filter name="task" placeholder="Task" value={task} />
        </div>
      }
    >
      <Show what="Dead letters" query={pages}>
        {() =>
          pages.items.length === 0 ? (
            <Empty title={task === '' ? 'No dead letters' : `No dead letter of ${task}`}>
              <p>
                {task === '' ? (
                  'No branch has failed for good. One that does is kept here with its input, so that it can run again.'
                ) : (
                  <a class="link" href={href(['dead-letters'])}>
                    Show all
                  </a>
                )}
              </p>
            </Empty>
          ) : (
            <Table
              label="Dead letters"
              columns={columnsOf(refresh)}
              rows={pages.items}
              keyOf={(letter) => letter.id}
              rowHeight={40}
              cardHeight={106}
              card={(letter) => (
                <>
                  <div class="card-line">
                    <a class="cut strong" href={letterHref(letter.id)}>
                      {letter.task ?? 'unknown task'}
                    </a>
                    {letter.label !== undefined && <Tag title="What the item is called">{letter.label}</Tag>}
                    <span class="push small soft">
                      <Time of={letter.at} />
                    </span>
                  </div>
                  <div class="card-line small is-two">
                    <span class="cut soft">{firstLine(letter)}</span>
                  </div>
                  <div class="card-line">
                    <State state={letter.status} />
                    <span class="push card-line">
                      <Replay id={letter.id} isQuiet />
                      <Delete id={letter.id} isQuiet onDone={refresh} />
                    </span>
                  </div>
                </>
              )}
              onEnd={pages.loadMore}
              foot={<MoreFoot pages={pages} one="letter" />}
            />
          )
        }
      </Show>
    </Page>
  )
}

function Letter({ id }: { readonly id: string }): JSX.Element {
  const query = useQuery<DeadLetterWhole>(at`/dead-letters/${id}`, { everyMs: 0 })
  const back = href(['dead-letters'])
  const task = query.state.is === 'ready' ? query.state.value.task : undefined
  return (
    <Page
      title={task ?? 'Dead letter'}
      tab={`Dead letter ${id}`}
      note={
        <a class="link" href={back}>
          Dead letters
        </a>
      }
      actions={
        query.state.is === 'ready' ? (
          <>
            <Replay id={id} onDone={(runId) => runId !== undefined && go(runHref(runId))} />
            <Delete id={id} onDone={() => go(back)} />
          </>
        ) : undefined
      }
    >
      <Show
        what="This letter"
        query={query}
        gone={
          <Empty title="This letter is gone">
            <p>
              It was deleted, or newer ones have taken its place.{' '}
              <a class="link" href={back}>
                To the letters that are kept
              </a>
            </p>
          </Empty>
        }
      >
        {(letter) => (
          <div class="letter">
            <Box title="What happened">
              <dl class="pairs">
                <dt>Ended</dt>
                <dd>
                  <State state={letter.status} /> <Time of={letter.at} />
                </dd>
                <dt>Run</dt>
                <dd>
                  <Id id={letter.runId} to={runHref(letter.runId)} most={40} />
                </dd>
                <dt>Path</dt>
                <dd>
                  <code>{letter.path}</code>
                </dd>
                {letter.label !== undefined && (
                  <>
                    <dt>Item</dt>
                    <dd>{letter.label}</dd>
                  </>
                )}
                <dt>Starts</dt>
                <dd>
                  {plural(letter.errors + 1, 'start')}
                  {letter.losses > 0 ? `, and ${plural(letter.losses, 'loss', 'losses')} of its worker` : ''}
                </dd>
              </dl>
            </Box>
            {letter.error !== undefined && (
              <Box title="Error">
                <ErrorView error={letter.error} />
              </Box>
            )}
            <Box title="Input">
              {letter.hasInput ? (
                <ValueView value={letter.input} types={letter.types ?? {}} />
              ) : (
                <p class="soft">It was larger than 64 KiB, and was not kept. A replay is not possible.</p>
              )}
            </Box>
          </div>
        )}
      </Show>
    </Page>
  )
}
