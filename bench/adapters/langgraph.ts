/**
 * LangGraph: a graph of nodes over state channels. The fan-out is one `Send` an item, the join a reducer that concatenates. Without a
 * checkpointer, so that it saves nothing, which is the fastest it can be.
 */
import { setMaxListeners } from 'node:events'
import { Annotation, END, Send, START, StateGraph } from '@langchain/langgraph'
import type { OpenSystem } from '../system.js'
import type { Workload } from '../workload.js'

export const open: OpenSystem = async <T>({ step, total }: Workload<T>) => {
  // All branches of a superstep listen to one signal, which Node would warn of.
  setMaxListeners(0)
  const state = Annotation.Root({
    items: Annotation<readonly T[]>(),
    item: Annotation<T>(),
    results: Annotation<readonly T[]>({ reducer: (all, more) => all.concat(more), default: () => [] }),
    answer: Annotation<number>(),
  })
  const graph = new StateGraph(state)
    .addNode('step', async ({ item }: { readonly item: T }) => ({ results: [await step(item)] }))
    .addNode('total', ({ results }: { readonly results: readonly T[] }) => ({ answer: total(results) }))
    .addConditionalEdges(START, ({ items }) => items.map((item) => new Send('step', { item })), ['step'])
    .addEdge('step', 'total')
    .addEdge('total', END)
    .compile()
  return {
    run: async (items: readonly T[]) => {
      const { answer } = await graph.invoke({ items })
      return answer
    },
    close: async () => undefined,
  }
}
