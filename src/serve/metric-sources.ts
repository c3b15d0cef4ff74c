import type { MetricSources } from '../admin/metrics.ts'
import type { Settings } from '../config/load.ts'
import type { Hub } from '../hub/hub.ts'
import type { OpenStreams } from '../stream/open-streams.ts'
import type { Counters } from '../telemetry/counters.ts'
import { monotonic } from './loop.ts'
import type { Store } from './store.ts'

/** Where the metrics of the admin listener are read from. */
export function metricSources(
  { limits }: Settings,
  { transport }: Store,
  hub: Hub,
  streams: OpenStreams,
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
      residentBytes: process.memoryUsage.rss(),
      memoryLimitBytes: limits.memory,
      loopLagSeconds: streams.lagMs / 1000,
    }),
  }
}
