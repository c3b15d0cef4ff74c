import { traceOptions } from '../config/borrowed/otel.ts'
import type { Settings } from '../config/load.ts'
import type { RequestTracer } from '../http/trace.ts'
import type { Witness } from '../hub/witness.ts'
import type { Log } from '../telemetry/log.ts'
import { openTraces } from '../telemetry/traces/open.ts'
import type { SpanCounts } from '../telemetry/traces/outbox.ts'
import { within } from './drain.ts'
import { processLoop } from './loop.ts'

/** The traces of a hub as a process. */
export interface Tracing {
  readonly traces: RequestTracer & Witness & { readonly size: number }
  readonly counts: () => SpanCounts
  /** Sends what waits, for a moment. */
  close(): Promise<void>
}

/** Opens traces to a collector; `env` says how they are sent, and `load` has checked it. */
export function openTracing(
  endpoint: string,
  { hub }: Settings,
  log: Log,
  env: Readonly<Record<string, string | undefined>>,
  version: string,
): Tracing {
  const failures = new Failures(log)
  const onFailure = (problem: string) => failures.add(problem)
  const { traces, counts, close } = openTraces({
    ...traceOptions(env),
    endpoint,
    hubPath: hub.path,
    version,
    onFailure,
  })
  log.info('traces are sent', { endpoint })
  return {
    traces,
    counts,
    close: async () => {
      await within(CLOSE_MS, close())
    },
  }
}

/** One line a minute about a collector that takes nothing. */
class Failures {
  readonly #log: Log
  #batches = 0
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(log: Log) {
    this.#log = log
  }

  add(problem: string): void {
    this.#batches++
    if (processLoop.now() - this.#toldAt < BETWEEN_LINES_MS) return
    this.#toldAt = processLoop.now()
    this.#log.warn('the collector does not take traces', { problem, batches: this.#batches })
  }
}

const BETWEEN_LINES_MS = 60_000

/** The longest time that the end of the hub waits for a collector, in milliseconds. */
const CLOSE_MS = 2000
