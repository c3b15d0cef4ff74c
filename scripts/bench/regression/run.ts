import { type Load, measureLoad } from './loads.ts'
import { type Run, timesWorse } from './verdict.ts'

const sides = ['before', 'now'] as const

/** The paths of what is compared. */
export type Executables = Readonly<Record<(typeof sides)[number], string>>

/** Puts the loads on both executables by turns, as many rounds, and prints what it finds. */
export async function run(some: readonly Load[], executables: Executables, rounds: number): Promise<Run> {
  const found = some.map((load) => ({ load, before: [] as number[], now: [] as number[] }))
  for (let round = 0; round < rounds; round++) {
    for (const { load, ...values } of found) {
      // Which one goes first changes, so that neither has the better half of a machine that gets busier.
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
        values[side].push(await measureLoad(load, executables[side]))
      }
    }
  }
  for (const { load, before, now } of found) {
    const times = readable(timesWorse({ before, now }))
    console.log(`${load.title}: ${textOf(before)} before, ${textOf(now)} now, ${times} times as much`)
  }
  return Object.fromEntries(found.map(({ load, before, now }) => [load.title, { before, now }]))
}

function textOf(values: readonly number[]): string {
  return values.map(readable).join(' ')
}

function readable(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 })
}
