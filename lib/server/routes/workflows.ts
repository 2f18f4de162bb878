/** Workflows that can be started by their names: those that workers have registered, and those of this process. */
import { createRoute, z } from '@hono/zod-openapi'
import { pageOf as pageOfAll } from '../../admin/pages.js'
import type { StoredWorkflow } from '../../backend/backend.js'
import { print } from '../../flow/print.js'
import { inputSchemaOf } from '../../graph/input-schema.js'
import { toMermaid } from '../../graph/mermaid.js'
import { workflowNamed } from '../../producer/named-workflows.js'
import { access, answers, given, PageQuery, pageOf, sendJson, type ServerApp } from '../route.js'
import type { ServerServices } from '../services.js'

const WorkflowName = z.object({
  name: z
    .string()
    .min(1)
    .max(512)
    .openapi({ param: { name: 'name', in: 'path' }, example: 'nightly' }),
})
const Workflow = z
  .object({
    name: z.string(),
    hash: z.string().openapi({ description: 'The sha-256 of its graph.' }),
    text: z.string().optional().openapi({ description: 'The flow as text, where its code is in this process.' }),
    tasks: z.array(z.string()),
    graph: z.record(z.string(), z.unknown()),
    mermaid: z.string(),
    timeoutMs: z.int().optional(),
    pin: z.boolean().optional(),
    buildId: z.string().optional(),
    inputSchema: z
      .record(z.string(), z.unknown())
      .optional()
      .openapi({ description: 'What its first task takes, as JSON Schema, where it says so.' }),
  })
  .openapi('Workflow')

const listWorkflows = createRoute({
  ...{
    method: 'get',
    path: '/api/v1/workflows',
    tags: ['workflows'],
    summary: 'Workflows, by name.',
    ...access('read'),
  },
  request: { query: PageQuery },
  responses: answers({ 200: ['A page of workflows.', pageOf(z.object({ name: z.string() }))] }),
})
const getWorkflow = createRoute({
  ...{
    method: 'get',
    path: '/api/v1/workflows/{name}',
    tags: ['workflows'],
    summary: 'One workflow.',
    ...access('read'),
  },
  request: { params: WorkflowName },
  responses: answers({ 200: ['The workflow.', Workflow] }, 404),
})

export function addWorkflowRoutes(app: ServerApp, { session }: ServerServices): void {
  const { backend, engine } = session
  app.openapi(listWorkflows, async (c) => {
    const names = new Set([...engine.registry.workflows.keys(), ...(await backend.inspect.workflowNames())])
    const all = [...names].map((name) => ({ name }))
    return sendJson(pageOfAll(all, given(c.req.valid('query')), ({ name }) => name))
  })
  app.openapi(getWorkflow, async (c) => {
    const { name } = c.req.valid('param')
    const { graph, expression } = await workflowNamed(backend.inspect, engine, name)
    const own = engine.registry.workflows.get(name)
    const stored: StoredWorkflow | undefined = own === undefined ? await backend.inspect.workflow(name) : undefined
    const schema = own === undefined ? stored?.inputSchema : inputSchemaOf(own)?.text
    const { timeoutMs, pin } = own?.options ?? stored ?? {}
    return sendJson({
      ...{ name, hash: engine.graphs.keep(graph), tasks: Object.keys(graph.tasks), graph, mermaid: toMermaid(graph) },
      ...(expression !== undefined && { text: print(expression) }),
      ...given({ timeoutMs, pin, buildId: stored?.buildId }),
      ...(schema !== undefined && { inputSchema: parsed(schema) }),
    })
  })
}

/** Whoever registered it may be of another release. */
function parsed(schema: string): unknown {
  try {
    return JSON.parse(schema)
  } catch {
    return undefined
  }
}
