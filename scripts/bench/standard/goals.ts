import { median } from '../../../src/bench/report.ts'
import { type Results, ratio, ratios } from './page.ts'
import type { ContenderName } from './set.ts'

/** What the project wants of a figure of the standard set, and what the run found. */
export interface Goal {
  readonly title: string
  readonly limit: number
  /** Whether the figure is to be at least the limit; else at most. */
  readonly isAtLeast: boolean
  readonly unit: string
  /** NaN where it was not measured. */
  readonly value: number
}

/** The goals of the project that the standard set can tell about. */
export function goalsOf(results: Results): readonly Goal[] {
  const { scenarios, alone } = results
  const found = ratios(results)
  const times = (name: string, of: ContenderName, to: ContenderName) => ratio(scenarios[name] ?? {}, of, to)
  const atMost = (title: string, limit: number, unit: string, value = Number.NaN): Goal => ({
    title,
    limit,
    isAtLeast: false,
    unit,
    value,
  })
  const atLeast = (...row: Parameters<typeof atMost>): Goal => ({ ...atMost(...row), isAtLeast: true })
  return [
    atMost('one event at a time to 1,000: CPU per delivery', 1.3, 'times the C loop', found['fanout-1000']),
    atMost('one event at a time to 5,000: CPU per delivery', 1.3, 'times the C loop', found['fanout-5000']),
    atLeast('50 publishers, 1,000 subscribers: deliveries', 10, 'times the C loop', found['burst-1000']),
    atLeast(
      'publications per second without history',
      1,
      'times nchan',
      times('publish-rate', 'cinnabar, live only', 'nchan'),
    ),
    atMost(
      '60 updates per second to 1,000: 99th percentile until delivered',
      1,
      'times nchan',
      times('latency-60', 'cinnabar', 'nchan'),
    ),
    atMost('an idle subscriber, of 10,000', 6, 'KB', median(scenarios['idle-10000']?.cinnabar ?? [])),
    atMost(
      'publishing to one of 10,000 topics with 10,000 subscribers',
      2,
      'times one topic with one',
      found['topics'],
    ),
    atMost('replay of 10,000 out of 1,000,000 updates: first event', 5, 'ms', alone?.firstMs),
    atMost('the same: last event', 50, 'ms', alone?.lastMs),
    atMost('the same right after a restart: last event', 50, 'ms', alone?.coldLastMs),
    atMost('start to first answer', 25, 'ms', alone?.startMs),
    atMost('resident memory when idle', 60, 'MB', alone?.idleMegabytes),
  ]
}

/** Null where it was not measured. */
export function isMet({ limit, isAtLeast, value }: Goal): boolean | null {
  if (!Number.isFinite(value)) return null
  return isAtLeast ? value >= limit : value <= limit
}

/** The table of docs/performance.md. Why a goal is missed is written beside it, by hand. */
export function goalTable(results: Results): string {
  const rows = goalsOf(results).map((goal) => {
    const verdict = { true: 'yes', false: 'no', null: 'not measured' }[`${isMet(goal)}`]
    const value = Number.isFinite(goal.value) ? `${readable(goal.value)} ${goal.unit}` : ''
    const bound = `${goal.isAtLeast ? 'at least' : 'at most'} ${readable(goal.limit)} ${goal.unit}`
    return `| ${goal.title} | ${bound} | ${value} | ${verdict} |`
  })
  return ['| | goal | measured | met |', '|---|---|---|---|', ...rows].join('\n')
}

function readable(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 })
}
