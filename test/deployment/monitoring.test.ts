/** dashboards/: alerts by Prometheus' own tool, the dashboard's expressions by the same, and every metric in them by docs/metrics.md. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { readDoc, tableRows } from '../repo-rules/doc-table.js'
import { itWith, ran } from '../support/tools.js'

const root = join(__dirname, '../..')
const read = (path: string): any => parse(readFileSync(join(root, path), 'utf8'))
const itWithPromtool = itWith('promtool', 'apt-get install prometheus')
const alerts: readonly any[] = read('dashboards/alerts.yml').groups.flatMap(({ rules }: any) => rules)
const dashboard = read('dashboards/graflow.json')
const panels: readonly any[] = dashboard.panels
const targets: readonly any[] = panels.flatMap(({ targets: some = [] }) => some)
/** Expressions of the dashboard, as Grafana sends them. */
const shown = targets.map(({ expr }): string =>
  expr.replaceAll('$__rate_interval', '1m').replaceAll('$key_prefix', '.*').replaceAll('$queue', '.*'),
)
const expressions = [...alerts.map(({ expr }): string => expr), ...shown]

/** Names of metrics, with the labels that they have. */
const documented = new Map(
  tableRows(readDoc('metrics.md'), 'All metrics').map(([name = '', , labels = '']) => [
    name.replaceAll('`', ''),
    [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label),
  ]),
)
/** What Prometheus adds to every series. */
const ADDED = ['instance', 'job']

interface Place {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}

/** Cells of the grid that a panel covers. */
const cellsOf = ({ x, y, w, h }: Place): readonly string[] =>
  Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`)

/** Metrics and labels of an expression that docs/metrics.md does not have. */
function unknownIn(expression: string): readonly string[] {
  const metrics = [...new Set(expression.match(/graflow_\w+/g) ?? [])].map((name) =>
    documented.has(name) ? name : name.replace(/_(bucket|sum|count)$/, ''),
  )
  const known = new Set([...ADDED, ...metrics.flatMap((name) => documented.get(name) ?? [])])
  const labels = [
    ...[...expression.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/, */)),
    ...[...expression.matchAll(/(\w+)=~?"/g)].map(([, label = '']) => label),
  ].filter((label) => label !== '')
  return [
    ...(metrics.length === 0 ? [`${expression} asks for no metric`] : []),
    ...[...metrics.filter((name) => !documented.has(name)), ...labels.filter((label) => !known.has(label))].map(
      (name) => `${name} in ${expression}`,
    ),
  ]
}

describe('dashboards/alerts.yml', () => {
  it('has the alerts that were promised, each with a severity, a summary and a runbook', () => {
    expect([...new Set(alerts.map(({ alert }) => alert))].sort()).toEqual([
      ...['GraflowAbsent', 'GraflowBarrierStuck', 'GraflowDeadLettersGrowing', 'GraflowFailureRatio'],
      ...['GraflowNoLeader', 'GraflowNoWorkers'],
      ...['GraflowOldestBranchTooOld', 'GraflowQueueBacklog', 'GraflowRedisDown', 'GraflowRetryStorm'],
      ...['GraflowSessionsLost'],
    ])
    const runbooks = [...readDoc('alerts.md').matchAll(/^## (\w+)$/gm)].map(([, name]) => name)
    expect([...runbooks].sort()).toEqual([...new Set(alerts.map(({ alert }) => alert))].sort())
    for (const { alert, labels, annotations } of alerts) {
      expect([alert, labels.severity]).toEqual([alert, expect.stringMatching(/^(critical|warning)$/)])
      expect(annotations).toEqual({
        ...{ summary: expect.any(String), description: expect.any(String) },
        runbook_url: `docs/alerts.md#${alert.toLowerCase()}`,
      })
    }
  })

  it('is what the operator of Prometheus gets, too', () => {
    const rule = read('k8s/components/monitoring/prometheus-rule.yaml')
    expect(rule.spec.groups).toEqual(read('dashboards/alerts.yml').groups)
  })

  itWithPromtool('fires and resolves as dashboards/alerts.test.yml says, which has a case for each', () => {
    const { status, stdout, stderr } = ran('promtool', ['test', 'rules', join(root, 'dashboards/alerts.test.yml')])
    expect([status, `${stdout}${stderr}`]).toEqual([0, expect.stringContaining('SUCCESS')])
    const fired = read('dashboards/alerts.test.yml').tests.flatMap(({ alert_rule_test: cases }: any) =>
      cases.filter(({ exp_alerts: expected }: any) => expected.length > 0).map(({ alertname }: any) => alertname),
    )
    expect([...new Set(fired)].sort()).toEqual([...new Set(alerts.map(({ alert }) => alert))].sort())
  })

  itWithPromtool('and dashboards/prometheus.yml are what Prometheus reads', () => {
    const args = ['check', 'config', '--syntax-only', join(root, 'dashboards/prometheus.yml')]
    const { status, stdout, stderr } = ran('promtool', args)
    expect([status, `${stdout}${stderr}`]).toEqual([0, expect.stringContaining('SUCCESS')])
  })
})

describe('dashboards/graflow.json', () => {
  it('has its data from where the viewer chooses, in every panel', () => {
    const [source] = dashboard.templating.list
    expect([source.name, source.type, source.query]).toEqual(['datasource', 'datasource', 'prometheus'])
    const asked = [...panels.filter(({ type }) => type !== 'row'), ...targets, ...dashboard.templating.list.slice(1)]
    expect(asked.filter(({ datasource }) => datasource?.uid !== '${datasource}')).toEqual([])
  })

  it('has a title, a description, a unit and a place of its own for every panel', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const places = panels.flatMap(({ gridPos }) => cellsOf(gridPos))
    expect(new Set(places).size).toBe(places.length)
    const drawn = panels.filter(({ type }) => type !== 'row')
    expect(drawn.length).toBeGreaterThan(15)
    const bare = drawn.filter(
      ({ title, description, fieldConfig }) => title === '' || description === '' || !fieldConfig.defaults.unit,
    )
    expect(bare).toEqual([])
  })
})

describe('expressions of alerts and dashboard', () => {
  itWithPromtool('are PromQL', () => {
    const folder = mkdtempSync(join(tmpdir(), 'graflow-rules-'))
    const check = (all: readonly string[]): ReturnType<typeof ran> => {
      const rules = all.map((expr, n) => ({ record: `graflow:r${n}`, expr }))
      writeFileSync(join(folder, 'rules.yml'), stringify({ groups: [{ name: 'all', rules }] }))
      return ran('promtool', ['check', 'rules', join(folder, 'rules.yml')])
    }
    const { status, stdout, stderr } = check(expressions)
    const wrong = check(['sum by (queue graflow_queue_depth)']).status
    rmSync(folder, { recursive: true })
    expect([status, stderr, stdout]).toEqual([0, '', expect.stringContaining(`${expressions.length} rules found`)])
    expect(wrong).toBe(1)
  })

  it('ask for metrics and labels that docs/metrics.md has', () => {
    expect(expressions.flatMap(unknownIn)).toEqual([])
  })

  it.each([
    ['max(graflow_queue_dept)', ['graflow_queue_dept in max(graflow_queue_dept)']],
    ['sum by (task) (graflow_queue_depth)', ['task in sum by (task) (graflow_queue_depth)']],
    ['graflow_tasks_total{queue="x"}', ['queue in graflow_tasks_total{queue="x"}']],
    ['up', ['up asks for no metric']],
  ])('would be found out: %s', (expression, faults) => {
    expect(unknownIn(expression)).toEqual(faults)
  })

  it('of autoscalers ask for them, too', () => {
    const { externalRules } = read('k8s/components/hpa/adapter-rules.yaml')
    const { triggers } = read('k8s/components/keda/scaled-object-prometheus.yaml').spec
    const asked: string[] = [
      ...externalRules.map((rule: any) => rule.metricsQuery.replace('<<.Series>>', rule.name.as)),
      ...triggers.map(({ metadata }: any) => metadata.query),
    ]
    expect(asked.flatMap(unknownIn)).toEqual([])
  })
})
