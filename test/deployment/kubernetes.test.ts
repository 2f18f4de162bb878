/** k8s/: each manifest has the type of its kind, overlays build, and numbers of different files fit together. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { EXPORTER_VARIABLES, SERVER_VARIABLES, WORKER_VARIABLES } from './variables.js'
import { readDoc, tableRows } from '../repo-rules/doc-table.js'
import { isInstalled, itWith, ran } from '../support/tools.js'
import { CLOSE_MS } from '../../lib/server/start-server.js'
import { type Manifest, manifestsOf, readManifests, typeFaults } from './manifests.js'

const root = join(__dirname, '../..')
const files = readdirSync(join(root, 'k8s'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => `k8s/${name.replaceAll('\\', '/')}`)
  .sort()
/** Those of kustomize and of the Prometheus Adapter are no objects of a cluster. */
const isObject = (path: string): boolean => !/kustomization\.yaml$|adapter-rules\.yaml$/.test(path)
const read = (path: string): any => parse(readFileSync(join(root, path), 'utf8'))
const find = (manifests: readonly Manifest[], kind: string, name: string): Manifest => {
  const found = manifests.filter((one) => one.kind === kind && one.metadata.name === name)
  if (found.length !== 1) throw new Error(`expected one ${kind} ${name}, got ${found.length}`)
  return found[0]!
}
const all = files.filter(isObject).flatMap(readManifests)
const overlays = readdirSync(join(root, 'k8s/overlays')).sort()
const itWithKubectl = itWith('kubectl', 'kubernetes.io/docs/tasks/tools')
const build = (folder: string): readonly Manifest[] => {
  const { status, stdout, stderr } = ran('kubectl', ['kustomize', folder])
  if (status !== 0) throw new Error(stderr)
  return manifestsOf(stdout)
}
/** What the base and the overlays build, in this order; nothing where there is no kubectl. */
const built = isInstalled('kubectl')
  ? ['base', ...overlays.map((name) => `overlays/${name}`)].map((path) => build(join(root, 'k8s', path)))
  : []
/** The longest that a stop takes beyond the graceful timeout: docs/options.md. */
const STOP_MS = 2_000

const worker = find(all, 'Deployment', 'graflow-worker')
const exporter = find(all, 'Deployment', 'graflow-exporter')
const server = find(all, 'Deployment', 'graflow-server')
const redis = find(all, 'StatefulSet', 'graflow-redis')
const settings: Readonly<Record<string, string>> = Object.fromEntries(
  read('k8s/base/kustomization.yaml').configMapGenerator[0].literals.map((literal: string) => literal.split(/=(.*)/s)),
)

describe('manifests in k8s/', () => {
  /** Manifests of a file, with a mistake in it. */
  const withFault = (path: string, right: string, wrong: string): readonly Manifest[] => {
    const source = readFileSync(join(root, path), 'utf8')
    expect(source).toContain(right)
    return manifestsOf(source.replace(right, wrong))
  }

  it('have the types of their kinds; misspelt fields and values of another type would be found out', () => {
    const wrong = [
      ...withFault('k8s/base/worker-deployment.yaml', 'terminationGracePeriodSeconds:', 'terminationGracePeriod:'),
      ...withFault('k8s/base/worker-deployment.yaml', 'runAsUser: 1000', 'runAsUser: root'),
      ...withFault('k8s/components/keda/scaled-object.yaml', 'cooldownPeriod:', 'coolDownPeriod:'),
      ...withFault('k8s/components/monitoring/pod-monitor.yaml', 'podMetricsEndpoints:', 'podMetricEndpoints:'),
      ...withFault(
        'k8s/components/monitoring/prometheus-rule.yaml',
        'alert: GraflowRedisDown',
        'alarm: GraflowRedisDown',
      ),
    ]
    expect(all.length).toBeGreaterThan(15)
    const [faults, found = []] = typeFaults([[...all, ...built.flat()], wrong])
    expect(faults).toEqual([])
    expect(found).toHaveLength(wrong.length)
    expect(found.join('\n')).toMatch(
      /terminationGracePeriod[^]*'string' is not assignable[^]*coolDownPeriod[^]*podMetricEndpoints[^]*alarm/,
    )
  })

  it('have the recommended labels, and selectors that find them', () => {
    const labels = (one: Manifest): readonly string[] => Object.keys(one.metadata.labels ?? {})
    const unlabelled = all.filter((one) => !labels(one).includes('app.kubernetes.io/part-of'))
    expect(unlabelled.map(({ kind }) => kind)).toEqual([])
    for (const one of [worker, exporter, server, redis]) {
      const { template, selector } = one['spec']
      expect(template.metadata.labels).toMatchObject(selector.matchLabels)
      expect(one.metadata.labels).toEqual(template.metadata.labels)
    }
  })

  it.each([worker, exporter, server, redis].map((one) => [one.metadata.name, one] as const))(
    '%s runs without any privilege, on a root that it cannot write',
    (_, { spec }) => {
      const pod = spec.template.spec
      expect(pod.automountServiceAccountToken).toBe(false)
      expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
      expect(pod.containers.map((one: any) => one.securityContext)).toEqual([
        { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } },
      ])
      expect(pod.containers[0].resources.limits.cpu).toBeUndefined()
      const mounts = pod.containers[0].volumeMounts.map((one: any) => one.name)
      const volumes = [...(pod.volumes ?? []), ...(spec.volumeClaimTemplates ?? []).map((one: any) => one.metadata)]
      expect(volumes.map((one) => one.name).sort()).toEqual([...mounts].sort())
    },
  )
})

it('no pod in k8s/ gets variables of Services, one of which could be REDIS_PORT=tcp://…', () => {
  const pods = all.flatMap(({ spec }) => (spec?.template?.spec === undefined ? [] : [spec.template.spec]))
  expect(pods.length).toBeGreaterThan(2)
  expect(pods.filter(({ enableServiceLinks }) => enableServiceLinks !== false)).toEqual([])
})

describe('the worker in k8s/', () => {
  const pod = worker['spec'].template.spec
  const [container] = pod.containers

  it('has longer to stop than it may take', () => {
    const grace = Number(settings['GRAFLOW_GRACEFUL_SHUTDOWN_TIMEOUT_MS'])
    expect(grace).toBeGreaterThan(0)
    expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(grace + STOP_MS)
  })

  it('is probed where it listens: its life does not depend on Redis', () => {
    const env = Object.fromEntries(container.env.map(({ name, value }: any) => [name, value]))
    expect(container.ports).toEqual([{ name: 'metrics', containerPort: Number(env.GRAFLOW_METRICS_PORT) }])
    const { startupProbe, livenessProbe, readinessProbe } = container
    expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet)).toEqual([
      ...[
        { path: '/livez', port: 'metrics' },
        { path: '/livez', port: 'metrics' },
        { path: '/readyz', port: 'metrics' },
      ],
    ])
  })

  it('is never fewer while it is rolled over, and leaves its number to who scales it', () => {
    expect(worker['spec'].replicas).toBeUndefined()
    expect(worker['spec'].strategy.rollingUpdate.maxUnavailable).toBe(0)
    expect(find(all, 'PodDisruptionBudget', 'graflow-worker')['spec']).toMatchObject({
      ...{ maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow' },
      selector: worker['spec'].selector,
    })
  })

  it('and the exporter start node itself, and are told only what they read', () => {
    expect(container.command).toEqual(['node', 'dist/bin/graflow-worker.js'])
    expect(exporter['spec'].template.spec.containers[0].command).toEqual(['node', 'dist/bin/graflow.js', 'exporter'])
    const names = [...Object.keys(settings), ...container.env.map(({ name }: any) => name)]
    expect(names.filter((name: string) => !WORKER_VARIABLES.has(name))).toEqual([])
    const told = exporter['spec'].template.spec.containers[0].env.map(({ name }: any) => name)
    expect(told.filter((name: string) => !EXPORTER_VARIABLES.has(name))).toEqual([])
  })
})

describe('the control plane in k8s/', () => {
  const pod = server['spec'].template.spec
  const [container] = pod.containers
  const env = Object.fromEntries(container.env.map(({ name, value }: any) => [name, value]))

  it('starts node itself, is told only what it reads, and by hashes who may call', () => {
    expect(container.command).toEqual(['node', 'dist/bin/graflow.js', 'serve'])
    expect(Object.keys(env).filter((name) => !SERVER_VARIABLES.has(name))).toEqual([])
    const keys = container.volumeMounts.find(({ name }: any) => name === 'keys')
    expect(env.GRAFLOW_API_KEYS_FILE).toBe(`${keys.mountPath}/keys.json`)
    expect(pod.volumes.find(({ name }: any) => name === 'keys').secret.secretName).toBe('graflow-api-keys')
  })

  it('listens where it is probed and called, by the names that it answers to', () => {
    expect(container.ports).toEqual([{ name: 'http', containerPort: Number(env.GRAFLOW_HTTP_PORT) }])
    const { startupProbe, livenessProbe, readinessProbe } = container
    expect([startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet)).toEqual([
      ...[
        { path: '/livez', port: 'http' },
        { path: '/livez', port: 'http' },
        { path: '/readyz', port: 'http' },
      ],
    ])
    const service = find(all, 'Service', 'graflow-server')
    expect(service['spec'].ports).toEqual([{ name: 'http', port: Number(env.GRAFLOW_HTTP_PORT), targetPort: 'http' }])
    const namespace = read('k8s/base/kustomization.yaml').namespace
    expect(env.GRAFLOW_ALLOWED_HOSTS.split(',')).toEqual([
      ...['', `.${namespace}`, `.${namespace}.svc`, `.${namespace}.svc.cluster.local`].map(
        (end) => service.metadata.name + end,
      ),
    ])
  })

  it('goes on for a moment after it left the Service, and has longer to stop than that and its last requests take', () => {
    const sleepS = Number(container.lifecycle.preStop.exec.command.at(-1))
    expect(sleepS).toBe(5)
    expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(sleepS * 1_000 + CLOSE_MS + STOP_MS)
  })
})

describe('autoscaling in k8s/', () => {
  const hpa = find(all, 'HorizontalPodAutoscaler', 'graflow-worker')
  const [byPrometheus, scaled] = all.filter(({ kind }) => kind === 'ScaledObject')

  it('by an HPA: looks at what is ready and, to scale in, at what is in flight', () => {
    const { metrics, minReplicas, maxReplicas, behavior, scaleTargetRef } = hpa['spec']
    expect([minReplicas, maxReplicas, scaleTargetRef.name]).toEqual([1, 20, 'graflow-worker'])
    const targets = metrics.map(({ external: { metric, target } }: any) => [metric.name, target.averageValue])
    expect(targets).toEqual([
      ['graflow_queue_depth', '10'],
      ['graflow_backlog', settings['GRAFLOW_MAX_CONCURRENT_TASKS']],
    ])
    expect(behavior.scaleUp.stabilizationWindowSeconds).toBe(0)
    expect(behavior.scaleDown).toEqual({
      ...{ stabilizationWindowSeconds: 300, policies: [{ type: 'Percent', value: 25, periodSeconds: 60 }] },
    })
    expect(scaled?.['spec'].advanced.horizontalPodAutoscalerConfig.behavior).toEqual(behavior)
  })

  it('by an HPA: counts what all replicas export once, for the metrics that it asks for', () => {
    const { externalRules } = read('k8s/components/hpa/adapter-rules.yaml')
    expect(externalRules.map((rule: any) => rule.name.as)).toEqual(
      hpa['spec'].metrics.map(({ external }: any) => external.metric.name),
    )
    for (const rule of externalRules) {
      expect(rule.resources.namespaced).toBe(false)
      expect(rule.metricsQuery).toMatch(/^max by \(key_prefix, queue\) \(/)
    }
  })

  it('by KEDA: asks the exporter for the backlog, with the key', () => {
    const spec = scaled?.['spec']
    expect([
      spec.minReplicaCount,
      spec.maxReplicaCount,
      spec.pollingInterval,
      spec.cooldownPeriod,
      spec.fallback,
    ]).toEqual([...[0, 20, 15, 300, { failureThreshold: 3, replicas: 2 }]])
    const [{ type, metadata, authenticationRef }] = spec.triggers
    const [port] = find(all, 'Service', 'graflow-exporter')['spec'].ports
    expect(type).toBe('metrics-api')
    expect(metadata).toMatchObject({ valueLocation: 'backlog', targetValue: settings['GRAFLOW_MAX_CONCURRENT_TASKS'] })
    expect(metadata.url).toBe(`http://graflow-exporter.graflow.svc:${port.port}/api/v1/autoscale?queue=default,runs`)
    const [secret] = find(all, 'TriggerAuthentication', authenticationRef.name)['spec'].secretTargetRef
    const key = exporter['spec'].template.spec.containers[0].env.find(({ name }: any) => name === 'GRAFLOW_API_KEY')
    expect(key.valueFrom.secretKeyRef).toEqual({ name: secret.name, key: secret.key, optional: true })
  })

  it('by KEDA and Prometheus: takes no answer for a failure, not for nothing to do', () => {
    const { triggers, ...rest } = byPrometheus?.['spec'] ?? {}
    expect(triggers[0].metadata).toMatchObject({ ignoreNullValues: 'false', threshold: '16' })
    expect(triggers[0].metadata.query).toMatch(/max by \(queue\)/)
    const { triggers: _, ...other } = scaled?.['spec'] ?? {}
    expect(rest).toEqual(other)
  })
})

describe('Redis in k8s/', () => {
  it('keeps what it acknowledged and refuses instead of evicting, within its memory', () => {
    const config = readFileSync(join(root, 'k8s/components/redis/redis.conf'), 'utf8')
    expect(config).toMatch(/^appendonly yes$/m)
    expect(config).toMatch(/^maxmemory-policy noeviction$/m)
    const maxmemory = Number(/^maxmemory (\d+)mb$/m.exec(config)?.[1])
    const [{ resources }] = redis['spec'].template.spec.containers
    expect(Number(/^(\d+)Mi$/.exec(resources.limits.memory)?.[1])).toBeGreaterThanOrEqual(1.5 * maxmemory)
  })
})

describe('the kustomization of docs/deployment.md', () => {
  const text = /^```yaml\n([^]*?)^```/m.exec(readDoc('deployment.md').split('\n## Kubernetes\n')[1] ?? '')?.[1] ?? ''

  itWithKubectl('builds, and asks for a worker for as many branches as one has slots for', () => {
    const folder = mkdtempSync(join(tmpdir(), 'graflow-kustomization-'))
    try {
      symlinkSync(root, join(folder, 'graflow'))
      writeFileSync(join(folder, 'kustomization.yaml'), text)
      const manifests = build(folder)
      const [config] = manifests.filter(({ kind, data }) => kind === 'ConfigMap' && 'GRAFLOW_TASKS' in data)
      const { metrics } = find(manifests, 'HorizontalPodAutoscaler', 'graflow-worker')['spec']
      const backlog = metrics.find(({ external }: any) => external.metric.name === 'graflow_backlog').external
      expect(text).toContain(`GRAFLOW_MAX_CONCURRENT_TASKS=${backlog.target.averageValue}]`)
      expect(config?.['data'].GRAFLOW_MAX_CONCURRENT_TASKS).toBe(backlog.target.averageValue)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('stands beside the settings that must change together: prefix, queues and namespace as these files have them', () => {
    const told = tableRows(readDoc('deployment.md'), 'Kubernetes').flatMap(
      ([name = '']) => /^`(GRAFLOW_\w+)`$/.exec(name)?.slice(1) ?? [],
    )
    expect(told).toEqual(
      expect.arrayContaining(['GRAFLOW_MAX_CONCURRENT_TASKS', 'GRAFLOW_KEY_PREFIX', 'GRAFLOW_QUEUES']),
    )
    const prefix = settings['GRAFLOW_KEY_PREFIX']
    const { metrics } = find(all, 'HorizontalPodAutoscaler', 'graflow-worker')['spec']
    for (const { external } of metrics) expect(external.metric.selector.matchLabels).toEqual({ key_prefix: prefix })
    const keda = all.filter(({ kind }) => kind === 'ScaledObject').map(({ spec }) => spec.triggers[0].metadata)
    expect(keda.map(({ url, query }) => url ?? query)).toEqual([
      expect.stringContaining(`{key_prefix="${prefix}",`),
      expect.stringContaining(`.${read('k8s/base/kustomization.yaml').namespace}.svc:`),
    ])
  })
})

describe('overlays in k8s/', () => {
  it('are those that docs/deployment.md tells of', () => {
    const told = tableRows(readDoc('deployment.md'), 'Kubernetes').flatMap(([folder = '']) => [
      ...folder.matchAll(/^`k8s\/overlays\/(\w+)`$/g),
    ])
    expect(told.map(([, name]) => name)).toEqual(overlays)
  })

  itWithKubectl('build, and share one base, so that they can be applied one after another', () => {
    const [base = [], ...rest] = built
    expect(rest).toHaveLength(overlays.length)
    for (const manifests of rest) {
      for (const one of base) expect(find(manifests, one.kind, one.metadata.name)).toEqual(one)
      expect(manifests.length).toBeGreaterThan(base.length)
      expect(manifests.filter(({ metadata }: any) => metadata.namespace !== 'graflow')).toEqual([])
    }
  })
})
