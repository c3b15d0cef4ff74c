/**
 * The standard set: this hub beside a loop in C and, where it is installed, nchan, in the same rounds on the
 * same machine. The server has one core, the client the other. Run it as `bun scripts/bench/standard.ts` after
 * `sh scripts/build.sh`, on a machine that does nothing else: it takes twenty minutes and writes the table of
 * docs/performance.md and docs/bench/performance*. `--quick` takes two, writes nothing and fails when a ratio
 * is more than a third worse than in docs/bench/baseline.json; `--baseline` is quick and writes that file.
 * `--only NAME,NAME` prints the ratios of some comparisons.
 */

import { pinClient } from './contenders.ts'
import { measureAlone } from './standard-alone.ts'
import { plots, type Results, type Rounds, ratios, table } from './standard-page.ts'
import { type ContenderName, contenders, measure, scenarios, type Timing } from './standard-set.ts'

const folder = new URL('../../docs/bench/', import.meta.url)
const page = new URL('../../docs/performance.md', import.meta.url)
const baseline = new URL('baseline.json', folder)

const isQuick = process.argv.includes('--quick') || process.argv.includes('--baseline')
const only = optionOf('--only')?.split(',') ?? null
const roundCount = Number(optionOf('--rounds') ?? (isQuick ? 3 : 5))
const timing: Timing = isQuick ? { durationMs: 1000, warmupMs: 500 } : { durationMs: 4000, warmupMs: 2000 }
/** These take long, or say nothing on a machine that does something else meanwhile. */
const slow = ['fanout-5000', 'publish-rate', 'latency-60', 'idle-10000', 'topics-1', 'topics-10000']
const chosen = scenarios.filter(({ name }) => only?.includes(name) ?? !(isQuick && slow.includes(name)))

await pinClient()
const results = await run()
for (const [name, value] of Object.entries(ratios(results))) console.log(`${name.padEnd(16)} ${value}`)
if (process.argv.includes('--baseline')) await writeJson(baseline, ratios(results))
else if (isQuick) process.exitCode = await compare(ratios(results))
else if (only === null) {
  // Kept already, since what follows takes minutes of its own.
  await writeJson(new URL('performance.json', folder), results)
  await publish({ ...results, alone: await measureAlone(1_000_000, roundCount) })
} else console.log(table(results))

async function run(): Promise<Results> {
  const found = await contenders()
  const measured: Record<string, Partial<Record<ContenderName, number[]>>> = {}
  for (let round = 1; round <= roundCount; round++) {
    for (const scenario of chosen) {
      const rounds = measured[scenario.name] ?? {}
      measured[scenario.name] = rounds
      for (const name of scenario.contenders) {
        const contender = found.get(name)
        if (contender === undefined) continue
        const value = await measure(scenario, contender, timing)
        rounds[name] = [...(rounds[name] ?? []), value]
        console.error(`${round}/${roundCount} ${scenario.name.padEnd(14)} ${name.padEnd(20)} ${value}`)
      }
    }
  }
  const date = new Date().toISOString().slice(0, 10)
  return { date, rounds: roundCount, scenarios: measured satisfies Record<string, Rounds>, alone: null }
}

/** 1 when something is more than a third worse than it was. */
async function compare(now: Readonly<Record<string, number>>): Promise<number> {
  const before: Readonly<Record<string, number>> = await Bun.file(baseline).json()
  let code = 0
  for (const [name, value] of Object.entries(now)) {
    const known = before[name]
    if (known === undefined) continue
    const isCost = scenarios.find((scenario) => scenario.name === name.replace(/-live$/, ''))?.isCost ?? true
    const worse = isCost ? value / known : known / value
    if (worse <= 4 / 3) continue
    console.error(`${name} is ${value} times the C loop, and was ${known}`)
    code = 1
  }
  return code
}

async function publish(all: Results): Promise<void> {
  await writeJson(new URL('performance.json', folder), all)
  for (const [name, svg] of plots(all)) await Bun.write(new URL(`performance-${name}.svg`, folder), svg)
  const text = await Bun.file(page).text()
  const [before = '', rest = ''] = text.split('<!-- standard set -->\n')
  const after = rest.slice(rest.indexOf('<!-- end -->'))
  await Bun.write(page, `${before}<!-- standard set -->\n${table(all)}\n${after}`)
}

async function writeJson(file: URL, value: unknown): Promise<void> {
  await Bun.write(file, `${JSON.stringify(value, null, 2)}\n`)
}

function optionOf(flag: string): string | null {
  const at = process.argv.indexOf(flag)
  return at === -1 ? null : (process.argv[at + 1] ?? null)
}
