import type { Latency } from './client/latency.ts'
import { linePlot, type Series } from './plot.ts'

/** The findings of a run. */
export interface Report {
  /** Named with their unit last. One that is not finite was not measured. */
  readonly figures: Readonly<Record<string, number>>
  readonly plot: {
    readonly title: string
    readonly xLabel: string
    readonly yLabel: string
    readonly series: readonly Series[]
  }
}

/** The figures that were measured. */
export function measured({ figures }: Report): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => Number.isFinite(value)))
}

/** The figures as a table, ending with a line break. */
export function asTable(report: Report): string {
  const rows = Object.entries(measured(report)).map(([name, value]) => [name, readable(value)] as const)
  const left = Math.max(0, ...rows.map(([name]) => name.length))
  const right = Math.max(0, ...rows.map(([, value]) => value.length))
  return rows
    .map(([name, value]) => `${name.replaceAll('_', ' ').padEnd(left)}  ${value.padStart(right)}\n`)
    .join('')
}

/** One JSON object, ending with a line break. */
export function asJson(kind: string, hub: string, report: Report): string {
  return `${JSON.stringify({ kind, hub, ...measured(report) })}\n`
}

/** The course of the run as SVG. */
export function asPlot({ plot }: Report): string {
  return linePlot(plot)
}

/** The usual percentiles of some times, as figures that begin with the name. */
export function percentiles(name: string, times: Latency): Readonly<Record<string, number>> {
  return {
    [`${name}_p50_ms`]: times.percentile(0.5),
    [`${name}_p95_ms`]: times.percentile(0.95),
    [`${name}_p99_ms`]: times.percentile(0.99),
    [`${name}_max_ms`]: times.max,
  }
}

/** The value in the middle, or NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((left, right) => left - right)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

function readable(value: number): string {
  const digits = Math.abs(value) < 100 && !Number.isInteger(value) ? 3 : 0
  return value.toLocaleString('en', { maximumFractionDigits: digits })
}
