import { median } from './report.ts'

/** A figure over time. */
export type Points = readonly (readonly [seconds: number, value: number])[]

/** Whether a figure grew over a run. */
export interface Trend {
  readonly verdict: 'flat' | 'growing' | 'too short'
  /** The growth from the median of the first third to that of the last; NaN when there is nothing to compare. */
  readonly growthPercent: number
}

/** The factor of the medians above which a figure is not flat. */
export const GROWTH_MAX = 1.1

/**
 * Growing is more than 10 % and more than 1 MiB: a collector that comes a little earlier or later moves the
 * medians by less. In a short run the first third is the warm-up of the process, which says nothing.
 */
export function trendOf(points: Points): Trend {
  const { first, last } = thirdsOf(points.map(([, value]) => value))
  const growthPercent = first === 0 && last === 0 ? 0 : finite(100 * (last / first - 1))
  const seconds = (points.at(-1)?.[0] ?? 0) - (points[0]?.[0] ?? 0)
  if (seconds < TREND_SECONDS) return { verdict: 'too short', growthPercent }
  const isGrowing = last > first * GROWTH_MAX && last - first > 1024 ** 2
  return { verdict: isGrowing ? 'growing' : 'flat', growthPercent }
}

/**
 * The median of the last third over that of the middle third, for a run whose first third is warm-up: 1 is flat. NaN
 * when there is nothing to compare.
 */
export function driftOf(values: readonly number[]): number {
  const { middle, last } = thirdsOf(values)
  return finite(last / middle)
}

/** The medians of the thirds of a run; NaN where it has fewer than three values. */
function thirdsOf(values: readonly number[]) {
  const third = Math.floor(values.length / 3)
  return {
    first: median(values.slice(0, third)),
    middle: median(values.slice(third, 2 * third)),
    last: median(third === 0 ? [] : values.slice(-third)),
  }
}

/** The shortest run with a verdict: a third of it is long enough for the median to come after the warm-up. */
const TREND_SECONDS = 20

function finite(value: number): number {
  return Number.isFinite(value) ? value : Number.NaN
}
