import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { HubGauges } from '../hub/event.ts'
import type { TransportStats } from '../hub/transport.ts'
import { type Counters, type Durations, durationBounds } from '../telemetry/counters.ts'
import type { SpanCounts } from '../telemetry/traces/outbox.ts'

/** The sources of the figures. The page asks them when somebody reads the metrics, and only then. */
export interface MetricSources {
  /** Totals since the start. */
  readonly counters: Counters
  /** The version, the commit and the like, as labels. */
  readonly build: Readonly<Record<string, string>>
  /** All levels, asked once for each page, so that its gauges agree. Never rejects. */
  readonly snapshot: () => Promise<Snapshot>
  /** Figures of a node that shares its log with others; null for a hub that is alone: its page has none of them. */
  readonly cluster: (() => ClusterFigures) | null
}

/** A node and its log on a server: levels, and totals since the start. */
export interface ClusterFigures {
  readonly isUp: boolean
  readonly reconnects: number
  readonly batches: number
  /** Bytes that wait to be stored. */
  readonly waitingBytes: number
  /** Entries that are in the log and were not delivered here, at the last look. */
  readonly lag: number
  readonly forks: number
  readonly losses: number
  readonly nodes: number
  /** Subscribers of dead nodes whose ends this node has told. */
  readonly reaped: number
}

/** The levels of one moment. */
export interface Snapshot {
  readonly hub: HubGauges
  /** Null when the log cannot say. */
  readonly history: TransportStats | null
  /** Bytes waiting for slow readers. */
  readonly waitingBytes: number
  /** Bytes of request bodies that the hub is receiving. */
  readonly bodyBytes: number
  readonly residentBytes: number
  /** The limit on resident memory; zero is none. */
  readonly memoryLimitBytes: number
  readonly loopLagSeconds: number
  /** The weight of the patterns of all streams and their tokens. */
  readonly patternWeight: number
  /** Work that was left for later turns of the event loop. */
  readonly workWaiting: number
  /** Null where there are no traces. */
  readonly traces: TraceLevels | null
  /** Whether the hub takes a publication now. */
  readonly isReady: boolean
  /** Free bytes on the disk of the history for the user of the hub; null where there is none, or it cannot be told. */
  readonly diskFreeBytes: number | null
  readonly process: ProcessLevels
}

/** Figures of the process, under the names that client libraries of Prometheus have for them. */
export interface ProcessLevels {
  readonly cpuSeconds: number
  /** Open descriptors, and how many it may open; null where the system does not tell or does not limit. */
  readonly openDescriptors: number
  readonly descriptorLimit: number | null
  /** Seconds since the epoch. */
  readonly startedAt: number
}

/** Counts of traces and their spans. */
export interface TraceLevels extends SpanCounts {
  /** Updates and readers that are being followed. */
  readonly following: number
}

/** The page of metrics. Names that dashboards for Mercure hubs know keep their meaning. */
export class Metrics {
  readonly #sources: MetricSources
  readonly #registry = new Registry()
  readonly #totals: readonly (readonly [counter: Counter, read: Total])[]
  readonly #levels: readonly (readonly [gauge: Gauge, read: Level])[]
  readonly #clusterTotals: readonly (readonly [counter: Counter, read: ClusterLevel])[]
  readonly #clusterLevels: readonly (readonly [gauge: Gauge, read: ClusterLevel])[]
  readonly #tokenFailures: Counter
  readonly #answers: Counter
  readonly #refusals: Counter
  readonly #cpu: Counter

  constructor(sources: MetricSources) {
    const registers = [this.#registry]
    this.#sources = sources
    this.#totals = totals.map(([name, help, read]) => [new Counter({ name, help, registers }), read])
    this.#levels = levels.map(([name, help, read]) => [new Gauge({ name, help, registers }), read])
    const ofCluster = sources.cluster === null ? [] : registers
    this.#clusterTotals = clusterTotals.map(([name, help, read]) => [
      new Counter({ name, help, registers: ofCluster }),
      read,
    ])
    this.#clusterLevels = clusterLevels.map(([name, help, read]) => [
      new Gauge({ name, help, registers: ofCluster }),
      read,
    ])
    this.#tokenFailures = new Counter({
      name: 'cinnabar_token_failures_total',
      help: 'Tokens that were refused, by reason',
      labelNames: ['reason'],
      registers,
    })
    this.#answers = new Counter({
      name: 'cinnabar_http_responses_total',
      help: 'Answers of the hub listener, by route and status',
      labelNames: ['route', 'status'],
      registers,
    })
    this.#refusals = new Counter({
      name: 'cinnabar_refusals_total',
      help: 'Requests that were refused, by reason',
      labelNames: ['reason'],
      registers,
    })
    this.#cpu = new Counter({
      name: 'process_cpu_seconds_total',
      help: 'Processor time of the process, in seconds',
      registers,
    })
    const { build } = sources
    new Gauge({
      name: 'cinnabar_build_info',
      help: 'The build that runs; always 1',
      labelNames: Object.keys(build),
      registers,
    }).set({ ...build }, 1)
    for (const histogram of latencies(sources)) this.#registry.registerMetric(histogram)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** The name and the meaning of every metric, for the reference page. */
  get meanings(): readonly (readonly [name: string, help: string])[] {
    return this.#registry.getMetricsAsArray().map(({ name, help }) => [name, help])
  }

  /** Resolves with the figures of this moment. Nothing else runs between the snapshot and the figures of the page. */
  async page(): Promise<string> {
    this.#show(await this.#sources.snapshot())
    return await this.#registry.metrics()
  }

  #show(snapshot: Snapshot): void {
    const { counters } = this.#sources
    for (const [counter, read] of this.#totals) {
      counter.reset()
      counter.inc(read(counters))
    }
    this.#tokenFailures.reset()
    for (const [reason, count] of counters.tokenFailures) this.#tokenFailures.inc({ reason }, count)
    this.#cpu.reset()
    this.#cpu.inc(snapshot.process.cpuSeconds)
    this.#refusals.reset()
    for (const [reason, count] of counters.refusals) this.#refusals.inc({ reason }, count)
    this.#answers.reset()
    for (const [route, byStatus] of counters.answers) {
      for (const [status, count] of byStatus) this.#answers.inc({ route, status }, count)
    }
    for (const [gauge, read] of this.#levels) {
      const level = read(snapshot)
      if (level === null) gauge.remove()
      else gauge.set(level)
    }
    const cluster = this.#sources.cluster?.() ?? null
    if (cluster !== null) this.#showCluster(cluster)
  }

  #showCluster(figures: ClusterFigures): void {
    for (const [counter, read] of this.#clusterTotals) {
      counter.reset()
      counter.inc(read(figures))
    }
    for (const [gauge, read] of this.#clusterLevels) gauge.set(read(figures))
  }
}

type Total = (counters: Counters) => number

/** A gauge of the snapshot; the page leaves out one that is null. */
type Level = (snapshot: Snapshot) => number | null

type Row<Read> = readonly [name: string, help: string, read: Read]

const totals: readonly Row<Total>[] = [
  ['mercure_subscribers_total', 'Subscribers that connected', ({ subscribers }) => subscribers],
  ['mercure_updates_total', 'Updates that were accepted', ({ updates }) => updates],
  ['mercure_updates_failed_total', 'Updates that could not be stored', ({ updatesFailed }) => updatesFailed],
  ['cinnabar_deliveries_total', 'Updates written to live subscribers', ({ deliveries }) => deliveries],
  ['cinnabar_replayed_total', 'Updates written to subscribers that caught up', ({ replayed }) => replayed],
  [
    'cinnabar_announcements_failed_total',
    'Subscription events not stored',
    ({ announcementsFailed }) => announcementsFailed,
  ],
  [
    'cinnabar_shed_episodes_total',
    'Times that memory was above its budget',
    ({ shedEpisodes }) => shedEpisodes,
  ],
  ['cinnabar_shed_readers_total', 'Streams ended to get memory back', ({ shedReaders }) => shedReaders],
  [
    'cinnabar_slow_readers_total',
    'Streams cut because their reader was too slow',
    ({ slowReaders }) => slowReaders,
  ],
]

const levels: readonly Row<Level>[] = [
  ['mercure_subscribers_connected', 'Subscribers connected now', ({ hub }) => hub.subscribers],
  ['cinnabar_subscribers_replaying', 'Subscribers that catch up with the past', ({ hub }) => hub.replaying],
  ['cinnabar_shedding_step', 'How far load is shed: 0 not at all, 4 connections', ({ hub }) => hub.shedding],
  ['cinnabar_subscriber_buffer_bytes', 'Bytes waiting for slow readers', ({ waitingBytes }) => waitingBytes],
  ['cinnabar_body_bytes', 'Bytes of request bodies that are being received', ({ bodyBytes }) => bodyBytes],
  [
    'cinnabar_announcing_bytes',
    'Bytes of subscription events that are still to be stored',
    ({ hub }) => hub.announcingBytes,
  ],
  ['cinnabar_pending_bytes', 'Bytes accepted and not dispatched yet', ({ hub }) => hub.pendingBytes],
  ['cinnabar_routing_topics', 'Exact topics that somebody reads', ({ hub }) => hub.topics],
  ['cinnabar_routing_patterns', 'Distinct patterns that somebody reads', ({ hub }) => hub.patterns],
  ['cinnabar_pattern_weight', 'What the patterns of all streams weigh', ({ patternWeight }) => patternWeight],
  ['cinnabar_work_waiting', 'Requests whose patterns take several turns', ({ workWaiting }) => workWaiting],
  ['cinnabar_routing_cache_entries', 'Topics remembered with their patterns', ({ hub }) => hub.remembered],
  ['cinnabar_history_rows', 'Updates kept', ({ history }) => history?.rows ?? null],
  ['cinnabar_history_bytes', 'Stored bytes of the updates kept', ({ history }) => history?.bytes ?? null],
  [
    'cinnabar_history_places',
    'Updates dropped by a rule whose place is remembered',
    ({ history }) => history?.places ?? null,
  ],
  ['cinnabar_history_oldest_age_seconds', 'Age of the oldest update kept', oldestAgeSeconds],
  [
    'cinnabar_history_file_bytes',
    'The history file and its journal',
    ({ history }) => history?.fileBytes ?? null,
  ],
  [
    'cinnabar_history_journal_bytes',
    'The part of it that is the journal: it grows while another program reads the file',
    ({ history }) => history?.journalBytes ?? null,
  ],
  [
    'cinnabar_history_dropped_entries',
    'Updates dropped by retention since the log began',
    ({ history }) => history?.dropped ?? null,
  ],
  [
    'cinnabar_memory_limit_bytes',
    'The budget of resident memory; 0 is none',
    ({ memoryLimitBytes }) => memoryLimitBytes,
  ],
  [
    'cinnabar_event_loop_lag_seconds',
    'How late the last heartbeat timer was',
    ({ loopLagSeconds }) => loopLagSeconds,
  ],
  [
    'cinnabar_traces_following',
    'Updates and readers that traces follow',
    ({ traces }) => traces?.following ?? null,
  ],
  ['cinnabar_spans_waiting', 'Spans that are still to be sent', ({ traces }) => traces?.waiting ?? null],
  ['cinnabar_spans_sent', 'Spans that the collector took', ({ traces }) => traces?.exported ?? null],
  ['cinnabar_spans_failed', 'Spans that the collector did not take', ({ traces }) => traces?.failed ?? null],
  [
    'cinnabar_spans_dropped',
    'Spans left out because too many waited',
    ({ traces }) => traces?.dropped ?? null,
  ],
  ['cinnabar_ready', 'Whether the hub takes publications: 1, or 0', ({ isReady }) => (isReady ? 1 : 0)],
  ['cinnabar_disk_free_bytes', 'Free bytes on the disk of the history', ({ diskFreeBytes }) => diskFreeBytes],
  [
    'cinnabar_retention_runs',
    'Times that the log looked for updates that are too old, since the start',
    ({ history }) => history?.retentionRuns ?? null,
  ],
  ['process_resident_memory_bytes', 'Resident memory of the process', ({ residentBytes }) => residentBytes],
  ['process_open_fds', 'Open descriptors', ({ process }) => process.openDescriptors],
  ['process_max_fds', 'Descriptors that the process may open', ({ process }) => process.descriptorLimit],
  [
    'process_start_time_seconds',
    'The start of the process, in seconds since the epoch',
    ({ process }) => process.startedAt,
  ],
  ['cinnabar_resident_bytes', 'Resident memory of the process', ({ residentBytes }) => residentBytes],
]

type ClusterLevel = (figures: ClusterFigures) => number

const clusterTotals: readonly Row<ClusterLevel>[] = [
  [
    'cinnabar_redis_reconnects_total',
    'Times that the server of the log was found again',
    ({ reconnects }) => reconnects,
  ],
  ['cinnabar_redis_batches_total', 'Batches that this node has stored', ({ batches }) => batches],
  ['cinnabar_redis_forks_total', 'Runs of the server that this node was first to find', ({ forks }) => forks],
  ['cinnabar_redis_losses_total', 'Times that the log has lost accepted updates', ({ losses }) => losses],
  [
    'cinnabar_reaped_subscribers_total',
    'Subscribers of dead nodes whose ends this node has told',
    ({ reaped }) => reaped,
  ],
]

const clusterLevels: readonly Row<ClusterLevel>[] = [
  ['cinnabar_redis_up', 'Whether this node has the log: 1, or 0', ({ isUp }) => (isUp ? 1 : 0)],
  ['cinnabar_redis_waiting_bytes', 'Bytes that wait to be stored', ({ waitingBytes }) => waitingBytes],
  [
    'cinnabar_redis_tail_lag_entries',
    'Updates in the log that this node has not delivered',
    ({ lag }) => lag,
  ],
  ['cinnabar_nodes', 'Nodes that share the log', ({ nodes }) => nodes],
]

function oldestAgeSeconds({ history }: Snapshot): number | null {
  if (history === null) return null
  return history.oldestAt === null ? 0 : Math.max(0, history.now - history.oldestAt) / 1000
}

function latencies({ counters, cluster }: MetricSources): readonly DurationHistogram[] {
  const { publishTimes, deliveryTimes, batchTimes } = counters
  const batches = new DurationHistogram(batchTimes, {
    name: 'cinnabar_redis_batch_seconds',
    help: 'From a batch that is sent to its place in the log',
  })
  return [
    ...(cluster === null ? [] : [batches]),
    new DurationHistogram(publishTimes, {
      name: 'cinnabar_publish_seconds',
      help: 'From an update that passed every check to its place in the log',
    }),
    new DurationHistogram(deliveryTimes, {
      name: 'cinnabar_delivery_seconds',
      help: 'From the log to the last reader of a turn, for the oldest update of the turn',
    }),
  ]
}

/**
 * A histogram of durations that `Durations` has counted: prom-client's own `observe` costs more than to store an
 * update in memory. Names, labels and order come from a histogram of prom-client that stays empty.
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

  /** The registry of prom-client 15.1.3 calls this instead of `get`. */
  getForPromString() {
    return this.get()
  }
}
