import { describe, expect, test } from 'bun:test'
import { type MetricSources, Metrics, type Snapshot } from '../../src/admin/metrics.ts'
import { Counters } from '../../src/telemetry/counters.ts'

const history = { rows: 10, dropped: 15, bytes: 1000, oldestAt: 5000, now: 8000, fileBytes: 8192 }

const snapshot: Snapshot = {
  hub: {
    subscribers: 3,
    replaying: 1,
    shedding: 0,
    announcingBytes: 0,
    pendingEntries: 0,
    pendingBytes: 0,
    topics: 2,
    patterns: 1,
    remembered: 5,
  },
  history,
  bodyBytes: 9,
  waitingBytes: 0,
  residentBytes: 50_000_000,
  memoryLimitBytes: 0,
  loopLagSeconds: 0,
  patternWeight: 0,
  workWaiting: 0,
  isReady: true,
  diskFreeBytes: 1_000_000,
  process: { cpuSeconds: 1.5, openDescriptors: 20, descriptorLimit: 1024, startedAt: 1_700_000_000 },
  traces: { waiting: 4, exported: 3, failed: 2, dropped: 1, following: 5 },
}

const sources: MetricSources = {
  counters: new Counters(),
  build: { version: '1.2.3', commit: 'abc' },
  snapshot: async () => snapshot,
  cluster: null,
}
const cluster = {
  ...{ isUp: true, reconnects: 1, batches: 2, waitingBytes: 3, lag: 4 },
  ...{ forks: 5, losses: 6, nodes: 7, reaped: 8 },
}
const text = async (parts: Partial<MetricSources> = {}) => await new Metrics({ ...sources, ...parts }).page()
const names = (page: string) =>
  new Set([...page.matchAll(/\b(?:mercure|cinnabar)_[a-z_]+/g)].map(([name]) => name))

describe('what operators watch', () => {
  test('the metrics say what the hub holds', async () => {
    const page = await text()
    expect(page).toContain('mercure_subscribers_connected 3\n')
    expect(page).toContain('cinnabar_history_rows 10\n')
    expect(page).toContain('cinnabar_history_oldest_age_seconds 3\n')
    expect(page).toContain('cinnabar_history_dropped_entries 15\n')
  })

  test('a node of several says how it stands with the log, and a hub that is alone says nothing of that', async () => {
    const page = await text({ cluster: () => cluster })
    for (const line of [
      'redis_up 1',
      'redis_reconnects_total 1',
      'redis_batches_total 2',
      'redis_waiting_bytes 3',
      'redis_tail_lag_entries 4',
      'redis_forks_total 5',
      'redis_losses_total 6',
      'nodes 7',
      'reaped_subscribers_total 8',
      'redis_batch_seconds_count 0',
    ])
      expect(page).toContain(`cinnabar_${line}\n`)
    expect(await text()).not.toMatch(/cinnabar_(redis|nodes|reaped)/)
  })

  test('every page is of one moment: the log is asked once, and each page counts anew', async () => {
    let asked = 0
    const metrics = new Metrics({
      ...sources,
      snapshot: async () => ({ ...snapshot, history: { ...history, rows: ++asked, dropped: asked } }),
    })
    for (const page of await Promise.all([metrics.page(), metrics.page()])) {
      const [, rows] = /^cinnabar_history_rows (\d)$/m.exec(page) ?? []
      expect(page).toContain(`cinnabar_history_dropped_entries ${rows}\n`)
    }
    expect(await metrics.page()).toContain('cinnabar_history_rows 3\n')
  })

  test('a log that cannot say leaves its own figures out, and no other', async () => {
    let isGone = true
    const metrics = new Metrics({
      ...sources,
      snapshot: async () => ({ ...snapshot, history: isGone ? null : snapshot.history }),
    })
    const page = await metrics.page()
    expect(page).not.toMatch(/^cinnabar_history_/m)
    expect(page).toContain('mercure_subscribers_connected 3\n')
    isGone = false
    expect(await metrics.page()).toContain('cinnabar_history_rows 10\n')
  })

  test('what the hub reports is counted and timed', async () => {
    const counters = new Counters()
    const metrics = new Metrics({ ...sources, counters })
    counters.observe({ kind: 'published', ms: 2 })
    counters.observe({ kind: 'delivered', deliveries: 7, ms: 1 })
    counters.observe({ kind: 'unsubscribed', reason: { kind: 'slow', queuedBytes: 1 } })
    counters.tokenRefused('expired')
    for (const status of [200, 429, 429]) counters.answered('publish', status)
    const page = await metrics.page()
    expect(page).toContain('mercure_updates_total 1\n')
    expect(page).toContain('cinnabar_deliveries_total 7\n')
    expect(page).toContain('cinnabar_slow_readers_total 1\n')
    expect(page).toContain('cinnabar_token_failures_total{reason="expired"} 1\n')
    expect(page).toContain('cinnabar_http_responses_total{route="publish",status="200"} 1\n')
    expect(page).toContain('cinnabar_http_responses_total{route="publish",status="429"} 2\n')
    expect(page).toContain('cinnabar_publish_seconds_bucket{le="0.001"} 0\n')
    expect(page).toContain('cinnabar_publish_seconds_bucket{le="0.0025"} 1\n')
    expect(page).toContain('cinnabar_delivery_seconds_count 1\n')
  })

  test('times are shown as a Prometheus histogram, those above every bound too', async () => {
    const counters = new Counters()
    for (const ms of [0.05, 0.1, 3, 20_000]) counters.observe({ kind: 'published', ms })
    const lines = (await text({ counters })).split('\n').filter((line) => line.includes('publish_seconds'))
    expect(
      lines.filter((line) => !line.startsWith('#')).map((line) => line.replace(/.*publish_seconds/, '')),
    ).toEqual([
      ...['0.0001', '0.00025', '0.0005', '0.001', '0.0025'].map((le) => `_bucket{le="${le}"} 2`),
      ...['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5', '10'].map(
        (le) => `_bucket{le="${le}"} 3`,
      ),
      '_bucket{le="+Inf"} 4',
      expect.stringMatching(/^_sum 20\.0031[0-9]*$/),
      '_count 4',
    ])
    expect(lines).toContain('# TYPE cinnabar_publish_seconds histogram')
  })

  test.each(['grafana.json', 'alerts.yml'])('%s asks for metrics that exist', async (file) => {
    const known = names(await text({ cluster: () => cluster }))
    const asked = names(await Bun.file(new URL(`../../docs/monitoring/${file}`, import.meta.url)).text())
    asked.delete('cinnabar_hub')
    expect(asked.size).toBeGreaterThan(5)
    expect([...asked].filter((name) => !known.has(name))).toEqual([])
  })

  test('the alert rules are well-formed', async () => {
    const rules = Bun.YAML.parse(
      await Bun.file(new URL('../../docs/monitoring/alerts.yml', import.meta.url)).text(),
    ) as { groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[] }
    const all = rules.groups.flatMap((group) => group.rules)
    expect(all.length).toBeGreaterThan(5)
    for (const { alert, expr, annotations } of all) {
      expect(alert).toMatch(/^Cinnabar[A-Z]/)
      expect(expr.length).toBeGreaterThan(10)
      expect(annotations.summary.length).toBeGreaterThan(10)
    }
  })
})
