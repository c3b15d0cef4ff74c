import type { MetricSources } from '../admin/metrics.ts'
import type { Settings } from '../config/load.ts'
import type { Pace } from '../hub/pace.ts'
import type { Counters } from '../telemetry/counters.ts'
import type { EdgeParts } from './edge-options.ts'
import type { Store } from './store.ts'
import type { ResidentMemory } from './system/resident.ts'
import type { Tracing } from './tracing.ts'

/** The sources of the metrics of the admin listener. */
export function metricSources(
  { limits }: Settings,
  { transport }: Store,
  { hub, streams, matchers, uploads }: EdgeParts,
  pace: Pace,
  counters: Counters,
  resident: ResidentMemory,
  tracing: Tracing | null,
): MetricSources {
  return {
    counters,
    // The page asks the log first: all other figures are of the moment of its answer.
    snapshot: async () => ({
      history: await transport.stats().catch(() => null),
      hub: hub.gauges,
      waitingBytes: streams.waitingBytes,
      bodyBytes: uploads.bytes,
      residentBytes: resident.bytes,
      memoryLimitBytes: limits.memory,
      loopLagSeconds: streams.lagMs / 1000,
      patternWeight: matchers.weight,
      workWaiting: pace.size,
      traces: tracing === null ? null : { ...tracing.counts(), following: tracing.traces.size },
    }),
  }
}
