/**
 * Whether this build is slower than the one before: `bun scripts/bench/regression.ts [COMMIT]`, after
 * `sh scripts/build.sh`. Builds the executable of that commit, by default of the one that `findBase` chooses, in a
 * temporary folder and measures both by turns, so that the machine and who else uses it are the same for both. Ends
 * with 1 when a figure is more than a third worse, and so again in a second run of what was worse; with 0 and a line
 * that says why where nothing can be compared. Takes a minute, and twice that where something looks worse.
 */

import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '../../src/command/failure.ts'
import { cinnabar, pinClient, usableCores } from './contenders.ts'
import { built } from './hub.ts'
import { AUTO, buildBase, findBase } from './regression/base.ts'
import { loads } from './regression/loads.ts'
import { run } from './regression/run.ts'
import { regressions, worse } from './regression/verdict.ts'

const ROUNDS = 3
const ROUNDS_MAX = 9

const checkout = new URL('../..', import.meta.url).pathname
const before = await buildBefore(process.argv[2] ?? AUTO)
if (before !== null) process.exitCode = (await isSlower(before, built)) ? 1 : 0

/** The executable to compare with; null where nothing can be compared, after saying why. */
async function buildBefore(asked: string): Promise<string | null> {
  if (usableCores().length < 2) return nothing('that takes two cores')
  const base = await findBase(asked, checkout)
  if (base === null) return nothing('the clone holds no commit before this one')
  const folder = await mkdtemp(join(tmpdir(), 'cinnabar-base-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  try {
    const executable = await buildBase(base, checkout, folder)
    await (await cinnabar([], executable)).stop()
    console.log(`performance is compared with ${base.name} (${base.commit.slice(0, 12)})`)
    return executable
  } catch (error) {
    // That is no fault of this commit, which may be the one that mends it.
    return nothing(`${base.name} cannot be built and started: ${messageOf(error)}`)
  }
}

function nothing(why: string): null {
  console.log(`performance is not compared: ${why}`)
  return null
}

async function isSlower(before: string, now: string): Promise<boolean> {
  await pinClient()
  const first = await run(loads, { before, now }, ROUNDS)
  const suspects = worse(first)
  if (suspects.length === 0) return false
  const again = loads.filter(({ title }) => suspects.includes(title))
  console.log(`once more: ${suspects.join('; ')}`)
  // In no more time than the first run took.
  const rounds = Math.min(ROUNDS_MAX, Math.floor((ROUNDS * loads.length) / again.length))
  const found = regressions(first, await run(again, { before, now }, rounds))
  for (const title of found) console.log(`more than a third worse in both runs: ${title}`)
  return found.length > 0
}
