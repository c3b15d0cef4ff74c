import { promises } from 'node:fs'
import type { MetricSources, ProcessLevels } from '../admin/metrics.ts'
import type { Settings } from '../config/load.ts'
import type { Pace } from '../hub/pace.ts'
import type { Counters } from '../telemetry/counters.ts'
import type { EdgeParts } from './edge-options.ts'
import type { Store } from './store/store.ts'
import { descriptorLimit, openDescriptors } from './system/descriptors.ts'
import type { ResidentMemory } from './system/resident.ts'
import type { Tracing } from './tracing.ts'

/** The sources of the metrics of the admin listener. */
export function metricSources(
  settings: Settings,
  { transport, cluster }: Store,
  { hub, streams, matchers, uploads }: EdgeParts,
  { pace, counters, resident, tracing, isReady, build }: Measured,
): MetricSources {
  return {
    counters,
    build,
    cluster,
    // The page asks the log first: all other figures are of the moment of its answer.
    snapshot: async () => ({
      isReady: await isReady(),
      diskFreeBytes: await diskFreeBytes(settings),
      history: await transport.stats().catch(() => null),
      hub: hub.gauges,
      waitingBytes: streams.waitingBytes,
      bodyBytes: uploads.bytes,
      residentBytes: resident.bytes,
      memoryLimitBytes: settings.limits.memory,
      loopLagSeconds: streams.lagMs / 1000,
      patternWeight: matchers.weight,
      workWaiting: pace.size,
      process: processLevels(),
      traces: tracing === null ? null : { ...tracing.counts(), following: tracing.traces.size },
    }),
  }
}

/** The parts that only metrics look at. */
export interface Measured {
  readonly pace: Pace
  readonly counters: Counters
  readonly resident: ResidentMemory
  readonly tracing: Tracing | null
  /** Whether the hub takes a publication now. Never rejects. */
  readonly isReady: () => Promise<boolean>
  readonly build: MetricSources['build']
}

/** Free bytes on the disk of the history, for a user without privileges. */
async function diskFreeBytes({ transport, sqlite }: Settings): Promise<number | null> {
  if (transport !== 'sqlite') return null
  try {
    const { bavail, bsize } = await promises.statfs(sqlite.path)
    return bavail * bsize
  } catch {
    return null
  }
}

function processLevels(): ProcessLevels {
  const { user, system } = process.cpuUsage()
  return {
    cpuSeconds: (user + system) / 1e6,
    openDescriptors: openDescriptors(),
    descriptorLimit: descriptorLimit(),
    startedAt: performance.timeOrigin / 1000,
  }
}
