/** The ratios of a run, by the name of the comparison: how many times the figure of the C loop. */
export type Ratios = Readonly<Record<string, number>>

/** More than this much worse is a regression: a machine that is shared varies by less. */
const WORSE_MAX = 4 / 3

/**
 * The comparisons of the baseline that are more than a third worse now, each as a line to print. One that was
 * not measured counts as well, so that a check which could not run does not pass. `isCost` says of a name
 * whether less is better.
 */
export function regressions(
  baseline: Ratios,
  now: Ratios,
  isCost: (name: string) => boolean,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const [name, before] of Object.entries(baseline)) {
    const value = now[name]
    if (value === undefined) found.set(name, `${name} was not measured`)
    else if ((isCost(name) ? value / before : before / value) > WORSE_MAX) {
      found.set(name, `${name} is ${value} times the C loop, and was ${before}`)
    }
  }
  return found
}
