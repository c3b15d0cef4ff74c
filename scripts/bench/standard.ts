/**
 * The standard set: this hub beside a loop in C and, where they are installed, nchan and pushpin, in the same
 * rounds on the same machine. The server has one core, the client the other. Run it as
 * `bun scripts/bench/standard.ts` after `sh scripts/build.sh`, on a machine that does nothing else: it takes
 * twenty minutes and writes the tables of docs/performance.md and docs/bench/performance*. `--quick` takes a
 * minute and a half, writes nothing and fails when a ratio to the C loop is more than a third worse than in
 * docs/bench/baseline.json, in a first run and again in a longer one of what was worse; `--baseline` is quick and
 * writes that file. `--only NAME,NAME` prints the ratios of some comparisons, `--again NAME,NAME` puts them in the
 * place of the last ones in the tables (`alone` is what nobody is compared with).
 */

import { pinClient } from './contenders.ts'
import { measureAlone } from './standard-alone.ts'
import { type Ratios, regressions } from './standard-check.ts'
import { goalTable } from './standard-goals.ts'
import { plots, type Results, type Rounds, ratios, replaceSection, table } from './standard-page.ts'
import {
  type ContenderName,
  contenders,
  measure,
  type Scenario,
  scenarios,
  type Timing,
} from './standard-set.ts'

const folder = new URL('../../docs/bench', import.meta.url)
const page = new URL('../../docs/performance.md', import.meta.url)
const baseline = new URL('baseline.json', folder)
const measured = new URL('performance.json', folder)

const isBaseline = process.argv.includes('--baseline')
const isQuick = isBaseline || process.argv.includes('--quick')
const again = optionOf('--again')?.split(',') ?? null
const only = again ?? optionOf('--only')?.split(',') ?? null
const roundCount = Number(optionOf('--rounds') ?? (isQuick && !isBaseline ? 3 : 5))
const timing: Timing = isQuick ? { durationMs: 2000, warmupMs: 2000 } : { durationMs: 4000, warmupMs: 2000 }
/** These take long, or say nothing on a machine that does something else meanwhile. */
const slow = ['fanout-5000', 'publish-rate', 'latency-60', 'idle-10000', 'topics-1', 'topics-10000']
const chosen = scenarios.filter(({ name }) => only?.includes(name) ?? !(isQuick && slow.includes(name)))

if (chosen.length === 0 && again?.includes('alone') !== true)
  throw new Error(`the comparisons are ${scenarios.map(({ name }) => name).join(', ')}`)
await pinClient()
const found = await contenders({ peers: !isQuick })
if (isQuick && !found.has('C epoll')) throw new Error('there is no C compiler: apt-get install gcc libc6-dev')
const results = await run(chosen, roundCount)
print(ratios(results))
if (isBaseline) await writeJson(baseline, ratios(results))
else if (isQuick) process.exitCode = await check(ratios(results))
else if (again !== null) await publish(await renewed(results, again.includes('alone')))
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

/**
 * 1 when something is more than a third worse than it was, and again in more rounds of what was worse: on a
 * machine with neighbours one run in many is.
 */
async function check(now: Ratios): Promise<number> {
  const before: Ratios = await Bun.file(baseline).json()
  const known = Object.fromEntries(Object.entries(before).filter(([name]) => only === null || isChosen(name)))
  const suspects = regressions(known, now, isCost)
  for (const line of suspects.values()) console.error(`${line}: once more`)
  if (suspects.size === 0) return 0
  const again = chosen.filter(({ name }) => suspects.has(name) || suspects.has(`${name}-live`))
  const longer = ratios(await run(again, roundCount + 2))
  print(longer)
  const confirmed = regressions(
    Object.fromEntries(Object.entries(known).filter(([name]) => suspects.has(name))),
    longer,
    isCost,
  )
  for (const line of confirmed.values()) console.error(line)
  return confirmed.size === 0 ? 0 : 1
}

function print(values: Ratios): void {
  for (const [name, value] of Object.entries(values)) console.log(`${name.padEnd(16)} ${value}`)
}

function isChosen(name: string): boolean {
  return chosen.some((scenario) => scenario.name === scenarioOf(name))
}

function isCost(name: string): boolean {
  return scenarios.find((scenario) => scenario.name === scenarioOf(name))?.isCost ?? true
}

/** A ratio of the hub without history has a name of its own. */
function scenarioOf(name: string): string {
  return name.replace(/-live$/, '')
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
