/**
 * Writes docs/monitoring/grafana.json: the dashboard of a hub. `--check` compares instead of writing.
 * The panels are a table here, since the file that Grafana wants repeats itself.
 */

interface Panel {
  readonly title: string
  readonly unit: string
  /** Expressions with their legends. */
  readonly series: readonly (readonly [expression: string, legend: string])[]
  readonly description?: string
}

const quantile = (name: string, part: number) =>
  `histogram_quantile(${part}, sum by (le) (rate(${name}_bucket{job="$job"}[$__rate_interval])))`
const rate = (name: string) => `sum(rate(${name}{job="$job"}[$__rate_interval]))`
const level = (name: string) => `${name}{job="$job"}`

const rows: readonly (readonly [title: string, panels: readonly Panel[]])[] = [
  [
    'Traffic',
    [
      {
        title: 'Subscribers',
        unit: 'short',
        series: [
          [level('mercure_subscribers_connected'), 'connected'],
          [level('cinnabar_subscribers_replaying'), 'catching up'],
        ],
      },
      {
        title: 'Updates per second',
        unit: 'ops',
        series: [
          [rate('mercure_updates_total'), 'accepted'],
          [rate('mercure_updates_failed_total'), 'failed'],
        ],
      },
      {
        title: 'Deliveries per second',
        unit: 'ops',
        series: [
          [rate('cinnabar_deliveries_total'), 'live'],
          [rate('cinnabar_replayed_total'), 'replayed'],
        ],
      },
    ],
  ],
  [
    'Memory',
    [
      {
        title: 'Resident memory and its budget',
        unit: 'bytes',
        series: [
          [level('cinnabar_resident_bytes'), 'resident'],
          [`${level('cinnabar_memory_limit_bytes')} > 0`, 'limits.memory'],
        ],
      },
      {
        title: 'Waiting for slow readers',
        unit: 'bytes',
        series: [
          [level('cinnabar_subscriber_buffer_bytes'), 'waiting'],
          [level('cinnabar_pending_bytes'), 'not dispatched yet'],
        ],
      },
      {
        title: 'Shedding',
        unit: 'short',
        description: '0 not at all, 1 caches, 2 replays, 3 slowest readers, 4 new connections',
        series: [
          [level('cinnabar_shedding_step'), 'step'],
          [rate('cinnabar_slow_readers_total'), 'slow readers cut per second'],
          [rate('cinnabar_shed_readers_total'), 'readers shed per second'],
        ],
      },
    ],
  ],
  [
    'History',
    [
      { title: 'Updates kept', unit: 'short', series: [[level('cinnabar_history_rows'), 'rows']] },
      {
        title: 'Stored bytes and the file',
        unit: 'bytes',
        series: [
          [level('cinnabar_history_bytes'), 'stored'],
          [level('cinnabar_history_file_bytes'), 'file and journal'],
          [level('cinnabar_history_journal_bytes'), 'journal'],
        ],
      },
      {
        title: 'Age of the oldest update',
        unit: 's',
        series: [[level('cinnabar_history_oldest_age_seconds'), 'age']],
      },
    ],
  ],
  [
    'Time',
    [
      {
        title: 'Publishing',
        unit: 's',
        series: [
          [quantile('cinnabar_publish_seconds', 0.5), 'p50'],
          [quantile('cinnabar_publish_seconds', 0.99), 'p99'],
        ],
      },
      {
        title: 'Delivery',
        unit: 's',
        series: [
          [quantile('cinnabar_delivery_seconds', 0.5), 'p50'],
          [quantile('cinnabar_delivery_seconds', 0.99), 'p99'],
        ],
      },
      { title: 'Event loop lag', unit: 's', series: [[level('cinnabar_event_loop_lag_seconds'), 'lag']] },
    ],
  ],
  [
    'Tokens and routing',
    [
      {
        title: 'Refusals per second',
        unit: 'ops',
        series: [
          ['sum by (reason) (rate(cinnabar_refusals_total{job="$job"}[$__rate_interval]))', '{{reason}}'],
        ],
      },
      {
        title: 'Open descriptors',
        unit: 'short',
        series: [
          [level('process_open_fds'), 'open'],
          [level('process_max_fds'), 'may be open'],
        ],
      },
      {
        title: 'Refused tokens per second',
        unit: 'ops',
        series: [
          [
            'sum by (reason) (rate(cinnabar_token_failures_total{job="$job"}[$__rate_interval]))',
            '{{reason}}',
          ],
        ],
      },
      {
        title: 'Routing',
        unit: 'short',
        series: [
          [level('cinnabar_routing_topics'), 'exact topics'],
          [level('cinnabar_routing_patterns'), 'distinct patterns'],
          [level('cinnabar_routing_cache_entries'), 'cache'],
        ],
      },
      {
        title: 'Announcements that failed',
        unit: 'ops',
        series: [[rate('cinnabar_announcements_failed_total'), 'failed']],
      },
    ],
  ],
  [
    'Several nodes on one log',
    [
      {
        title: 'Nodes, and those that have the log',
        unit: 'short',
        series: [
          ['max(cinnabar_nodes{job="$job"})', 'nodes'],
          ['sum(cinnabar_redis_up{job="$job"})', 'that have the log'],
          [rate('cinnabar_redis_reconnects_total'), 'reconnections per second'],
          [rate('cinnabar_reaped_subscribers_total'), 'subscribers of dead nodes per second'],
        ],
      },
      {
        title: 'Storing a batch on the server',
        unit: 's',
        series: [
          [quantile('cinnabar_redis_batch_seconds', 0.5), 'p50'],
          [quantile('cinnabar_redis_batch_seconds', 0.99), 'p99'],
        ],
      },
      {
        title: 'Behind the log',
        unit: 'short',
        description: 'Losses: accepted updates are gone from the server, and every reader was told',
        series: [
          [level('cinnabar_redis_tail_lag_entries'), 'updates not delivered yet'],
          [level('cinnabar_redis_waiting_bytes'), 'bytes not stored yet'],
          [rate('cinnabar_redis_batches_total'), 'batches per second'],
          ['max(cinnabar_redis_losses_total{job="$job"})', 'losses'],
          ['sum(cinnabar_redis_forks_total{job="$job"})', 'runs of the server'],
        ],
      },
    ],
  ],
]

// Grafana fills in the choice of the operator.
const DATASOURCE = ['$', '{datasource}'].join('')
const WIDTH = 8
const HEIGHT = 8
const panels = rows.flatMap(([title, row], at) => {
  const y = at * (HEIGHT + 1)
  const head = { type: 'row', title, collapsed: false, panels: [], gridPos: { x: 0, y, w: 24, h: 1 } }
  return [head, ...row.map((panel, column) => graph(panel, column * WIDTH, y + 1))]
})

function graph({ title, unit, series, description }: Panel, x: number, y: number) {
  return {
    type: 'timeseries',
    title,
    ...(description !== undefined && { description }),
    datasource: { type: 'prometheus', uid: DATASOURCE },
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    gridPos: { x, y, w: WIDTH, h: HEIGHT },
    targets: series.map(([expr, legendFormat], index) => ({
      expr,
      legendFormat,
      refId: String.fromCharCode(65 + index),
    })),
  }
}

const dashboard = {
  title: 'cinnabar',
  uid: 'cinnabar-hub',
  schemaVersion: 39,
  editable: true,
  refresh: '30s',
  time: { from: 'now-6h', to: 'now' },
  templating: {
    list: [
      { name: 'datasource', type: 'datasource', query: 'prometheus' },
      {
        name: 'job',
        type: 'query',
        datasource: { type: 'prometheus', uid: DATASOURCE },
        query: 'label_values(cinnabar_history_rows, job)',
        refresh: 2,
      },
    ],
  },
  panels: panels.map((panel, index) => ({ id: index + 1, ...panel })),
}

const target = new URL('../docs/monitoring/grafana.json', import.meta.url)
const page = `${JSON.stringify(dashboard, null, 2)}\n`
if (!process.argv.includes('--check')) await Bun.write(target, page)
else if (
  (await Bun.file(target)
    .text()
    .catch(() => '')) !== page
) {
  console.error('docs/monitoring/grafana.json is not current: run bun scripts/dashboard.ts')
  process.exitCode = 1
}
