import { DiagLogLevel, diag } from '@opentelemetry/api'
import { setGlobalErrorHandler } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import {
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { Outbox, type SpanCounts } from './outbox.ts'
import { makeSampler, type SamplerOptions } from './sampler.ts'
import { Traces } from './traces.ts'

/** Traces on their way to a collector. */
export interface OpenTraces {
  readonly traces: Traces
  readonly counts: () => SpanCounts
  /** Sends what waits, and then nothing more. Never rejects. */
  close(): Promise<void>
}

export interface TracesOptions {
  /** The endpoint of the collector: traces go to its `/v1/traces`. */
  readonly endpoint: string
  /** The path of the hub, for the spans of requests. */
  readonly hubPath: string
  readonly version: string
  readonly sampler: SamplerOptions
  /** The number of spans that may wait. */
  readonly queue: number
  /** The number of spans that are sent together. */
  readonly batch: number
  readonly delayMs: number
  readonly timeoutMs: number
  /** Hears of each batch that the collector did not take. */
  readonly onFailure: (problem: string) => void
}

/**
 * Opens the way of traces to a collector, as OTLP over HTTP. Fields, compression, certificates and time limits are those
 * of the standard OTEL_ variables, which the exporter reads itself.
 */
export function openTraces({ endpoint, hubPath, version, ...options }: TracesOptions): OpenTraces {
  const outbox = new Outbox(options.queue, options.onFailure)
  // Failures are told by the outbox; the library would write to the console by itself.
  diag.setLogger(silent, DiagLogLevel.NONE)
  setGlobalErrorHandler(() => {})
  const batches = new BatchSpanProcessor({
    exporter: outbox.exporter(new OTLPTraceExporter({ url: `${endpoint.replace(/\/$/, '')}/v1/traces` })),
    maxQueueSize: options.queue,
    maxExportBatchSize: Math.min(options.batch, options.queue),
    scheduledDelayMillis: options.delayMs,
    exportTimeoutMillis: options.timeoutMs,
  })
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'cinnabar', 'service.version': version }).merge(
      detectResources({ detectors: [resourceAttributesEnvDetector, serviceNameEnvDetector] }),
    ),
    sampler: makeSampler(options.sampler),
    spanLimits: { attributeValueLengthLimit: 256 },
    spanProcessors: [outbox.processor(batches)],
  })
  return {
    traces: new Traces(provider.getTracer('cinnabar', version), hubPath),
    counts: () => outbox.counts,
    close: () => provider.shutdown().catch(() => {}),
  }
}

const silent = { error() {}, warn() {}, info() {}, debug() {}, verbose() {} }
