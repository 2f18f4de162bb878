/**
 * What a graph may be, checked in one place: for graphs that are being made (a wrong one is the user's error, by its code) and
 * for graphs that come from storage (a wrong one is INTEGRITY). Promises a deeply frozen copy that shares nothing with what was
 * read, has no key that this version does not know, and was made without touching a prototype.
 *
 * The file is long because every kind of node and every option is checked here.
 */
import { describe, quote } from '../describe.js'
import { GraflowError, type ErrorCode } from '../errors.js'
import type { EachOptions, GroupOptions, TaskOptions } from '../flow/node-options.js'
import { checkName, type NameKind } from '../flow/names.js'
import {
  checkDelay,
  checkEachOptions,
  checkGroupOptions,
  checkLoopOptions,
  checkTaskOptions,
  checkWaitOptions,
  checkWorkflowOptions,
} from '../flow/options.js'
import { assertCarriable, placeOf, rememberCarriable } from './canonical.js'
import {
  type ChooseNode,
  type EachNode,
  type Graph,
  type GraphJoin,
  type GraphNeeds,
  type GraphNode,
  graphVersion,
  type GroupNode,
  type LaterNode,
  noteNeeds,
  type TaskNode,
} from './graph.js'
import { GRAPH_LIMITS, type GraphLimits } from './limits.js'

/**
 * The graph in a value that came from storage. Errors: INTEGRITY; `details.path` is the place, `details.reason` the code that
 * the same fault has in a flow.
 */
export function parseGraph(value: unknown, limits: GraphLimits = GRAPH_LIMITS): Graph {
  const refuse: Refuse = (reason, place, message, cause) => {
    const path = placeOf(place)
    throw new GraflowError('INTEGRITY', `not a graph of version 1 to 3: ${path === '' ? 'it' : path} ${message}`, {
      details: { path, reason },
      cause,
    })
  }
  try {
    assertCarriable(value)
  } catch (cause) {
    if (!(cause instanceof GraflowError)) throw cause
    throw new GraflowError('INTEGRITY', `not a graph of version 1 to 3: ${cause.message}`, {
      details: { path: cause.details['path'], reason: cause.code },
      cause,
    })
  }
  return new Reader(refuse, limits).graph(value)
}

/** The same for a graph that is being made. Errors: NOT_SERIALISABLE, and the code of each fault; `details.path` is the place. */
export function checkGraph(value: unknown, limits: GraphLimits = GRAPH_LIMITS): Graph {
  assertCarriable(value)
  const refuse: Refuse = (code, place, message) => {
    const path = placeOf(place)
    throw new GraflowError(code, `${path === '' ? 'the graph' : path} ${message}`, { details: { path } })
  }
  return new Reader(refuse, limits).graph(value)
}

const WHY_VERSION = {
  1: 'no node that waits, and no labels',
  2: 'nodes that wait, and no labels',
  3: 'labels',
} as const satisfies Readonly<Record<Graph['version'], string>>

type Place = readonly (string | number)[]
type Refuse = (code: ErrorCode, place: Place, message: string, cause?: unknown) => never

/** A node that was read, with how deep and how large it is. */
interface Measured {
  readonly node: GraphNode
  readonly nesting: number
  readonly nodes: number
}

type Fields = Readonly<Record<string, unknown>>

/** One reading of one value. It recurses no deeper than the levels that assertCarriable lets through. */
class Reader {
  readonly #refuse: Refuse
  readonly #limits: GraphLimits
  readonly #place: (string | number)[] = []
  /** A flow uses one node in many places: each is read once, however often it stands in the graph. */
  readonly #read = new Map<unknown, Measured>()
  readonly #used = new Map<string, GraphNode>()
  #nesting = 0
  readonly #needs: GraphNeeds = { waits: false, labels: false }

  constructor(refuse: Refuse, limits: GraphLimits) {
    this.#refuse = refuse
    this.#limits = limits
  }

  graph(value: unknown): Graph {
    const fields = this.#fields(value, ['version', 'tasks', 'root'])
    const tasks = this.#at('tasks', () => this.#tasks(fields['tasks']))
    const root = this.#at('root', () => this.#node(fields['root']).node)
    for (const name of this.#used.keys()) {
      if (!Object.hasOwn(tasks, name))
        this.#at('tasks', () => this.#fail('INVALID_NODE', `must have a row for ${name}, which the graph uses`))
    }
    for (const name of Object.keys(tasks)) {
      if (!this.#used.has(name))
        this.#at('tasks', () =>
          this.#fail('INVALID_NODE', `must have no row for ${name}, which the graph does not use`),
        )
    }
    const version = graphVersion(this.#needs)
    if (fields['version'] !== version)
      this.#at('version', () =>
        this.#fail(
          'INVALID_NODE',
          `must be ${version}, since it has ${WHY_VERSION[version]}, got ${describe(fields['version'])}`,
        ),
      )
    const graph: Graph = Object.freeze({ version, tasks, root })
    rememberCarriable(graph)
    return graph
  }

  /** Without a prototype, since `constructor` is a name like others. */
  #tasks(value: unknown): Readonly<Record<string, TaskOptions>> {
    const rows = this.#record(value)
    const tasks = Object.create(null) as Record<string, TaskOptions>
    for (const name of Object.keys(rows)) {
      this.#name('task', name)
      tasks[name] = this.#at(name, () => this.#checked(rows[name], (row) => checkTaskOptions(name, row).options))
    }
    return Object.freeze(tasks)
  }

  /** The flow's own rule for it, so that there is one; its message, at this place. */
  #checked<T>(value: unknown, rule: (value: object) => T): T {
    const record = this.#record(value)
    try {
      return rule(record)
    } catch (cause) {
      if (!(cause instanceof GraflowError)) throw cause
      const { option } = cause.details
      const at = typeof option === 'string' ? option.split('.') : []
      return this.#refuse(cause.code, [...this.#place, ...at], `is wrong: ${cause.message}`, cause)
    }
  }

  #node(value: unknown): Measured {
    const known = this.#read.get(value)
    if (known !== undefined) {
      if (this.#nesting + known.nesting > this.#limits.nesting) this.#tooDeep()
      return known
    }
    const fields = this.#record(value)
    const deeper = addsNesting(fields['kind']) ? 1 : 0
    this.#nesting += deeper
    if (this.#nesting > this.#limits.nesting) this.#tooDeep()
    const read = this.#freshNode(fields)
    noteNeeds(this.#needs, read.node)
    this.#nesting -= deeper
    if (read.nodes > this.#limits.nodes)
      this.#fail('LIMIT_EXCEEDED', `must have at most ${this.#limits.nodes} nodes, got ${read.nodes}`)
    this.#read.set(value, read)
    return read
  }

  #freshNode(fields: Fields): Measured {
    switch (fields['kind']) {
      case 'task':
        return this.#task(fields)
      case 'sequence':
        return this.#sequence(fields)
      case 'group':
        return this.#group(fields)
      case 'each':
        return this.#each(fields)
      case 'choose':
        return this.#choose(fields)
      case 'loop':
        return this.#loop(fields)
      case 'workflow':
        return this.#workflow(fields)
      case 'wait':
        return this.#wait(fields)
      case 'later':
        return this.#later(fields)
      default:
        return this.#fail('INVALID_NODE', `must be a node of a known kind, got the kind ${describe(fields['kind'])}`)
    }
  }

  #task(fields: Fields): Measured {
    this.#fields(fields, ['kind', 'name'])
    const name = this.#nameIn(fields, 'task')
    const node = this.#used.get(name) ?? Object.freeze({ kind: 'task', name })
    this.#used.set(name, node)
    return { node, nesting: 0, nodes: 1 }
  }

  #sequence(fields: Fields): Measured {
    this.#fields(fields, ['kind', 'steps'])
    const steps = this.#at('steps', () => {
      const read = this.#list(fields['steps']).map((step, index) => this.#at(index, () => this.#step(step)))
      return read.length >= 2 ? read : this.#fail('INVALID_NODE', `must have two steps or more, got ${read.length}`)
    })
    return measure(Object.freeze({ kind: 'sequence', steps: Object.freeze(steps.map(({ node }) => node)) }), steps)
  }

  #each(fields: Fields): Measured {
    this.#fields(fields, ['kind', 'body', 'join', 'options'])
    const body = this.#at('body', () => this.#node(fields['body']))
    const join = this.#at('join', () => this.#join(fields['join']))
    if (join.kind === 'critical')
      return this.#at('join', () =>
        this.#fail('JOIN_IMPOSSIBLE', 'must not be critical: the items of an each have no names'),
      )
    const node: EachNode = { kind: 'each', body: body.node, join, options: this.#eachOptions(fields) }
    return measure(Object.freeze(node), [body])
  }

  #loop(fields: Fields): Measured {
    this.#fields(fields, ['kind', 'body', 'maxCycles'])
    const body = this.#at('body', () => this.#node(fields['body']))
    const { maxCycles } = this.#checked({ maxCycles: fields['maxCycles'] }, checkLoopOptions)
    return measure(Object.freeze({ kind: 'loop', body: body.node, maxCycles }), [body])
  }

  #workflow(fields: Fields): Measured {
    this.#fields(fields, ['kind', 'name', 'body', 'options'])
    const name = this.#nameIn(fields, 'workflow')
    const body = this.#at('body', () => this.#node(fields['body']))
    const options = this.#at('options', () =>
      this.#checked(fields['options'], (given) => checkWorkflowOptions(name, given)),
    )
    return measure(Object.freeze({ kind: 'workflow', name, body: body.node, options }), [body])
  }

  #wait(fields: Fields): Measured {
    this.#fields(fields, ['kind', 'name', 'options', 'isChecked'])
    const name = this.#nameIn(fields, 'signal')
    const options = this.#at('options', () =>
      this.#checked(fields['options'], (given) => checkWaitOptions(`waitFor "${name}"`, given).options),
    )
    const isChecked = fields['isChecked']
    if (typeof isChecked !== 'boolean')
      return this.#at('isChecked', () =>
        this.#fail('INVALID_NODE', `must be true or false, got ${describe(isChecked)}`),
      )
    return { node: Object.freeze({ kind: 'wait', name, options, isChecked }), nesting: 0, nodes: 1 }
  }

  #later(fields: Fields): Measured {
    const isDated = Object.hasOwn(fields, 'due')
    this.#fields(fields, ['kind', 'body', isDated ? 'due' : 'ms'])
    const body = this.#at('body', () => this.#node(fields['body']))
    if (!isDated) {
      const { ms } = this.#checked({ ms: fields['ms'] }, (given) => ({ ms: checkDelay('ms', (given as Fields)['ms']) }))
      return measure(Object.freeze<LaterNode>({ kind: 'later', body: body.node, ms }), [body])
    }
    const due = this.#at('due', () => {
      const read = this.#node(fields['due'])
      return read.node.kind === 'task' ? read : this.#fail('INVALID_NODE', `must be a task, got a ${read.node.kind}`)
    })
    return measure(Object.freeze<LaterNode>({ kind: 'later', body: body.node, due: due.node as TaskNode }), [due, body])
  }

  #step(value: unknown): Measured {
    const step = this.#node(value)
    return step.node.kind === 'sequence' ? this.#fail('INVALID_NODE', 'must not be a sequence inside a sequence') : step
  }

  #group(fields: Fields): Measured {
    const isRecord = Object.hasOwn(fields, 'keys')
    this.#fields(
      fields,
      isRecord ? ['kind', 'keys', 'branches', 'join', 'options'] : ['kind', 'branches', 'join', 'options'],
    )
    const branches = this.#at('branches', () => {
      const list = this.#list(fields['branches'])
      if (list.length === 0) this.#fail('EMPTY_GROUP', 'must have a branch')
      if (list.length > this.#limits.branches)
        this.#fail('LIMIT_EXCEEDED', `must have at most ${this.#limits.branches} branches, got ${list.length}`)
      return list.map((branch, index) => this.#at(index, () => this.#node(branch)))
    })
    const keys = isRecord
      ? this.#at('keys', () => this.#keys(fields['keys'], 'branch key', branches.length))
      : undefined
    const join = this.#at('join', () => this.#join(fields['join']))
    const options = this.#groupOptions(fields)
    const nodes = Object.freeze(branches.map(({ node }) => node))
    const node: GroupNode = { kind: 'group', ...(keys && { keys }), branches: nodes, join, options }
    this.#at('join', () => this.#possible(node))
    return measure(Object.freeze(node), branches)
  }

  #choose(fields: Fields): Measured {
    this.#fields(fields, ['kind', 'decide', 'cases'])
    const decide = this.#at('decide', () => this.#node(fields['decide']))
    const inside: Measured[] = [decide]
    const cases = this.#at('cases', () => {
      const list = this.#list(fields['cases'])
      if (list.length === 0) this.#fail('EMPTY_GROUP', 'must have a case')
      const pairs = list.map((pair, index) =>
        this.#at(index, () => {
          const [key, node, ...rest] = this.#list(pair)
          if (rest.length > 0 || node === undefined) this.#fail('INVALID_NODE', 'must be a pair of key and node')
          const read = this.#at(1, () => this.#node(node))
          inside.push(read)
          return Object.freeze([key as string, read.node] as const)
        }),
      )
      this.#keys(
        pairs.map(([key]) => key),
        'case key',
        pairs.length,
      )
      return Object.freeze(pairs)
    })
    const node: ChooseNode = { kind: 'choose', decide: decide.node, cases }
    return measure(Object.freeze(node), inside)
  }

  #keys(value: unknown, kind: NameKind, count: number): readonly string[] {
    const keys = this.#list(value).map((key) => this.#name(kind, key))
    if (keys.length !== count)
      this.#fail('INVALID_NODE', `must be a key for each of ${count} branches, got ${keys.length}`)
    if (new Set(keys).size !== count) this.#fail('INVALID_NODE', 'must be different keys')
    return Object.freeze(keys)
  }

  #groupOptions(fields: Fields): GroupOptions {
    return this.#at('options', () => this.#checked(fields['options'], (given) => checkGroupOptions({}, given)))
  }

  #eachOptions(fields: Fields): EachOptions {
    return this.#at('options', () => this.#checked(fields['options'], (given) => checkEachOptions({}, given)))
  }

  #join(value: unknown): GraphJoin {
    const fields = this.#record(value)
    switch (fields['kind']) {
      case 'strict':
      case 'settled':
      case 'first':
        this.#fields(fields, ['kind'])
        return Object.freeze({ kind: fields['kind'] })
      case 'atLeast': {
        this.#fields(fields, ['kind', 'count'])
        const count = fields['count']
        if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 1)
          return Object.freeze({ kind: 'atLeast', count })
        return this.#fail('INVALID_OPTION', `must have a whole count of at least 1, got ${describe(count)}`)
      }
      case 'critical': {
        this.#fields(fields, ['kind', 'members'])
        const members = this.#at('members', () => this.#list(fields['members']))
        if (members.length === 0 || new Set(members).size !== members.length)
          this.#at('members', () => this.#fail('JOIN_IMPOSSIBLE', 'must be different names, one or more'))
        return Object.freeze({
          kind: 'critical',
          members: Object.freeze(members.map((member) => this.#name('branch key', member))),
        })
      }
      case 'policy':
        this.#fields(fields, ['kind', 'name'])
        return Object.freeze({ kind: 'policy', name: this.#nameIn(fields, 'policy') })
      default:
        return this.#fail('JOIN_IMPOSSIBLE', `must be a join of a known kind, got ${describe(fields['kind'])}`)
    }
  }

  #possible({ join, branches, keys }: GroupNode): void {
    if (join.kind === 'atLeast' && join.count > branches.length)
      this.#fail('JOIN_IMPOSSIBLE', `must be met by ${branches.length} branches, got atLeast(${join.count})`)
    if (join.kind !== 'critical') return
    const members = new Set(keys ?? branches.map((branch) => ('name' in branch ? branch.name : undefined)))
    for (const member of join.members) {
      if (!members.has(member))
        this.#fail('JOIN_IMPOSSIBLE', `must name members of its group, got critical(${quote(member)})`)
    }
  }

  #nameIn(fields: Fields, kind: NameKind): string {
    return this.#at('name', () => this.#name(kind, fields['name']))
  }

  #name(kind: NameKind, name: unknown): string {
    return this.#checked({ name }, () => checkName(kind, name))
  }

  /** A record with these keys and no others. */
  #fields(value: unknown, keys: readonly string[]): Fields {
    const fields = this.#record(value)
    for (const key of Object.keys(fields))
      if (!keys.includes(key)) this.#fail('INVALID_NODE', `must have no key ${quote(key)}`)
    for (const key of keys)
      if (!Object.hasOwn(fields, key)) this.#fail('INVALID_NODE', `must have the key ${quote(key)}`)
    return fields
  }

  #record(value: unknown): Fields {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields
    return this.#fail('INVALID_NODE', `must be a record, got ${describe(value)}`)
  }

  #list(value: unknown): readonly unknown[] {
    return Array.isArray(value) ? value : this.#fail('INVALID_NODE', `must be a list, got ${describe(value)}`)
  }

  #at<T>(segment: string | number, read: () => T): T {
    this.#place.push(segment)
    const result = read()
    this.#place.pop()
    return result
  }

  #tooDeep(): never {
    const message = `must have at most ${this.#limits.nesting} groups, loops, choices, workflows and later nodes around it: make the inner part a task that calls ctx.run`
    return this.#fail('LIMIT_EXCEEDED', message)
  }

  #fail(code: ErrorCode, message: string): never {
    return this.#refuse(code, this.#place, message)
  }
}

function measure(node: GraphNode, inside: readonly Measured[]): Measured {
  let nesting = 0
  let nodes = 1
  for (const part of inside) {
    nesting = Math.max(nesting, part.nesting)
    nodes += part.nodes
  }
  return { node, nesting: nesting + (addsNesting(node.kind) ? 1 : 0), nodes }
}

/** As in the flow: a task or wait has nothing inside, and a sequence is no place of its own. */
function addsNesting(kind: unknown): boolean {
  return kind !== 'task' && kind !== 'wait' && kind !== 'sequence'
}
