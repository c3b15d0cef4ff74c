import { TraceFlags } from '@opentelemetry/api'
import { ExportResultCode } from '@opentelemetry/core'
import type { SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace'

/** Counts of spans, for metrics. */
export interface SpanCounts {
  /** Spans that ended and are still to be sent. */
  readonly waiting: number
  readonly exported: number
  /** Spans that the collector did not take. */
  readonly failed: number
  /** Spans left out because too many waited. */
  readonly dropped: number
}

/**
 * Counts the spans between their end and the collector, and bounds them: a collector that is slow or away costs the
 * spans beyond `waitingMax`, and never memory.
 */
export class Outbox {
  readonly #waitingMax: number
  readonly #onFailure: (problem: string) => void
  readonly #counts = { waiting: 0, exported: 0, failed: 0, dropped: 0 }

  /** `onFailure` hears of each batch that the collector did not take. */
  constructor(waitingMax: number, onFailure: (problem: string) => void) {
    this.#waitingMax = waitingMax
    this.#onFailure = onFailure
  }

  get counts(): SpanCounts {
    return this.#counts
  }

  /** The way in: everything that this processor takes must come to an exporter of this outbox. */
  processor(inner: SpanProcessor): SpanProcessor {
    return {
      onStart: (span, context) => inner.onStart(span, context),
      onEnd: (span) => {
        // The processor that gathers batches takes no others.
        if ((span.spanContext().traceFlags & TraceFlags.SAMPLED) === 0) return
        if (this.#counts.waiting >= this.#waitingMax) {
          this.#counts.dropped++
          return
        }
        this.#counts.waiting++
        inner.onEnd(span)
      },
      forceFlush: () => inner.forceFlush(),
      shutdown: () => inner.shutdown(),
    }
  }

  /** The way out. */
  exporter(inner: SpanExporter): SpanExporter {
    return {
      export: (spans, done) => {
        inner.export(spans, (result) => {
          this.#counts.waiting -= spans.length
          if (result.code === ExportResultCode.SUCCESS) this.#counts.exported += spans.length
          else {
            this.#counts.failed += spans.length
            this.#onFailure(result.error?.message ?? 'unknown')
          }
          done(result)
        })
      },
      shutdown: () => inner.shutdown(),
    }
  }
}
