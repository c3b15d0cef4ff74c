import { afterEach, describe, expect, test } from 'bun:test'
import { SpanStatusCode } from '@opentelemetry/api'
import { ExportResultCode } from '@opentelemetry/core'
import {
  AlwaysOffSampler,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  type SpanExporter,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { Outbox } from '../../src/telemetry/traces/outbox.ts'
import { makeSampler } from '../../src/telemetry/traces/sampler.ts'
import { Traces } from '../../src/telemetry/traces/traces.ts'
import { MemoryTransport } from '../../src/transport/memory/transport.ts'
import { HubFixture, update } from '../support/hub.ts'
import { unlimited } from '../transport/contract.ts'

const exporter = new InMemorySpanExporter()
const request = (headers: Readonly<Record<string, string>> = {}) =>
  new Request('http://hub.test/.well-known/mercure?authorization=secret', { headers })

function traced(sampler?: AlwaysOffSampler) {
  const provider = new TracerProvider({
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
    ...(sampler !== undefined && { sampler }),
  })
  return new Traces(provider.getTracer('test'), '/.well-known/mercure')
}

async function arrange() {
  const traces = traced()
  const transport = new MemoryTransport({ retention: unlimited, clock: () => 0 })
  const fixture = new HubFixture(transport, {}, null, traces)
  await fixture.hub.open()
  return { traces, transport, ...fixture, fixture }
}

const spans = () => exporter.getFinishedSpans()
const named = (name: string): ReadableSpan => {
  const span = spans().find((one) => one.name === name)
  if (span === undefined) throw new Error(`no span ${name}: ${spans().map((one) => one.name)}`)
  return span
}

afterEach(() => exporter.reset())

describe('traces', () => {
  test('a publication has spans until it is stored and until it is delivered, within its request', async () => {
    const { traces, fixture } = await arrange()
    await fixture.subscribe([['exact', 'books']])
    await fixture.subscribe([['exact', 'books']])
    const trace = traces.begin('publish', request())
    const published = update({ topics: ['books'], private: false })
    trace?.publishes(published)
    await fixture.hub.publish(published)
    trace?.answered(200)
    expect(spans().map(({ name }) => name)).toEqual(['store', 'publish'])
    await fixture.settle()
    const { spanId, traceId } = named('publish').spanContext()
    for (const name of ['store', 'deliver']) {
      expect(named(name).spanContext().traceId).toBe(traceId)
      expect(named(name).parentSpanContext?.spanId).toBe(spanId)
    }
    expect(named('deliver').attributes).toEqual({ 'mercure.turn.deliveries': 2 })
    expect(named('publish').attributes).toEqual({
      'http.request.method': 'GET',
      'http.route': '/.well-known/mercure',
      'http.response.status_code': 200,
      'mercure.topics': 1,
      'mercure.private': false,
    })
    expect(traces.size).toBe(0)
  })

  test('a traceparent is continued, and one that nobody follows is not followed (W3C Trace Context)', () => {
    const traces = traced()
    const parent = '0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331'
    traces.begin('publish', request({ traceparent: `00-${parent}-01` }))?.answered(200)
    expect(named('publish').spanContext().traceId).toBe('0af7651916cd43dd8448eb211c80319c')
    expect(named('publish').parentSpanContext?.spanId).toBe('b7ad6b7169203331')
    expect(traces.begin('publish', request({ traceparent: `00-${parent}-00` }))).toBeNull()
    traces.begin('publish', request({ traceparent: 'nonsense' }))?.answered(200)
    expect(spans().at(-1)?.parentSpanContext).toBeUndefined()
  })

  test('a reader that catches up has a span until it is live, with what it was written', async () => {
    const { traces, fixture } = await arrange()
    const first = await fixture.publish({ topics: ['books'] })
    await fixture.publish({ topics: ['books'] })
    await fixture.publish({ topics: ['books'] })
    const trace = traces.begin('subscribe', request())
    const { subscriber } = await fixture.subscribe([['exact', 'books']], { lastEventId: first })
    trace?.replays(subscriber)
    trace?.answered(200)
    expect(traces.size).toBe(1)
    await fixture.settle()
    expect(named('replay').attributes).toEqual({ 'mercure.replayed': 2, 'mercure.replay.complete': true })
    expect(traces.size).toBe(0)
  })

  test('a reader that ends before it has caught up says so', async () => {
    const { traces, fixture } = await arrange()
    await fixture.publish({ topics: ['books'] })
    const trace = traces.begin('subscribe', request())
    const { subscriber } = await fixture.subscribe([['exact', 'books']], { lastEventId: 'earliest' })
    trace?.replays(subscriber)
    fixture.hub.end(subscriber, { kind: 'client' })
    expect(named('replay').attributes).toEqual({ 'mercure.replayed': 0, 'mercure.replay.complete': false })
    expect(traces.size).toBe(0)
  })

  test('an update that the log refuses leaves an error, and nothing to wait for', async () => {
    const { traces, fixture, transport } = await arrange()
    await transport.close()
    const trace = traces.begin('publish', request())
    const published = update({ topics: ['books'] })
    trace?.publishes(published)
    expect(fixture.hub.publish(published)).rejects.toMatchObject({ code: 'store-unavailable' })
    await fixture.settle()
    trace?.answered(503)
    expect(named('store').status.code).toBe(SpanStatusCode.ERROR)
    expect(named('publish').status.code).toBe(SpanStatusCode.ERROR)
    expect(traces.size).toBe(0)
  })

  test('what a lost tail will not deliver is ended', async () => {
    const { traces, fixture } = await arrange()
    const trace = traces.begin('publish', request())
    const published = update({ topics: ['books'] })
    trace?.publishes(published)
    await fixture.hub.publish(published)
    expect(traces.size).toBe(1)
    traces.lost()
    expect(named('deliver').status.code).toBe(SpanStatusCode.ERROR)
    expect(traces.size).toBe(0)
  })

  test('updates that nobody follows, checks of health and requests out of the sample have no spans', async () => {
    const { traces, fixture } = await arrange()
    await fixture.publish({ topics: ['books'] })
    await fixture.settle()
    expect(traces.begin('health', request())).toBeNull()
    expect(traced(new AlwaysOffSampler()).begin('publish', request())).toBeNull()
    expect(spans()).toEqual([])
  })
})

describe('the outbox', () => {
  const collector = { isUp: true, held: [] as (() => void)[] }
  const inner: SpanExporter = {
    export: (_, done) => {
      const answer = collector.isUp
        ? { code: ExportResultCode.SUCCESS }
        : { code: ExportResultCode.FAILED, error: new Error('connection refused') }
      collector.held.push(() => done(answer))
    },
    shutdown: () => Promise.resolve(),
  }

  test('spans beyond the limit are left out while a collector takes its time, and all are counted', () => {
    const problems: string[] = []
    const outbox = new Outbox(2, (problem) => problems.push(problem))
    const processor = new SimpleSpanProcessor({ exporter: outbox.exporter(inner) })
    const tracer = new TracerProvider({ spanProcessors: [outbox.processor(processor)] }).getTracer('test')
    for (let i = 0; i < 3; i++) tracer.startSpan('one').end()
    expect(outbox.counts).toEqual({ waiting: 2, exported: 0, failed: 0, dropped: 1 })
    for (const answer of collector.held.splice(0)) answer()
    expect(outbox.counts).toEqual({ waiting: 0, exported: 2, failed: 0, dropped: 1 })
    collector.isUp = false
    tracer.startSpan('one').end()
    for (const answer of collector.held.splice(0)) answer()
    expect(outbox.counts).toEqual({ waiting: 0, exported: 2, failed: 1, dropped: 1 })
    expect(problems).toEqual(['connection refused'])
  })
})

test('samplers are those of the specification', () => {
  const made = (root: 'always_on' | 'always_off' | 'traceidratio', isParentBased: boolean) =>
    String(makeSampler({ root, isParentBased, share: 0.25 }))
  expect(made('always_on', true)).toContain('ParentBased{root=AlwaysOnSampler')
  expect(made('always_off', false)).toBe('AlwaysOffSampler')
  expect(made('traceidratio', false)).toBe('TraceIdRatioBased{0.25}')
  expect(made('traceidratio', true)).toContain('root=TraceIdRatioBased{0.25}')
})
