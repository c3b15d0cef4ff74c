import { bytesText } from '../../command/quantity.ts'
import { type Plot, plots } from '../plot.ts'
import { median } from '../report.ts'
import { type Points, type Trend, trendOf } from '../trend.ts'
import { type HubConfiguration, settingsOf } from './configurations.ts'
import type { Course, MemorySample } from './course.ts'
import type { MemoryLoad } from './load.ts'

/** How a run went for one hub. */
export interface MemoryOutcome {
  readonly configuration: HubConfiguration
  readonly course: Course
  /** Updates that the hub accepted. */
  readonly sent: number
  /** Why the hub did not last, or null. */
  readonly problem: string | null
}

export interface MemoryReport {
  readonly load: MemoryLoad
  readonly seconds: number
  readonly isInterrupted: boolean
  readonly outcomes: readonly MemoryOutcome[]
}

/** A row for each configuration, and a line for each that did not last. Ends with a line break. */
export function memoryTable({ outcomes }: MemoryReport): string {
  const rows = [columns, ...outcomes.map(cells)]
  const widths = columns.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  const lines = rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
  const problems = outcomes.flatMap(({ configuration, problem }) =>
    problem === null ? [] : [`${configuration.name}: ${problem}`],
  )
  return `${[...lines, ...problems].join('\n')}\n`
}

/** One JSON object with all samples, ending with a line break. A figure that is not known is null. */
export function memoryJson({ load, seconds, isInterrupted, outcomes }: MemoryReport): string {
  const report = {
    kind: 'memory',
    load: {
      updates: load.updates,
      duration_ms: load.durationMs,
      rate: load.rate,
      size_least_bytes: load.sizes.least,
      size_most_bytes: load.sizes.most,
      topics: load.topics,
      subscribers: load.subscribers,
      publishers: load.publishers,
    },
    seconds,
    interrupted: isInterrupted,
    configurations: outcomes.map(outcomeJson),
  }
  return `${JSON.stringify(report)}\n`
}

/** Resident memory and disk over time as SVG, a line for each configuration. */
export function memoryPlot({ outcomes }: MemoryReport): string {
  const panel = (title: string, of: (sample: MemorySample) => number): Plot => ({
    title,
    xLabel: 'seconds',
    yLabel: 'MiB',
    series: outcomes.map(({ configuration, course }) => ({
      name: configuration.name,
      points: pointsOf(course, of).map(([seconds, bytes]) => [seconds, bytes / 1024 ** 2] as const),
    })),
  })
  return plots([
    panel('Resident memory', (sample) => sample.residentBytes),
    panel('History file and journal', (sample) => sample.diskBytes),
  ])
}

/** A figure over time, as far as it is known. */
export function pointsOf({ samples }: Course, of: (sample: MemorySample) => number): Points {
  return samples.map((sample) => [sample.seconds, of(sample)] as const).filter(([, y]) => Number.isFinite(y))
}

/** Bytes for a table; a figure that is not known is a dash. */
export function cell(bytes: number): string {
  return Number.isFinite(bytes) ? bytesText(bytes) : '-'
}

const columns: readonly string[] = [
  'configuration',
  'sent',
  'kept',
  'resident first',
  'median',
  'last',
  'peak',
  'heap',
  'disk peak',
  'memory',
  'disk',
]

function cells(outcome: MemoryOutcome): readonly string[] {
  const { resident, heap, rows, trends } = figuresOf(outcome)
  return [
    outcome.configuration.name,
    outcome.sent.toLocaleString('en'),
    Number.isFinite(rows) ? rows.toLocaleString('en') : '-',
    cell(resident.first),
    cell(resident.median),
    cell(resident.last),
    cell(outcome.course.residentPeakBytes),
    cell(heap),
    cell(outcome.course.diskPeakBytes),
    trendText(trends.resident),
    trendText(trends.disk),
  ]
}

function outcomeJson(outcome: MemoryOutcome) {
  const { configuration, course, sent, problem } = outcome
  const { resident, heap, rows, trends } = figuresOf(outcome)
  return {
    name: configuration.name,
    settings: settingsOf(configuration),
    sent,
    rows,
    resident_first_bytes: resident.first,
    resident_median_bytes: resident.median,
    resident_last_bytes: resident.last,
    resident_peak_bytes: course.residentPeakBytes,
    resident_growth_percent: trends.resident.growthPercent,
    resident_verdict: trends.resident.verdict,
    heap_last_bytes: heap,
    disk_peak_bytes: course.diskPeakBytes,
    disk_growth_percent: trends.disk.growthPercent,
    disk_verdict: trends.disk.verdict,
    problem,
    samples: course.samples.map((sample) => ({
      seconds: sample.seconds,
      sent: sample.sent,
      resident_bytes: sample.residentBytes,
      heap_bytes: sample.heapBytes,
      rows: sample.rows,
      history_bytes: sample.historyBytes,
      disk_bytes: sample.diskBytes,
    })),
  }
}

function figuresOf({ course }: MemoryOutcome) {
  const values = (points: Points) => points.map(([, value]) => value)
  const residentPoints = pointsOf(course, (sample) => sample.residentBytes)
  const resident = values(residentPoints)
  return {
    resident: {
      first: resident[0] ?? Number.NaN,
      median: median(resident),
      last: course.latest?.residentBytes ?? Number.NaN,
    },
    heap: course.latest?.heapBytes ?? Number.NaN,
    rows: course.latest?.rows ?? Number.NaN,
    trends: {
      resident: trendOf(residentPoints),
      disk: trendOf(pointsOf(course, (sample) => sample.diskBytes)),
    },
  }
}

/** The verdict with the growth: `flat -0.4 %`. */
function trendText({ verdict, growthPercent }: Trend): string {
  if (!Number.isFinite(growthPercent)) return verdict
  return `${verdict} ${growthPercent < 0 ? '' : '+'}${growthPercent.toFixed(1)} %`
}
