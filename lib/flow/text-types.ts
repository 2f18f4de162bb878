/**
 * The type of a flow written as text, read from the text itself by the compiler. It hides the parser; lib/flow/parse.ts is the same
 * grammar at run time, and test/types compares the two.
 *
 * A shift-reduce parser with an explicit stack, whose every step is a tail call (TypeScript allows about a thousand): one step a name,
 * not one a character. A chain is kept as its two ends and made a Node when it ends, since a Node made at each step would cost a
 * level of depth at each step. Positions are computed only when something is wrong.
 */
import type { AnyNode, EachGroup, Group, In, MeetAll, Misfit, Names, NoNode, Node, Out, Outs } from './types.js'

type Space = ' ' | '\n' | '\t' | '\r'
type Trim<S extends string> = S extends `${Space}${infer R}` ? Trim<R> : S
type Cut<S extends string, D extends string> = S extends `${infer Head}${D}${string}` ? Head : S
/** The name at the head of S: up to the first blank, then cut at each operator. A step a name, not one a character. */
type Word<S extends string> = Cut<
  Cut<Cut<Cut<Cut<Cut<Cut<Cut<Cut<S, ' '>, '\n'>, ')'>, '*'>, '|'>, '>'>, '('>, '\t'>,
  '\r'
>

type None = { readonly '~none': true }
type Failed<M> = { readonly '~failed': M }
// Names whose types are unknown give a flow whose types are unknown.
type Untyped = Node<any, any>
type AnyNodeOf<V> = 0 extends 1 & V ? Untyped : V

/**
 * S: what is left of T; E: the names; K: enclosing brackets, innermost first; B: finished branches of this bracket; F and P: first and
 * previous node of the chain so far, or None; PL: how errors call P. `Atom` wants a name or a bracket; `After` has read A (called AL,
 * begun at AS) and wants an operator.
 */
type Atom<
  S extends string,
  E,
  K,
  B extends readonly AnyNode[],
  F,
  P,
  PL extends string,
  T extends string,
> = S extends `${Space}${infer R}`
  ? Atom<Trim<R>, E, K, B, F, P, PL, T>
  : S extends `(${infer R}`
    ? Atom<R, E, [B, F, P, PL, S, K], [], None, None, '', T>
    : Word<S> extends infer W extends string
      ? W extends ''
        ? Failed<[`✗ at ${At<T, S>}: a name or a bracket is missing here${Hint<S>}`]>
        : W extends keyof E
          ? AnyNodeOf<E[W]> extends infer A extends AnyNode
            ? S extends `${W} >> ${infer R}`
              ? FitsText<P, A> extends true
                ? Atom<R, E, K, B, Start<F, A>, A, W, T>
                : MisfitText<P, PL, A, W, S, T>
              : S extends `${W}${infer R}`
                ? After<R, E, K, B, F, P, PL, A, W, S, T>
                : never
            : Failed<[`✗ at ${At<T, S>}: ${W}:`, ...Said<NoNode<E[W]>>]>
          : UnknownName<W, S, E, T>
      : never
type Said<S> = S extends readonly unknown[] ? S : [S]
type After<
  S extends string,
  E,
  K,
  B extends readonly AnyNode[],
  F,
  P,
  PL extends string,
  A extends AnyNode,
  AL extends string,
  AS extends string,
  T extends string,
> = S extends `*${infer R}`
  ? After<R, E, K, B, F, P, PL, Each<A>, `${AL}*`, AS, T>
  : FitsText<P, A> extends false
    ? MisfitText<P, PL, A, AL, AS, T>
    : S extends ` >> ${infer R}`
      ? Atom<R, E, K, B, Start<F, A>, A, AL, T>
      : S extends ` | ${infer R}`
        ? Atom<R, E, K, [...B, Chain<F, A>], None, None, '', T>
        : S extends `)${infer R}`
          ? K extends [
              infer B0 extends readonly AnyNode[],
              infer F0,
              infer P0,
              infer PL0 extends string,
              infer S0 extends string,
              infer K0,
            ]
            ? Close<[...B, Chain<F, A>], S0, T> extends infer G
              ? G extends AnyNode
                ? After<R, E, K0, B0, F0, P0, PL0, G, B extends [] ? (F extends None ? AL : '(…)') : '(…)', S0, T>
                : G
              : never
            : Failed<[`✗ at ${At<T, S>}: this bracket closes nothing`]>
          : S extends ''
            ? K extends [unknown, unknown, unknown, unknown, infer S0 extends string, unknown]
              ? Failed<[`✗ at ${At<T, S0>}: this bracket is not closed`]>
              : Close<[...B, Chain<F, A>], T, T>
            : S extends `${Space}${infer R}`
              ? After<Trim<R>, E, K, B, F, P, PL, A, AL, AS, T>
              : S extends `>>${infer R}`
                ? Atom<Trim<R>, E, K, B, Start<F, A>, A, AL, T>
                : S extends `|${infer R}`
                  ? Atom<Trim<R>, E, K, [...B, Chain<F, A>], None, None, '', T>
                  : Failed<[`✗ at ${At<T, S>}: >> or | is missing here${Hint<S>}`]>
/** What was probably meant by what stands where something else should. */
type Hint<S extends string> = S extends `${'->' | '=>' | '>'}${string}`
  ? ': one after the other is written >>'
  : S extends `&${string}`
    ? ': side by side is written |'
    : S extends `${',' | ';'}${string}`
      ? ': one after the other is written >>, side by side |'
      : S extends `${'(' | '.'}${string}`
        ? CallsHint
        : S extends `|${string}`
          ? ': side by side is written with one |, and something on both sides'
          : S extends `)${string}`
            ? ': something has to stand between brackets and behind an operator'
            : ''
type CallsHint = ': calls are made in code, give what they return a name beside the text'
/** S begins with the name W, which is none of E. */
type UnknownName<W extends string, S extends string, E, T extends string> = W extends `${infer V}${',' | ';'}${string}`
  ? NameAndComma<V, S, E, T>
  : S extends `${W}(${string}`
    ? Failed<[`✗ at ${At<T, S>}: unknown name ${W}${CallsHint}`]>
    : E extends AnyNode
      ? Failed<['✗ the names in the text stand in a record beside it, flow(text, { a, b }), but this is a node']>
      : Failed<[`✗ at ${At<T, S>}: unknown name ${W}; the names beside the text are`, keyof E]>
/** S begins with V and a comma or semicolon, which some write for an operator. */
type NameAndComma<V extends string, S extends string, E, T extends string> = V extends ''
  ? Failed<[`✗ at ${At<T, S>}: a name or a bracket is missing here${Hint<S>}`]>
  : V extends keyof E
    ? S extends `${V}${infer R}`
      ? Failed<[`✗ at ${At<T, R>}: >> or | is missing here${Hint<R>}`]>
      : never
    : UnknownName<V, S, E, T>
type FitsText<P, A extends AnyNode> = P extends AnyNode ? ([Out<P>] extends [In<A>] ? true : false) : true
type MisfitText<
  P,
  PL extends string,
  A extends AnyNode,
  AL extends string,
  AS extends string,
  T extends string,
> = P extends AnyNode ? Failed<Misfit<`${PL} >> ${AL} (at ${At<T, AS>}): ${PL}`, Out<P>, AL, In<A>>> : never
type Start<F, A> = F extends None ? A : F
type Chain<F, A extends AnyNode> = F extends AnyNode
  ? [In<F>, Out<A>] extends [infer I, infer O]
    ? Node<I, O>
    : never
  : A
type Each<A extends AnyNode> = [In<A>, Out<A>] extends [infer I, infer O] ? EachGroup<I, O> : never
type Close<B extends readonly AnyNode[], S extends string, T extends string> = B extends readonly [infer One]
  ? One
  : [MeetAll<B>, Outs<B>, Names<B>] extends [infer I, infer O, infer M]
    ? [I] extends [never]
      ? Failed<[`✗ at ${At<T, S>}: branches get the same input, but these take`, { [K in keyof B]: In<B[K]> }]>
      : Group<I, O, M>
    : never
/** Where in T the rest S begins: its number from 0 in a text of one line, `line:column` from 1 in one of several, as at run time. */
type At<T extends string, S extends string> = T extends `${infer Before}${S}`
  ? T extends `${string}\n${string}`
    ? LineAndColumn<Before>
    : Count<Before>
  : '?'
type LineAndColumn<Before extends string, Lines extends readonly 0[] = [0]> = Before extends `${string}\n${infer R}`
  ? LineAndColumn<R, [...Lines, 0]>
  : `${Lines['length']}:${Count<`.${Before}`>}`
/** How many characters S has, counted ten a step. */
type Count<
  S extends string,
  Tens extends readonly 0[] = [],
> = S extends `${infer _0}${infer _1}${infer _2}${infer _3}${infer _4}${infer _5}${infer _6}${infer _7}${infer _8}${infer _9}${infer R}`
  ? Count<R, [...Tens, 0]>
  : `${Tens['length'] extends 0 ? '' : Tens['length']}${Ones<S>}`
type Ones<S extends string, N extends readonly 0[] = []> = S extends `${infer _}${infer R}`
  ? Ones<R, [...N, 0]>
  : N['length']

type Parsed<S extends string, E> = Atom<S, E, None, [], None, None, '', S>

/** The first argument of `flow`, or what is wrong with the text. */
export type FlowText<S, E> = S extends string
  ? string extends S
    ? S
    : Parsed<S, E> extends Failed<infer M>
      ? M
      : S
  : S
/** What `flow` gives for this text and these names. */
export type FlowOf<S, E> = S extends string
  ? string extends S
    ? Untyped
    : Parsed<S, E> extends infer N extends AnyNode
      ? N
      : Untyped
  : Untyped
