import { barPlot } from '../../../src/bench/plot.ts'
import { median } from '../../../src/bench/report.ts'
import type { Alone } from './alone.ts'
import { type ContenderName, type Scenario, scenarios } from './set.ts'

/** The figures of one scenario: each contender in each round. */
export type Rounds = Readonly<Partial<Record<ContenderName, readonly number[]>>>

export interface Results {
  readonly date: string
  readonly rounds: number
  readonly scenarios: Readonly<Record<string, Rounds>>
  readonly alone: Alone | null
}

/**
 * How many times the figure of the first contender the one of the second is: the median over the rounds, each
 * compared with itself only, since the machine is not equally fast in all of them.
 */
export function ratio(rounds: Rounds, of: ContenderName, to: ContenderName): number {
  const [left = [], right = []] = [rounds[of], rounds[to]]
  return median(left.map((value, round) => value / (right[round] ?? Number.NaN)))
}

/** What must not get worse, by name: more than 1 is more of the cost, or of the yield, of the C loop or nchan. */
export function ratios({ scenarios: results }: Results): Record<string, number> {
  const found: Record<string, number> = {}
  for (const { name } of scenarios) {
    const rounds = results[name] ?? {}
    for (const of of ['cinnabar', 'cinnabar, live only'] as const) {
      const to = rounds['C epoll'] === undefined ? 'nchan' : 'C epoll'
      const value = ratio(rounds, of, to)
      if (Number.isFinite(value)) found[of === 'cinnabar' ? name : `${name}-live`] = round(value)
    }
  }
  const topics = [...(results['topics-10000']?.cinnabar ?? [])]
  const one = results['topics-1']?.cinnabar ?? []
  const spread = median(topics.map((value, at) => value / (one[at] ?? Number.NaN)))
  return Number.isFinite(spread) ? { ...found, topics: round(spread) } : found
}

/** The table of docs/performance.md. */
export function table(results: Results): string {
  const columns = columnsOf(results)
  const rows = scenarios.map((scenario) => row(scenario, results.scenarios[scenario.name] ?? {}, columns))
  return [
    `Measured on ${results.date}: medians of ${results.rounds} rounds; in parentheses, times the C loop.`,
    '',
    `| | ${columns.join(' | ')} |`,
    `|---|${'---|'.repeat(columns.length)}`,
    ...rows,
    ...(results.alone === null ? [] : aloneRows(results.alone, columns)),
  ].join('\n')
}

/** The text with another body between the marks of the section. Throws when it has no such marks. */
export function replaceSection(text: string, name: string, body: string): string {
  const mark = `<!-- ${name} -->\n`
  const start = text.indexOf(mark)
  const end = start === -1 ? -1 : text.indexOf('<!-- end -->', start)
  if (end === -1) throw new Error(`the page has no section ${name}`)
  return `${text.slice(0, start + mark.length)}${body}\n${text.slice(end)}`
}

/** The plots, by the name of their file. */
export function plots(results: Results): ReadonlyMap<string, string> {
  const bars = ['C epoll', 'nchan', 'cinnabar'] as const
  const plot = (title: string, yLabel: string, shown: readonly [name: string, label: string][]) =>
    barPlot({
      title,
      yLabel,
      bars,
      groups: shown.map(([name, label]) => ({
        name: label,
        values: bars.map((bar) => median(results.scenarios[name]?.[bar] ?? [])),
      })),
    })
  return new Map([
    [
      'fanout',
      plot('One event at a time', 'µs of CPU per delivery', [
        ['fanout-1000', '1,000 subscribers'],
        ['fanout-5000', '5,000 subscribers'],
      ]),
    ],
    ['burst', plot('50 publishers, 1,000 subscribers', 'deliveries per second', [['burst-1000', '']])],
    ['publish', plot('50 publishers, nobody listens', 'publications per second', [['publish-rate', '']])],
    ['idle', plot('10,000 idle subscribers', 'KB of memory each', [['idle-10000', '']])],
  ])
}

/** Whoever was measured at all; the hub itself comes last. */
function columnsOf({ scenarios: results }: Results): readonly ContenderName[] {
  const isThere = (name: ContenderName) => Object.values(results).some((rounds) => rounds[name] !== undefined)
  return [...(['C epoll', 'nchan', 'pushpin'] as const).filter(isThere), 'cinnabar']
}

function row({ name, title, unit }: Scenario, rounds: Rounds, columns: readonly ContenderName[]): string {
  const cell = (of: ContenderName) => {
    const values = rounds[of]
    if (values === undefined) return ''
    const times = of === 'C epoll' ? Number.NaN : ratio(rounds, of, 'C epoll')
    return `${readable(median(values))} ${unit}${Number.isFinite(times) ? ` (${readable(times)})` : ''}`
  }
  const live = name.startsWith('publish') ? `; live only ${cell('cinnabar, live only')}` : ''
  return `| ${title} | ${columns.map(cell).join(' | ')}${live} |`
}

function aloneRows(alone: Alone, columns: readonly ContenderName[]): string[] {
  const others = ' |'.repeat(columns.length)
  const of = `${alone.replayed.toLocaleString('en')} of ${alone.history.toLocaleString('en')} updates`
  const replay = `${readable(alone.firstMs)} ms, ${readable(alone.lastMs)} ms`
  return [
    `| replay of ${of}: first event, last event${others} ${replay} |`,
    `| the same right after a restart: last event${others} ${readable(alone.coldLastMs)} ms |`,
    `| start to first answer, resident memory idle${others} ${readable(alone.startMs)} ms, ${readable(alone.idleMegabytes)} MB |`,
  ]
}

function readable(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 })
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
