import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { publish, publisherToken } from '../support/publisher.ts'
import { refusedHub } from '../support/refused-hub.ts'
import { StreamClient } from '../support/stream-client.ts'

const attributes = v.array(
  v.object({ key: v.string(), value: v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])) }),
)
const span = v.object({
  name: v.string(),
  traceId: v.string(),
  spanId: v.string(),
  parentSpanId: v.optional(v.string()),
  attributes,
})
/** A request of OTLP, as far as these tests look at it. */
const batch = v.object({
  resourceSpans: v.array(
    v.object({ resource: v.object({ attributes }), scopeSpans: v.array(v.object({ spans: v.array(span) })) }),
  ),
})

type Span = v.InferOutput<typeof span> & { readonly service: unknown }

/** A collector of OpenTelemetry that keeps what it is sent. */
class Collector {
  readonly spans: Span[] = []
  readonly requests: Request[] = []
  readonly #server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      this.requests.push(request)
      const body = v.parse(batch, await request.json())
      for (const { resource, scopeSpans } of body.resourceSpans) {
        const attributes = plain(resource.attributes)
        for (const { spans } of scopeSpans) {
          for (const span of spans) this.spans.push({ ...span, service: attributes['service.name'] })
        }
      }
      return Response.json({})
    },
  })

  get endpoint(): string {
    return `http://127.0.0.1:${this.#server.port}`
  }

  /** The span of this name in the trace, once it has come. */
  async find(name: string, traceId: string): Promise<Span> {
    const found = () => this.spans.find((span) => span.name === name && span.traceId === traceId)
    await until(`the span ${name}`, () => found() !== undefined)
    const span = found()
    if (span === undefined) throw new Error(`no span ${name}`)
    return span
  }

  async dispose(): Promise<void> {
    await this.#server.stop(true)
  }
}

function plain(attributes: Span['attributes']) {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}

const traceId = '0af7651916cd43dd8448eb211c80319c'
const remoteId = 'b7ad6b7169203331'
const environment = { OTEL_BSP_SCHEDULE_DELAY: '50' }

describe('traces of a hub', () => {
  let hub: RunningHub
  const collector = new Collector()

  beforeAll(async () => {
    hub = await startHub({
      flags: ['--hub-anonymous'],
      env: {
        ...environment,
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
        OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=42',
        OTEL_SERVICE_NAME: 'our-hub',
      },
    })
  })

  afterAll(async () => {
    await hub.dispose()
    await collector.dispose()
  })

  test('a publication with a traceparent is followed until it is stored and delivered', async () => {
    const reader = await StreamClient.open(`${hub.url}?match=books`)
    const response = await fetch(hub.url, {
      method: 'POST',
      body: new URLSearchParams({ topic: 'books', data: 'one of many secrets' }),
      headers: {
        authorization: `Bearer ${await publisherToken()}`,
        traceparent: `00-${traceId}-${remoteId}-01`,
      },
    })
    expect(response.status).toBe(200)
    await until('the event', () => reader.events.length === 1)
    const span = await collector.find('publish', traceId)
    expect(span).toMatchObject({ parentSpanId: remoteId, service: 'our-hub' })
    expect(plain(span.attributes)).toMatchObject({ 'http.request.method': 'POST' })
    for (const name of ['store', 'deliver']) {
      expect((await collector.find(name, traceId)).parentSpanId).toBe(span.spanId)
    }
    expect(new URL(collector.requests[0]?.url ?? '').pathname).toBe('/v1/traces')
    expect(collector.requests[0]?.headers.get('x-tenant')).toBe('42')
    reader.close()
  })

  test('a reader that catches up is followed until it is live, and no span has a query', async () => {
    const first = await publish(hub.url, { topic: 'films', data: '1' })
    await publish(hub.url, { topic: 'films', data: '2' })
    const other = '1af7651916cd43dd8448eb211c80319d'
    const url = `${hub.url}?match=films&last_event_id=${encodeURIComponent(first)}`
    const reader = await StreamClient.open(url, { traceparent: `00-${other}-${remoteId}-01` })
    await until('the event', () => reader.events.length === 1)
    const request = await collector.find('subscribe', other)
    const replay = await collector.find('replay', other)
    expect(replay.parentSpanId).toBe(request.spanId)
    expect(plain(replay.attributes)).toMatchObject({ 'mercure.replay.complete': true })
    expect(JSON.stringify(collector.spans)).not.toMatch(/films|secrets|last_event_id/)
    reader.close()
  })

  test('the metrics count what was sent', async () => {
    await until('spans sent', async () => (await metric(hub, 'cinnabar_spans_sent')) > 0)
    expect(await metric(hub, 'cinnabar_traces_following')).toBe(0)
    expect(await metric(hub, 'cinnabar_spans_failed')).toBe(0)
  })
})

test('spans that wait when the hub is told to stop are sent', async () => {
  const collector = new Collector()
  const hub = await startHub({ flags: ['--telemetry-otlp-endpoint', collector.endpoint] })
  await publish(hub.url, { topic: 'books' })
  expect(collector.spans).toEqual([])
  expect(await hub.stop()).toBe(0)
  await hub.dispose()
  expect(collector.spans.map(({ name }) => name).sort()).toEqual(['deliver', 'publish', 'store'])
  await collector.dispose()
})

test('a collector that is away costs nobody a publication, and is named once in the log', async () => {
  const collector = new Collector()
  const { endpoint } = collector
  await collector.dispose()
  const hub = await startHub({
    env: {
      ...environment,
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_EXPORTER_OTLP_TIMEOUT: '200',
      OTEL_BSP_MAX_QUEUE_SIZE: '4',
    },
  })
  for (let i = 0; i < 20; i++) await publish(hub.url, { topic: 'books' })
  await until('spans left out', async () => (await metric(hub, 'cinnabar_spans_dropped')) > 0)
  expect(await metric(hub, 'cinnabar_spans_waiting')).toBeLessThanOrEqual(4)
  await until('a batch that failed', async () => (await metric(hub, 'cinnabar_spans_failed')) > 0)
  await publish(hub.url, { topic: 'books' })
  await until('another', async () => (await metric(hub, 'cinnabar_spans_failed')) > 4)
  expect(hub.log().split('the collector does not take traces')).toHaveLength(2)
  await hub.dispose()
})

test('a variable that the hub cannot follow keeps it from starting', async () => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }
  const { code, message } = await refusedHub([], env)
  expect(message).toStartWith('OTEL_EXPORTER_OTLP_PROTOCOL: is grpc')
  expect(code).toBe(78)
})

test('without an endpoint there are no traces, and no figures of them', async () => {
  const hub = await startHub({ env: { OTEL_SERVICE_NAME: 'our-hub' } })
  const page = await (await fetch(`${hub.adminUrl}/metrics`)).text()
  expect(page).not.toMatch(/^cinnabar_spans_\w+ /m)
  expect(hub.log()).not.toContain('traces')
  await hub.dispose()
})
