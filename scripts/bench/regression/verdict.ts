/** What something cost with the executable before and with the one now, in each round of a run. */
export interface Compared {
  readonly before: readonly number[]
  readonly now: readonly number[]
}

/** What a run found, by the names of the figures. */
export type Run = Readonly<Record<string, Compared>>

/** More than this many times as much is suspect: on a machine that is shared, two runs of the same differ by less. */
const WORSE_MAX = 4 / 3

/**
 * The names of the figures that are more than a third worse now in both runs. The second run need not have what the
 * first one found nothing wrong with.
 */
export function regressions(first: Run, second: Run): readonly string[] {
  const confirmed = worse(second)
  return worse(first).filter((name) => confirmed.includes(name))
}

/** The names of the figures that are more than a third worse now. */
export function worse(run: Run): readonly string[] {
  return Object.entries(run)
    .filter(([, compared]) => timesWorse(compared) > WORSE_MAX)
    .map(([name]) => name)
}

/**
 * How many times as much as before it costs: the median over the rounds, each compared with itself only, since the
 * machine is not equally fast in all of them. Infinite where only the executable before could be measured; NaN
 * where that one could not be, so that there is nothing to compare with.
 */
export function timesWorse({ before, now }: Compared): number {
  const times = before.flatMap((past, round) => {
    const value = now[round] ?? Number.NaN
    if (!isMeasured(past)) return []
    if (!isMeasured(value)) return [Number.POSITIVE_INFINITY]
    return [value / past]
  })
  // Of two in the middle the better one: what is suspect is to be so in more than half of the rounds.
  return times.toSorted((left, right) => left - right)[Math.floor((times.length - 1) / 2)] ?? Number.NaN
}

function isMeasured(value: number): boolean {
  return Number.isFinite(value) && value > 0
}
