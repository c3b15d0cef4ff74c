import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { HubGauges } from '../hub/event.ts'
import type { TransportStats } from '../hub/transport.ts'
import { type Counters, type Durations, durationBounds } from '../telemetry/log.ts'

/** Where the figures come from. They are asked for when somebody reads the metrics, and only then. */
export interface MetricSources {
  readonly counters: Counters
  readonly gauges: () => HubGauges
  readonly stats: () => TransportStats
  readonly waitingBytes: () => number
  /** Milliseconds of the transport's clock. */
  readonly clock: () => number
  readonly residentBytes: () => number
  readonly memoryLimitBytes: () => number
  readonly loopLagSeconds: () => number
  /** Every update since the log began has a position of its own. */
  readonly headPosition: () => number
}

/** The registry of the admin listener. Names that dashboards for Mercure hubs know keep their meaning. */
export function metrics(sources: MetricSources): Registry {
  const registry = new Registry()
  for (const [name, help, read] of totals(sources)) counter(registry, name, help, read)
  for (const [name, help, read] of levels(sources)) gauge(registry, name, help, read)
  tokenFailures(registry, sources.counters)
  latencies(registry, sources.counters)
  return registry
}

type Row = readonly [name: string, help: string, read: () => number]

function totals({ counters }: MetricSources): readonly Row[] {
  return [
    ['mercure_subscribers_total', 'Subscribers that connected', () => counters.subscribers],
    ['mercure_updates_total', 'Updates that were accepted', () => counters.updates],
    ['mercure_updates_failed_total', 'Updates that could not be stored', () => counters.updatesFailed],
    ['cinnabar_deliveries_total', 'Updates written to live subscribers', () => counters.deliveries],
    ['cinnabar_replayed_total', 'Updates written to subscribers that caught up', () => counters.replayed],
    [
      'cinnabar_announcements_failed_total',
      'Subscription events not stored',
      () => counters.announcementsFailed,
    ],
    ['cinnabar_shed_episodes_total', 'Times that memory was above its budget', () => counters.shedEpisodes],
    ['cinnabar_shed_readers_total', 'Streams ended to get memory back', () => counters.shedReaders],
    [
      'cinnabar_slow_readers_total',
      'Streams cut because their reader was too slow',
      () => counters.slowReaders,
    ],
  ]
}

function levels(sources: MetricSources): readonly Row[] {
  const { gauges, stats, waitingBytes, clock, residentBytes, memoryLimitBytes, loopLagSeconds } = sources
  const dropped = () => Math.max(0, sources.headPosition() - stats().rows)
  const oldestAge = () => {
    const { oldestAt } = stats()
    return oldestAt === null ? 0 : Math.max(0, clock() - oldestAt) / 1000
  }
  return [
    ['mercure_subscribers_connected', 'Subscribers connected now', () => gauges().subscribers],
    ['cinnabar_subscribers_replaying', 'Subscribers that catch up with the past', () => gauges().replaying],
    ['cinnabar_shedding_step', 'How far load is shed: 0 not at all, 4 connections', () => gauges().shedding],
    ['cinnabar_subscriber_buffer_bytes', 'Bytes waiting for slow readers', waitingBytes],
    [
      'cinnabar_announcing_bytes',
      'Bytes of subscription events that are still to be stored',
      () => gauges().announcingBytes,
    ],
    ['cinnabar_pending_bytes', 'Bytes accepted and not dispatched yet', () => gauges().pendingBytes],
    ['cinnabar_routing_topics', 'Exact topics that somebody reads', () => gauges().topics],
    ['cinnabar_routing_patterns', 'Distinct patterns that somebody reads', () => gauges().patterns],
    ['cinnabar_routing_cache_entries', 'Topics remembered with their patterns', () => gauges().remembered],
    ['cinnabar_history_rows', 'Updates kept', () => stats().rows],
    ['cinnabar_history_bytes', 'Stored bytes of the updates kept', () => stats().bytes],
    ['cinnabar_history_oldest_age_seconds', 'Age of the oldest update kept', oldestAge],
    ['cinnabar_history_file_bytes', 'The history file and its journal', () => stats().fileBytes],
    ['cinnabar_history_dropped_entries', 'Updates dropped by retention since the log began', dropped],
    ['cinnabar_memory_limit_bytes', 'The budget of resident memory; 0 is none', memoryLimitBytes],
    ['cinnabar_event_loop_lag_seconds', 'How late the last heartbeat timer was', loopLagSeconds],
    ['cinnabar_resident_bytes', 'Resident memory of the process', residentBytes],
  ]
}

function counter(registry: Registry, name: string, help: string, read: () => number): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset()
      this.inc(read())
    },
  })
}

function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read())
    },
  })
}

function latencies(registry: Registry, { publishTimes, deliveryTimes }: Counters): void {
  registry.registerMetric(
    new DurationHistogram(publishTimes, {
      name: 'cinnabar_publish_seconds',
      help: 'From an update that passed every check to its place in the log',
    }),
  )
  registry.registerMetric(
    new DurationHistogram(deliveryTimes, {
      name: 'cinnabar_delivery_seconds',
      help: 'From the log to the last reader of a turn, for the oldest update of the turn',
    }),
  )
}

/**
 * A histogram of what was counted elsewhere: prom-client's own `observe` costs more than to store an update in
 * memory. Names, labels and order come from one that stays empty.
 */
class DurationHistogram extends Histogram {
  readonly #source: Durations
  readonly #empty: Histogram

  constructor(source: Durations, named: { readonly name: string; readonly help: string }) {
    const configuration = { ...named, buckets: [...durationBounds], registers: [] }
    super(configuration)
    this.#source = source
    this.#empty = new Histogram(configuration)
  }

  override async get() {
    const { cumulative, sum } = this.#source
    const figures = [...cumulative, sum, cumulative.at(-1)]
    const rows = await this.#empty.get()
    return { ...rows, values: rows.values.map((row, index) => ({ ...row, value: figures[index] ?? 0 })) }
  }

  /** What the registry of prom-client 15.1.3 asks for instead. */
  getForPromString() {
    return this.get()
  }
}

function tokenFailures(registry: Registry, counters: Counters): void {
  new Counter({
    name: 'cinnabar_token_failures_total',
    help: 'Tokens that were refused, by reason',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      this.reset()
      for (const [reason, count] of counters.tokenFailures) this.inc({ reason }, count)
    },
  })
}
