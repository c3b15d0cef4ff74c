/**
 * The standard set: this hub beside a loop in C and, where they are installed, nchan and pushpin, in the same
 * rounds on the same machine. The server has one core, the client the other. Run it as
 * `bun scripts/bench/standard.ts` after `sh scripts/build.sh`, on a machine that does nothing else: it takes
 * twenty minutes and writes the tables of docs/performance.md and docs/bench/performance*. `--only NAME,NAME`
 * prints the ratios of some comparisons, `--again NAME,NAME` puts them in the place of the last ones in the tables
 * (`alone` is what nobody is compared with).
 */

import { pinClient } from './contenders.ts'
import { measureAlone } from './standard/alone.ts'
import { goalTable } from './standard/goals.ts'
import { plots, type Results, type Rounds, ratios, replaceSection, table } from './standard/page.ts'
import {
  type ContenderName,
  contenders,
  measure,
  type Scenario,
  scenarios,
  type Timing,
} from './standard/set.ts'

const folder = new URL('../../docs/bench/', import.meta.url)
const page = new URL('../../docs/performance.md', import.meta.url)
const measured = new URL('performance.json', folder)

const again = optionOf('--again')?.split(',') ?? null
const only = again ?? optionOf('--only')?.split(',') ?? null
const roundCount = Number(optionOf('--rounds') ?? 5)
const timing: Timing = { durationMs: 4000, warmupMs: 2000 }
const chosen = scenarios.filter(({ name }) => only?.includes(name) ?? true)

if (chosen.length === 0 && again?.includes('alone') !== true)
  throw new Error(`the comparisons are ${scenarios.map(({ name }) => name).join(', ')}`)
await pinClient()
const found = await contenders()
const results = await run(chosen, roundCount)
for (const [name, value] of Object.entries(ratios(results))) console.log(`${name.padEnd(16)} ${value}`)
if (again !== null) await publish(await renewed(results, again.includes('alone')))
else if (only === null) {
  // Kept already, since what follows takes minutes of its own.
  await writeJson(measured, results)
  await publish({ ...results, alone: await measureAlone(1_000_000, roundCount) })
} else console.log(table(results))

async function run(compared: readonly Scenario[], rounds: number): Promise<Results> {
  const figures: Record<string, Partial<Record<ContenderName, number[]>>> = {}
  for (let round = 1; round <= rounds; round++) {
    for (const scenario of compared) {
      const values = figures[scenario.name] ?? {}
      figures[scenario.name] = values
      for (const name of scenario.contenders) {
        const contender = found.get(name)
        if (contender === undefined) continue
        const value = await measure(scenario, contender, timing)
        values[name] = [...(values[name] ?? []), value]
        console.error(`${round}/${rounds} ${scenario.name.padEnd(14)} ${name.padEnd(20)} ${value}`)
      }
    }
  }
  const date = new Date().toISOString().slice(0, 10)
  return { date, rounds, scenarios: figures satisfies Record<string, Rounds>, alone: null }
}

/** The last results with some of them measured again. */
async function renewed(some: Results, isAloneAgain: boolean): Promise<Results> {
  const last: Results = await Bun.file(measured).json()
  const alone = isAloneAgain ? await measureAlone(1_000_000, roundCount) : last.alone
  return { ...some, scenarios: { ...last.scenarios, ...some.scenarios }, alone }
}

async function publish(all: Results): Promise<void> {
  await writeJson(measured, all)
  for (const [name, svg] of plots(all)) await Bun.write(new URL(`performance-${name}.svg`, folder), svg)
  const text = replaceSection(await Bun.file(page).text(), 'standard set', table(all))
  await Bun.write(page, replaceSection(text, 'goals', goalTable(all)))
}

async function writeJson(file: URL, value: unknown): Promise<void> {
  await Bun.write(file, `${JSON.stringify(value, null, 2)}\n`)
}

function optionOf(flag: string): string | null {
  const at = process.argv.indexOf(flag)
  return at === -1 ? null : (process.argv[at + 1] ?? null)
}
