import { type Load, measureLoad } from './loads.ts'
import { type Compared, type Run, timesWorse } from './verdict.ts'

const sides = ['before', 'now'] as const

/** The paths of what is compared. */
export type Executables = Readonly<Record<(typeof sides)[number], string>>

/** Puts the loads on both executables by turns, as many rounds, and prints what it finds. */
export async function run(some: readonly Load[], executables: Executables, rounds: number): Promise<Run> {
  const titles = some.flatMap(({ figures }) => figures.map(({ title, isCost }) => [title, isCost] as const))
  const results = new Map(titles.map(([title, isCost]) => [title, new Growing(isCost)]))
  for (let round = 0; round < rounds; round++) {
    for (const load of some) {
      // Which one goes first changes, so that neither has the better half of a machine that gets busier.
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
        const figures = await measureLoad(load, executables[side])
        for (const [title, value] of figures) results.get(title)?.[side].push(value)
      }
    }
  }
  for (const [title, compared] of results) console.log(`${title}: ${textOf(compared)}`)
  return Object.fromEntries(results)
}

class Growing implements Compared {
  readonly isCost: boolean
  readonly before: number[] = []
  readonly now: number[] = []

  constructor(isCost: boolean) {
    this.isCost = isCost
  }
}

function textOf(compared: Compared): string {
  const figures = (values: readonly number[]) => values.map(readable).join(' ')
  const times = readable(timesWorse(compared))
  return `${figures(compared.before)} before, ${figures(compared.now)} now, ${times} times as bad`
}

function readable(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 })
}
