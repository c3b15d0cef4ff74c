import type { MetricSources } from '../admin/metrics.ts'
import type { Settings } from '../config/load.ts'
import type { Counters } from '../telemetry/counters.ts'
import type { EdgeParts } from './edge-options.ts'
import { monotonic } from './loop.ts'
import type { Store } from './store.ts'

/** Where the metrics of the admin listener are read from. */
export function metricSources(
  { limits }: Settings,
  { transport }: Store,
  { hub, streams, uploads }: EdgeParts,
  counters: Counters,
): MetricSources {
  return {
    counters,
    // The log is asked first: everything else is of the moment of its answer.
    snapshot: async () => ({
      history: await transport.stats().catch(() => null),
      hub: hub.gauges,
      now: monotonic(),
      waitingBytes: streams.waitingBytes,
      bodyBytes: uploads.bytes,
      residentBytes: process.memoryUsage.rss(),
      memoryLimitBytes: limits.memory,
      loopLagSeconds: streams.lagMs / 1000,
    }),
  }
}
