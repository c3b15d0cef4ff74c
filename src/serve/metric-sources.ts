import type { MetricSources } from '../admin/metrics.ts'
import type { Settings } from '../config/load.ts'
import type { Pace } from '../hub/pace.ts'
import type { Counters } from '../telemetry/counters.ts'
import type { EdgeParts } from './edge-options.ts'
import type { ResidentMemory } from './resident.ts'
import type { Store } from './store.ts'

/** Where the metrics of the admin listener are read from. */
export function metricSources(
  { limits }: Settings,
  { transport }: Store,
  { hub, streams, matchers, uploads }: EdgeParts,
  pace: Pace,
  counters: Counters,
  resident: ResidentMemory,
): MetricSources {
  return {
    counters,
    // The log is asked first: everything else is of the moment of its answer.
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
    }),
  }
}
