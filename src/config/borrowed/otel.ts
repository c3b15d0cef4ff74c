import { otlpEndpoint } from '../addresses.ts'
import { attempt } from '../file.ts'
import { type Given, type Problem, problem, type Source } from '../given.ts'
import { findKey, type Name } from '../names.ts'

/**
 * The standard environment names of OpenTelemetry (its specification, "General SDK configuration" and "OTLP exporter").
 * Two of them say where traces go, and own names are stronger. The exporter itself reads those for its fields, time limits,
 * compression and certificates. Names that the hub does not know are left alone: other programs have them too.
 */

type Environment = Readonly<Record<string, string | undefined>>

/** How traces are made and sent. */
export interface TraceOptions {
  readonly sampler: {
    readonly root: 'always_on' | 'always_off' | 'traceidratio'
    /** Whether a request whose `traceparent` decides is left to it. */
    readonly isParentBased: boolean
    /** The share of traces, where the root takes a share. */
    readonly share: number
  }
  /** The number of spans that may wait. */
  readonly queue: number
  /** The number of spans that are sent together. */
  readonly batch: number
  /** Milliseconds between two batches. */
  readonly delayMs: number
  /** Milliseconds that a collector may take for a batch. */
  readonly timeoutMs: number
}

/** Reads the place of traces. `isAsked`: whether own names say that there are traces. */
export function readOtelNames(env: Environment, isAsked: boolean): Source {
  const found = isOff(env) ? null : endpoint(env)
  const name = findKey('telemetry.otlp_endpoint')
  if (name === null || (found === null && !isAsked)) return { givens: [], whole: [], problems: [] }
  const problems = [
    ...(found === null ? [] : wrongPlace(found)),
    ...wrongKind(env),
    ...readOptions(env).problems,
  ]
  const givens = found === null || problems.length > 0 ? [] : [given(name, found)]
  return { givens, whole: [], problems }
}

/** The options of the environment, with the defaults of the specification in the place of what is absent or wrong. */
export function traceOptions(env: Environment): TraceOptions {
  return readOptions(env).options
}

interface Found {
  readonly written: string
  readonly name: string
  readonly isForTraces: boolean
}

function endpoint(env: Environment): Found | null {
  const own = 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'
  const common = 'OTEL_EXPORTER_OTLP_ENDPOINT'
  const traces = env[own] ?? ''
  if (traces !== '') return { written: traces, name: own, isForTraces: true }
  const all = env[common] ?? ''
  return all === '' ? null : { written: all, name: common, isForTraces: false }
}

/** Whether the environment turns traces off, however it names their place. */
function isOff(env: Environment): boolean {
  return env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true' || env['OTEL_TRACES_EXPORTER'] === 'none'
}

function wrongPlace({ written, name, isForTraces }: Found): readonly Problem[] {
  const read = attempt(() => otlpEndpoint.read(written))
  if (read instanceof Error) return [problem(name, read.message)]
  const fits = !isForTraces || withoutSlash(written).endsWith(PATH)
  return fits ? [] : [problem(name, `does not end in ${PATH}, where the hub sends traces`)]
}

function wrongKind(env: Environment): readonly Problem[] {
  const exporter = env['OTEL_TRACES_EXPORTER'] ?? ''
  const isOther = !['', 'otlp', 'none'].includes(exporter)
  return [
    ...(isOther
      ? [problem('OTEL_TRACES_EXPORTER', 'is not otlp or none: the hub has no other exporter')]
      : []),
    ...['OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', 'OTEL_EXPORTER_OTLP_PROTOCOL']
      .filter((name) => env[name] === 'grpc')
      .map((name) => problem(name, 'is grpc: the hub sends OTLP over HTTP, usually to port 4318')),
  ]
}

function given(name: Name, { written, name: env, isForTraces }: Found): Given {
  const trimmed = withoutSlash(written)
  const raw = isForTraces ? trimmed.slice(0, -PATH.length) : trimmed
  return { name, index: null, raw, origin: { kind: 'environment', name: env } }
}

function withoutSlash(url: string): string {
  return url.endsWith('/') ? url.slice(0, -1) : url
}

/** The path of traces below an endpoint (OTLP specification, section "OTLP/HTTP Request"). */
const PATH = '/v1/traces'

function readOptions(env: Environment) {
  const problems: Problem[] = []
  const whole = (name: string, fallback: number) => {
    const value = Number(env[name] || fallback)
    if (Number.isSafeInteger(value) && value > 0) return value
    problems.push(problem(name, 'is no whole number above 0'))
    return fallback
  }
  const options: TraceOptions = {
    sampler: readSampler(env, problems),
    queue: whole('OTEL_BSP_MAX_QUEUE_SIZE', 2048),
    batch: whole('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 512),
    delayMs: whole('OTEL_BSP_SCHEDULE_DELAY', 5000),
    timeoutMs: whole('OTEL_BSP_EXPORT_TIMEOUT', 30_000),
  }
  return { options, problems }
}

function readSampler(env: Environment, problems: Problem[]): TraceOptions['sampler'] {
  const name = env['OTEL_TRACES_SAMPLER'] || 'parentbased_always_on'
  const isParentBased = name.startsWith('parentbased_')
  const root = roots.find((one) => one === (isParentBased ? name.slice('parentbased_'.length) : name))
  if (root === undefined) problems.push(problem('OTEL_TRACES_SAMPLER', 'is no sampler that the hub knows'))
  const share = root === 'traceidratio' ? Number(env['OTEL_TRACES_SAMPLER_ARG'] || 1) : 1
  const isShare = share >= 0 && share <= 1
  if (!isShare) problems.push(problem('OTEL_TRACES_SAMPLER_ARG', 'is no share between 0 and 1'))
  return { root: root ?? 'always_on', isParentBased, share: isShare ? share : 1 }
}

const roots = ['always_on', 'always_off', 'traceidratio'] as const
