/**
 * The types of the language: what the compiler knows of a flow, and what it says when one does not fit. It hides how errors are made
 * readable. The file is long because its types refer to each other in a circle: a node has methods that make groups, groups are nodes.
 *
 * Errors are sentences: a tuple such as ["✗ rows gives", { id: number }[], "but cost takes", { id: number }]. The compiler prints a
 * tuple on one line, prints the types in it, and, a flow never being an array, adds no list of missing properties below it.
 *
 * Rules that keep it fast and legible; test/types measures them:
 * - Combinators demand only `AnyNode`, whose one phantom member says it all, so that a check compares one member.
 * - A parameter is `T extends Check<T> ? T : Check<T>`, never `T & Check<T>`: so the error lands on the argument that is wrong.
 * - Inside a type alias `Group` and `Node` get inferred names only. A reference with an alias among its arguments is resolved late and
 *   keeps all that it came from, so a chain of a hundred `.with` would be a hundred deep.
 * - Methods say `this: A` and mention neither I nor O, so that `Node<in I, out O>` passes its variance check.
 * - One signature, or overloads told apart by their arity, so that "No overload matches" does not appear.
 */
import type { GraflowError } from '../errors.js'
import type { GroupOptions, TaskOptions, WaitData, WorkflowOptions } from './node-options.js'

// ------------------------------------------------------------------------------------------------------------------ nodes

/** What every flow is to the combinators. The property exists for the compiler only. */
export interface AnyNode {
  readonly '~types': { readonly in: (input: never) => void; readonly out: unknown }
}

/** A flow that takes `I` and gives `O`. Immutable: every method returns a new node. */
export interface Node<in I, out O> extends AnyNode {
  readonly '~types': { readonly in: (input: I) => void; readonly out: O }
  /**
   * This, then `next`, which takes what this gives: `a >> b`.
   * @throws GraflowError INVALID_NODE, DUPLICATE_TASK
   */
  to<const A extends AnyNode, const B>(this: A, next: NextOf<A, B>): Node<In<A>, Out<Flow<B>>>
  /**
   * A group of this and `other`, both given the same input: `a | b`. On a tuple group that no join has closed, one member more.
   * @throws GraflowError INVALID_NODE (also: on a record group, whose branches need keys), DUPLICATE_TASK, LIMIT_EXCEEDED
   */
  with<const A extends AnyNode, const B>(this: A, other: OtherOf<A, B>): With<A, Flow<B>>
  /** The canonical text: `fetch-user >> (geo | score) >> merge`. Equal graphs have equal texts. */
  toString(): string
  /** The flow as a Mermaid flowchart. */
  toMermaid(): string
  /** The flow as a picture, a whole SVG document. */
  toSvg(): string
}

/** A named function that a worker can run. */
export interface Task<in I, out O, out N extends string = string> extends Node<I, O> {
  readonly kind: 'task'
  readonly name: N
  readonly options: TaskOptions
}

/** A flow with a public name: deployed, submitted by name, nested in another. */
export interface Workflow<in I, out O, out N extends string = string> extends Node<I, O> {
  readonly kind: 'workflow'
  readonly name: N
  readonly options: WorkflowOptions
  /** sha-256 of the graph's canonical bytes, 64 hex digits; the same in every process and directory. */
  readonly hash: string
}

/** A wait for a signal, whose payload it gives. */
export interface Wait<out P, out N extends string = string> extends Node<unknown, P> {
  readonly kind: 'wait'
  readonly name: N
  readonly options: WaitData
}

type Code = ((...input: never) => unknown) | PromiseLike<unknown>
/** What stands where a task or flow is wanted, and what to write instead. Asked for only where something is wrong. */
export type NoNode<X> =
  X extends PromiseLike<unknown>
    ? ['✗ a task or flow is wanted here, and this is a promise of something: await it', X]
    : X extends (...input: never) => infer R
      ? [R] extends [AnyNode]
        ? ['✗ a task or flow is wanted here, and this is a function that makes one: call it', X]
        : ["✗ a task or flow is wanted here, and this is a function: make a task of it by task('its-name', fn)", X]
      : X extends readonly unknown[]
        ? '✗ a task or flow is wanted here, and this is a list: spread it, as in seq(...nodes) or par(...nodes)'
        : ['✗ a task or flow is wanted here, but this is', X]
/**
 * Beside an `N extends AnyNode`, for its message: nothing more where a node is given, and where none is, the sentence. A parameter that is
 * `N | OrSay<G>` takes the N of generic code, too, which one that is a condition of N refuses.
 */
export type OrSay<G> = [G] extends [AnyNode] ? G : NoNode<G>
/** A node as it is; `AnyNode` for what is none and is told so elsewhere. */
export type Flow<N> = N extends AnyNode ? N : AnyNode

/** What a flow takes. */
export type In<N extends AnyNode> = N['~types']['in'] extends (input: infer I) => void ? I : never
/** What a flow gives. */
export type Out<N extends AnyNode> = N['~types']['out']

/** What `ctx.again`, `next`, `goto`, `finish` and `cancel` return. A handler may return it; it is no part of the task's output. */
export interface Control {
  readonly '~control': 'again' | 'next' | 'goto' | 'finish' | 'cancel'
}

/** How an error calls a node. */
export type Label<N, Nameless extends string> = N extends { readonly name: infer S extends string }
  ? string extends S
    ? Nameless
    : S
  : N extends { readonly kind: 'group' }
    ? 'the group'
    : Nameless

/** A node that can be run without an input, or the sentence that says what is missing. */
export type NeedsNoInput<N> = N extends AnyNode
  ? [undefined] extends [In<N>]
    ? N
    : [`✗ ${Label<N, 'this node'>} needs an input, the next argument:`, In<N>]
  : NoNode<N>

// --------------------------------------------------------------------------------------------------------------- sequence

/** The arguments of `seq`, or what is wrong with one of them. */
export type CheckSteps<T extends readonly unknown[]> = T extends readonly AnyNode[]
  ? Steps<T>
  : { [K in keyof T]: T[K] extends AnyNode ? T[K] : NoNode<T[K]> }

/** `Ok` when what `A` gives fits what `B` takes, else the sentence that says so. */
export type Follow<A extends AnyNode, B extends AnyNode, Ok> = [Out<A>] extends [In<B>]
  ? Ok
  : AnyNode extends B
    ? Ok
    : Misfit<Label<A, 'the node before it'>, Out<A>, Label<B, 'this node'>, In<B>>

type NextOf<A extends AnyNode, B> = B extends AnyNode ? Follow<A, B, B> : NoNode<B>

/** For objects the keys come first, since the compiler shortens long types, from the right, to `{ ...; }`. */
export type Misfit<From extends string, Got, To extends string, Want> =
  Why<Got, Want> extends [infer Verb extends string, infer Keys]
    ? [`✗ ${From} ${Verb}`, Keys, 'it gives', Got, `but ${To} takes`, Want]
    : [`✗ ${From} gives`, Got, `but ${To} takes`, Want]
type Why<Got, Want> = [Got, Want] extends [object, object]
  ? [Got] extends [readonly unknown[]]
    ? []
    : [Want] extends [readonly unknown[]]
      ? []
      : [Exclude<RequiredKeys<Want>, keyof Got>] extends [never]
        ? [WrongKeys<Got, Want>] extends [never]
          ? []
          : ['gives another', WrongKeys<Got, Want>]
        : ['gives no', Exclude<RequiredKeys<Want>, keyof Got>]
  : []
type RequiredKeys<T> = { [K in keyof T]-?: {} extends Pick<T, K> ? never : K }[keyof T]
type WrongKeys<Got, Want> = {
  [K in keyof Got & keyof Want]: [Got[K]] extends [Want[K]] ? never : K
}[keyof Got & keyof Want]

/**
 * Each member of `T`, or what is wrong with it. Member K follows member K of [Any, ...T]: no recursion, so no limit but the tuple's.
 * In a list whose length the types do not know (K is `number`) some member must give what K takes; which one is not known.
 */
export type Steps<
  T extends readonly AnyNode[],
  Before extends readonly AnyNode[] = [Node<never, In<T[0]>>, ...T],
  All extends AnyNode = T[number],
> = T extends readonly []
  ? ['✗ a sequence needs at least one node', ...AnyNode[]]
  : {
      [K in keyof T]: number extends K
        ? true extends Gives<All, In<T[K]>>
          ? T[K]
          : Follow<All, T[K], T[K]>
        : K extends keyof Before
          ? Follow<Before[K] & AnyNode, T[K], T[K]>
          : never
    }
type Gives<N extends AnyNode, Want> = N extends unknown ? ([Out<N>] extends [Want] ? true : false) : never
export type Last<T extends readonly unknown[]> = T extends readonly [...unknown[], infer L] ? L : T[number]

// ----------------------------------------------------------------------------------------------------------------- groups

/** The input that serves both: the narrower of two, so that equal demands read as one and not as `X & X`. */
export type Meet<A, B> = [A] extends [B] ? A : [B] extends [A] ? B : Possible<A & B, KeyOf<A> & KeyOf<B>>
type Primitive = string | number | bigint | boolean | symbol | null | undefined
type KeyOf<T> = T extends unknown ? keyof T : never
/**
 * `never` for what no value can be: also a primitive that is an object, and an object with a property that no value can be. Of two
 * types only the properties that both have can be so; looking at all of them would make a chain of `.with` quadratic.
 */
type Possible<T, Shared extends PropertyKey> = T extends Primitive
  ? T extends object
    ? never
    : T
  : T extends object
    ? [{ [K in Shared & keyof T]: [T[K]] extends [never] ? K : never }[Shared & keyof T]] extends [never]
      ? T
      : never
    : T
/**
 * The same for many, given as a union of 1-tuples, without recursion: a member that is as narrow as all, else their intersection.
 * That is asked for last: of a few unions with fifty members each it is more than the compiler takes on.
 */
type MeetBoxes<U> =
  OneOf<Narrowest<U, TakerOf<U>>> extends infer Box
    ? Box extends [infer X]
      ? X
      : TakerOf<U> extends (input: infer I) => void
        ? Possible<I, KeyOf<I>>
        : never
    : never
type TakerOf<U> = U extends [infer X] ? (input: X) => void : never
type Narrowest<U, Takers> = U extends [infer X] ? ([Takers] extends [(input: X) => void] ? U : never) : never
type OneOf<U> = [U] extends [never]
  ? undefined
  : (U extends unknown ? (x: () => U) => void : never) extends (x: infer F) => void
    ? F extends () => infer L
      ? L
      : never
    : never
export type MeetAll<T extends readonly AnyNode[]> = MeetBoxes<BoxOf<T[number]>>
export type MeetRecord<R> = MeetBoxes<BoxOf<R[keyof R]>>
type BoxOf<N> = N extends AnyNode ? [In<N>] : never
/** What the members give, in their shape. */
export type Outs<T> = { -readonly [K in keyof T]: T[K] extends AnyNode ? Out<T[K]> : never }
type NameOf<N> = N extends { readonly name: infer S extends string } ? S : never
/** The names of the members, in their shape: `never` for one that has none. */
export type Names<T> = { -readonly [K in keyof T]: NameOf<T[K]> }

type Conflict<I, B extends AnyNode> = [B] extends [never]
  ? never
  : ['✗ branches get the same input: those before take', I, `but ${Label<B, 'this one'>} takes`, In<B>]
export type Beside<A extends AnyNode, B extends AnyNode, Ok> = A extends { readonly '~members': infer M }
  ? M extends readonly unknown[]
    ? Fits<In<A>, B, Ok>
    : ['✗ this group is a record: give the branch a key, as in par({ …, key: branch })']
  : Fits<In<A>, B, Ok>
type OtherOf<A extends AnyNode, B> = B extends AnyNode ? Beside<A, B, B> : NoNode<B>
type Fits<I, B extends AnyNode, Ok> = [Meet<I, In<B>>] extends [never]
  ? [In<B>] extends [never]
    ? Ok
    : Conflict<I, B>
  : Ok

/** What `a.with(b)` is. `Group` gets inferred names only: see the head of this file. */
export type With<A extends AnyNode, B extends AnyNode> = [
  Meet<In<A>, In<B>>,
  Out<A>,
  Out<B>,
  NameOf<A>,
  NameOf<B>,
] extends [infer I, infer O, infer P, infer N, infer Q]
  ? A extends { readonly '~members': infer M extends readonly unknown[] }
    ? O extends readonly unknown[]
      ? Group<I, [...O, P], [...M, Q]>
      : never
    : Group<I, [O, P], [N, Q]>
  : never

/** How a branch ended. Failed: its last allowed start threw; dead: its workers were lost; cancelled, skipped: withdrawn. */
export type Outcome<T> =
  | { readonly status: 'succeeded'; readonly value: T }
  | { readonly status: 'failed' | 'dead' | 'cancelled' | 'skipped'; readonly error: GraflowError }
/** The same shape (tuple, record, array) with an outcome for each value. */
export type Outcomes<O> = { [K in keyof O]: Outcome<O[K]> }
type ValueOf<O> = O extends readonly unknown[] ? O[number] : O[keyof O]

/** A member called C is plain, another an outcome; one whose name the types do not know (`declareTask<I, O>`) is either. */
type Critical<O, M, C> = {
  [K in keyof O]: K extends keyof M
    ? [M[K]] extends [never]
      ? Outcome<O[K]>
      : string extends M[K]
        ? O[K] | Outcome<O[K]>
        : M[K] extends C
          ? O[K]
          : Outcome<O[K]>
    : never
}

/** A named decision over a group's outcomes; named, so that another process can find it when it runs a stored graph. */
export interface JoinPolicy<in Outs, out R> {
  readonly kind: 'policy'
  readonly name: string
  readonly decide: (outcomes: Outs) => R | Promise<R>
}

/** A group whose join is declared. */
export interface Joined<in I, out O> extends Node<I, O> {
  readonly kind: 'group'
  /** The same group with these options set. @throws GraflowError INVALID_OPTION, NOT_SERIALISABLE */
  configure(options: GroupOptions): Joined<I, O>
}

/** What any group can do: `par` and `each`. Each of these declares its join, once: a second is JOIN_IMPOSSIBLE. */
export interface Joins<in I, O> extends Node<I, O> {
  readonly kind: 'group'
  /** Best effort. Released when all are final; gives an outcome for each. */
  settled(): Joined<I, Outcomes<O>>
  /** Released when all are final, if `count` succeeded. @throws GraflowError JOIN_IMPOSSIBLE for more than there are */
  atLeast(count: number): Joined<I, Outcomes<O>>
  /** Released by the first success, which is its result; the others are cancelled. */
  first(): Joined<I, ValueOf<O>>
  /** Released when all are final; gives what the policy returns, or fails with what it throws. */
  join<R>(policy: JoinPolicy<Outcomes<O>, R>): Joined<I, R>
}

/** Branches side by side, a tuple or a record; `M` has their names in the shape of `O`. */
export interface Group<in I, O, M = any> extends Joins<I, O> {
  readonly '~members': M
  /**
   * Released when all are final, if the members named succeeded: they are plain values in the result, the rest outcomes.
   * A member is named by its key in a record, by its task's or workflow's name in a tuple; a chain has none: use the record.
   * @throws GraflowError JOIN_IMPOSSIBLE for a name that is no member
   */
  critical<const C extends ValueOf<M>>(...members: readonly [C, ...C[]]): Joined<I, Critical<O, M, C>>
  /** The same group with these options set. @throws GraflowError INVALID_OPTION, NOT_SERIALISABLE */
  configure(options: GroupOptions): Group<I, O, M>
}

/** One branch for each item of an array; results in the order of the items. */
export interface EachGroup<in I, O> extends Joins<readonly I[], O[]> {
  settled(): EachJoined<readonly I[], Outcomes<O[]>>
  atLeast(count: number): EachJoined<readonly I[], Outcomes<O[]>>
  first(): EachJoined<readonly I[], O>
  join<R>(policy: JoinPolicy<Outcomes<O[]>, R>): EachJoined<readonly I[], R>
  /** The same group with these options set. @throws GraflowError INVALID_OPTION, NOT_SERIALISABLE */
  configure<const A extends AnyNode, const L extends string>(this: A, options: LabelledOptions<A, L>): A
}

/** An each whose join is declared. */
export interface EachJoined<in I, out O> extends Node<I, O> {
  readonly kind: 'group'
  /** The same group with these options set. @throws GraflowError INVALID_OPTION, NOT_SERIALISABLE */
  configure<const A extends AnyNode, const L extends string>(this: A, options: LabelledOptions<A, L>): A
}

/** The options of an each `A`, whose label is a key of its items or a path of keys; `L` is inferred from it. */
export interface LabelledOptions<A extends AnyNode, L extends string> extends GroupOptions {
  /**
   * The key of an item that people know its branch by, or a path of keys with dots between, such as `customer.name`. What stands there (text, a number, a boolean or
   * a date) is shown with the branch, at most 64 characters of it. Default: none.
   */
  readonly label?: L extends LabelOf<In<A>, L> ? L : LabelOf<In<A>, L>
}
type LabelOf<I, L extends string> = string extends L
  ? L
  : I extends readonly (infer Item)[]
    ? AtPath<Item, L> extends infer V
      ? V extends readonly ['✗', ...infer Why]
        ? Why
        : [Extract<V, Shown>] extends [never]
          ? ['✗ a label is text, a number, a boolean or a date, but at', L, 'an item has', V]
          : L
      : never
    : L
type Shown = string | number | bigint | boolean | Date
/** What stands at a path of `T`; where nothing can, a sentence behind a cross. Of a union it is enough that one member has the key. */
type AtPath<T, L extends string> = L extends `${infer K}.${infer Rest}`
  ? AtKey<T, K> extends infer V
    ? V extends readonly ['✗', ...unknown[]]
      ? V
      : AtPath<V, Rest>
    : never
  : AtKey<T, L>
type AtKey<T, K extends string> = unknown extends T
  ? any
  : [HasKey<NonNullable<T>, K>] extends [never]
    ? ['✗', ...NoKey<NonNullable<T>, K>]
    : HasKey<NonNullable<T>, K> extends infer V
      ? unknown extends V
        ? any
        : NonNullable<V>
      : never
type HasKey<T, K extends string> = T extends Primitive ? never : K extends keyof T ? T[K] : never
type NoKey<T, K extends string> = [KeysOf<T>] extends [never]
  ? [`✗ a label names a key of an item, but ${K} is asked of what has no keys:`, T]
  : [`✗ ${K} is no key of an item, or of what stands there in it. It has the keys`, KeysOf<T>]
type KeysOf<T> = T extends Primitive ? never : keyof T

export type Branches<T extends readonly AnyNode[], I = MeetAll<T>> = [I] extends [never] ? Conflicts<T> : T
type Conflicts<T extends readonly AnyNode[], Acc = unknown, Seen extends readonly unknown[] = []> = T extends readonly [
  infer H extends AnyNode,
  ...infer R extends readonly AnyNode[],
]
  ? [Meet<Acc, In<H>>] extends [never]
    ? [In<H>] extends [never]
      ? [...Seen, ...T]
      : [...Seen, Conflict<Acc, H>, ...R]
    : Conflicts<R, Meet<Acc, In<H>>, [...Seen, H]>
  : true extends TakesNothing<T[number]>
    ? [...Seen, ...T]
    : [...Seen, ...['✗ branches get the same input, but no input serves all of this list'][]]
/** Whether what it takes is unknown to the types: of `AnyNode` nothing is known, so nothing speaks against it. */
type TakesNothing<N extends AnyNode> = N extends unknown ? ([In<N>] extends [never] ? true : false) : never

/** A record of nodes also where it is an interface, which has no index signature. */
type NodesOf<R> = { readonly [K in keyof R]: AnyNode }
export type Par<T> = T extends readonly AnyNode[]
  ? [MeetAll<T>, Outs<T>, Names<T>] extends [infer I, infer O, infer M]
    ? Group<I, O, M>
    : never
  : T extends readonly [infer R]
    ? // Outs written out: the name of an alias would stay, and who exports such a group cannot import it.
      [
        MeetRecord<R>,
        { -readonly [K in keyof R]: R[K] extends AnyNode ? Out<R[K]> : never },
        { [K in keyof R]: K },
      ] extends [infer I, infer O, infer M]
      ? Group<I, O, M>
      : never
    : never
/** Errors about a record sit at one of its properties: a sentence for the whole would meet the excess property check. */
type Members<R> = [keyof R] extends [never]
  ? '✗ a group needs at least one branch'
  : R extends NodesOf<R>
    ? [MeetRecord<R>] extends [never]
      ? true extends TakesNothing<Extract<R[keyof R], AnyNode>>
        ? R
        : {
            [K in keyof R]: K extends OneOf<keyof R>
              ? [
                  '✗ branches get the same input, but these take',
                  { [P in keyof R]: R[P] extends AnyNode ? In<R[P]> : never },
                ]
              : R[K]
          }
      : R
    : { [K in keyof R]: R[K] extends AnyNode ? R[K] : NoNode<R[K]> }
/** In the place of something that is no node. */
type NoBranch<X> = X extends Code
  ? NoNode<X>
  : '✗ par takes nodes, par(a, b) or par(...list), or one record of them, par({ a, b })'
/** The arguments of `par`, or what is wrong with one of them. Whatever is given is inferred, so that it can be told which one. */
export type CheckBranches<T extends readonly unknown[]> = T extends readonly []
  ? ['✗ a group needs at least one branch', ...AnyNode[]]
  : T extends readonly AnyNode[]
    ? Branches<T>
    : T extends readonly [infer R]
      ? [R extends Code | readonly unknown[] ? NoBranch<R> : R extends object ? Members<R> : NoBranch<R>]
      : { [K in keyof T]: T[K] extends AnyNode ? T[K] : NoBranch<T[K]> }

// ---------------------------------------------------------------------------------------------------------- choose, loop

export type CheckDecide<D> = D extends AnyNode ? Decides<D> : NoNode<D>
type Decides<D extends AnyNode> = [Out<D>] extends [string]
  ? D
  : AnyNode extends D
    ? D
    : [`✗ ${Label<D, 'this node'>} decides, so it returns one of the keys (a string), but it gives`, Out<D>]
export type CheckCases<D extends AnyNode, C> = C extends AnyNode | Code | readonly unknown[]
  ? '✗ choose takes a record of cases, { high: a, low: b }'
  : [keyof C] extends [never]
    ? '✗ choose needs at least one case'
    : string extends Out<D>
      ? { [K in keyof C]: Case<D, C[K]> }
      : [Exclude<Decided<D>, KeyText<keyof C>>] extends [never]
        ? {
            [K in keyof C]: KeyText<K> extends Decided<D>
              ? Case<D, C[K]>
              : `✗ ${Label<D, 'the decision'>} never returns ${KeyText<K>}`
          }
        : `✗ ${Label<D, 'the decision'>} can return ${Exclude<Decided<D>, KeyText<keyof C>>}: it needs a case`
/** Keys as text: members of an enum are the same as what they say. */
type KeyText<K> = `${K & (string | number)}`
type Decided<D extends AnyNode> = KeyText<Out<D>>
type Case<D extends AnyNode, B> = B extends AnyNode
  ? [Meet<In<D>, In<B>>] extends [never]
    ? [
        `✗ a case gets the input of ${Label<D, 'the decision'>}, which is`,
        In<D>,
        `but ${Label<B, 'this one'>} takes`,
        In<B>,
      ]
    : B
  : NoNode<B>

/** What the last task of a loop returns to go round again, with `next` as the input. */
export interface Again<out S> {
  readonly kind: 'again'
  readonly next: S
}
/** What the last task of a loop returns to end it, with `value` as the result. */
export interface Done<out V> {
  readonly kind: 'done'
  readonly value: V
}
type StateOf<O> = O extends Again<infer S> ? S : never
/** What a loop over a body that gives `O` gives. */
export type ResultOf<O> = O extends Done<infer V> ? V : never
export type CheckBody<B> = B extends AnyNode ? Loops<B> : NoNode<B>
type Loops<B extends AnyNode> = 0 extends 1 & Out<B>
  ? B
  : AnyNode extends B
    ? B
    : [Exclude<Out<B>, Again<unknown> | Done<unknown>>] extends [never]
      ? [StateOf<Out<B>>] extends [In<B>]
        ? B
        : Misfit<'again()', StateOf<Out<B>>, Label<B, 'the body'>, In<B>>
      : [
          `✗ the last task of a loop returns again(next) or done(value), but ${Label<B, 'this body'>} gives`,
          Exclude<Out<B>, Again<unknown> | Done<unknown>>,
        ]
