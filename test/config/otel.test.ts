import { describe, expect, test } from 'bun:test'
import { readOtelNames, traceOptions } from '../../src/config/borrowed/otel.ts'

const endpointOf = (env: Readonly<Record<string, string>>) => {
  const { givens, problems } = readOtelNames(env, false)
  expect(problems).toEqual([])
  return givens.map(({ raw, origin }) => [raw, origin.name])
}

const problemsOf = (env: Readonly<Record<string, string>>) => {
  const { givens, problems } = readOtelNames(env, false)
  expect(givens).toEqual([])
  return problems.map(({ setting }) => setting)
}

describe('the standard names of OpenTelemetry', () => {
  test('either endpoint turns traces on, and that of traces is stronger', () => {
    const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://collector:4318/'
    expect(endpointOf({ OTEL_EXPORTER_OTLP_ENDPOINT })).toEqual([
      ['http://collector:4318', 'OTEL_EXPORTER_OTLP_ENDPOINT'],
    ])
    const OTEL_EXPORTER_OTLP_TRACES_ENDPOINT = 'https://other.example/otlp/v1/traces'
    expect(endpointOf({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT })).toEqual([
      ['https://other.example/otlp', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'],
    ])
  })

  test('without an endpoint, or where the environment turns them off, there are no traces', () => {
    const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://collector:4318'
    expect(endpointOf({})).toEqual([])
    expect(endpointOf({ OTEL_SERVICE_NAME: 'hub' })).toEqual([])
    expect(endpointOf({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' })).toEqual([])
    expect(endpointOf({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_EXPORTER: 'none' })).toEqual([])
  })

  test('nothing that the hub cannot do is ignored', () => {
    const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://collector:4318'
    expect(problemsOf({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_EXPORTER: 'zipkin' })).toEqual([
      'OTEL_TRACES_EXPORTER',
    ])
    expect(problemsOf({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })).toEqual([
      'OTEL_EXPORTER_OTLP_PROTOCOL',
    ])
    expect(problemsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' })).toEqual([
      'OTEL_EXPORTER_OTLP_ENDPOINT',
    ])
    expect(problemsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://user:secret@collector' })).toEqual([
      'OTEL_EXPORTER_OTLP_ENDPOINT',
    ])
    expect(problemsOf({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/push' })).toEqual([
      'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    ])
  })

  test('samplers and sizes have the defaults of the specification', () => {
    const { sampler, ...sizes } = traceOptions({})
    expect(sampler).toEqual({ root: 'always_on', isParentBased: true, share: 1 })
    expect(sizes).toEqual({ queue: 2048, batch: 512, delayMs: 5000, timeoutMs: 30_000 })
    const given = { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }
    expect(traceOptions({ ...given, OTEL_BSP_MAX_QUEUE_SIZE: '16' })).toMatchObject({
      sampler: { root: 'traceidratio', isParentBased: false, share: 0.25 },
      queue: 16,
    })
  })

  test('wrong ones are mistakes where there are traces, and nobody’s business elsewhere', () => {
    const wrong = [
      { OTEL_TRACES_SAMPLER: 'jaeger_remote' },
      { OTEL_TRACES_SAMPLER: 'parentbased_' },
      { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '1.5' },
      { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: 'half' },
      { OTEL_BSP_MAX_QUEUE_SIZE: '0' },
      { OTEL_BSP_SCHEDULE_DELAY: 'soon' },
    ]
    for (const env of wrong) {
      expect(readOtelNames(env, true).problems).toHaveLength(1)
      expect(readOtelNames(env, false).problems).toEqual([])
    }
  })
})
