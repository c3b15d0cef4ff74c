import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binaryPath, until } from '../support/binary.ts'
import { bareEnv } from '../support/run-command.ts'

/** `cinnabar bench memory` of the compiled executable, with hubs that it starts itself. */

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cinnabar-test-'))
})
const started: Bun.Subprocess[] = []
// What a test that failed has left running, and with it the hubs of the run.
afterEach(async () => {
  for (const child of started.splice(0)) {
    child.kill('SIGTERM')
    await child.exited
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const three = ['--only', 'sqlite-count,memory,local']

/** `hasGroup`: in a group of processes of its own, as at a terminal. */
function start(argv: readonly string[], hasGroup = false) {
  const child = Bun.spawn([binaryPath(), 'bench', 'memory', ...argv], {
    env: { ...bareEnv, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: hasGroup,
  })
  started.push(child)
  return child
}

async function run(argv: readonly string[]) {
  const child = start(argv)
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  return { code: await child.exited, out, err }
}

/** The pids of hubs whose history is in the folder. */
function hubs(): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && commandOf(name).includes(folder))
    .map(Number)
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** Histories are in a folder that a run makes in the temporary folder. */
const left = () => ({
  hubs: hubs(),
  files: readdirSync(folder).filter((name) => name.startsWith('cinnabar-')),
})
const nothing = { hubs: [], files: [] }

describe('configurations side by side', () => {
  test('every hub gets all updates and keeps what its configuration says', async () => {
    const { code, out, err } = await run([...three, '--updates', '2500', '--rate', '0', '--json'])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const report = JSON.parse(out)
    expect(report).toMatchObject({ kind: 'memory', interrupted: false, load: { updates: 2500 } })
    const [count, memory, local] = report.configurations
    expect(count).toMatchObject({ name: 'sqlite-count', sent: 2500, rows: 2000, problem: null })
    expect(memory).toMatchObject({ name: 'memory', sent: 2500, rows: 2000, disk_peak_bytes: 0 })
    expect(local).toMatchObject({ name: 'local', sent: 2500, rows: 0, disk_peak_bytes: 0 })
    expect(count.disk_peak_bytes).toBeGreaterThan(2000 * 1024)
    for (const each of report.configurations) {
      expect(each.resident_peak_bytes).toBeGreaterThan(each.heap_last_bytes)
      expect(each.heap_last_bytes).toBeGreaterThan(1_000_000)
      expect(each.samples.length).toBeGreaterThanOrEqual(2)
      expect(each.samples[0]).toMatchObject({ sent: 0, rows: 0 })
      expect(each.samples.at(-1).sent).toBe(2500)
    }
    expect(left()).toEqual(nothing)
  }, 60_000)

  test('it prints a table without control characters and plots memory and disk', async () => {
    const plot = join(folder, 'run.svg')
    const { code, out } = await run([...three, '--updates', '500', '--rate', '0', '--plot', plot])
    expect(code).toBe(0)
    expect(out).not.toContain('\x1b')
    const lines = out.trimEnd().split('\n')
    expect(lines).toHaveLength(4)
    expect(lines[0]).toStartWith('configuration')
    expect(lines[1]).toMatch(/^sqlite-count +500 +500 +[\d.]+ MiB/)
    const svg = await Bun.file(plot).text()
    expect(svg.match(/<polyline/g)).toHaveLength(6)
    expect(left()).toEqual(nothing)
  }, 60_000)

  test.each(['SIGINT', 'SIGTERM'] as const)(
    '%s ends it with a report and leaves nothing',
    async (signal) => {
      const child = start([...three, '--duration', '1m', '--json', '--every', '50ms'])
      await until('updates in its hubs', () => hubs().length === 3 && hasHistory())
      child.kill(signal)
      const out = await new Response(child.stdout).text()
      expect(await child.exited).toBe(0)
      const report = JSON.parse(out)
      expect(report.interrupted).toBe(true)
      expect(report.configurations).toMatchObject([{ problem: null }, { problem: null }, { problem: null }])
      expect(left()).toEqual(nothing)
    },
    60_000,
  )

  test('an interruption at the terminal, which goes to a whole group of processes, is no death of a hub', async () => {
    const child = start([...three, '--duration', '1m', '--json', '--every', '50ms'], true)
    await until('updates in its hubs', () => hubs().length === 3 && hasHistory())
    process.kill(-child.pid, 'SIGINT')
    const out = await new Response(child.stdout).text()
    expect(await child.exited).toBe(0)
    expect(JSON.parse(out).configurations).toMatchObject([
      { problem: null },
      { problem: null },
      { problem: null },
    ])
    expect(left()).toEqual(nothing)
  }, 60_000)

  test('an interruption while its hubs start blames none of them', async () => {
    const child = start([...three, '--duration', '1m', '--json'])
    await until('the first hub', () => hubs().length > 0)
    child.kill('SIGINT')
    const out = await new Response(child.stdout).text()
    expect(await child.exited).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      interrupted: true,
      configurations: [{ problem: null }, { problem: null }, { problem: null }],
    })
    expect(left()).toEqual(nothing)
  }, 60_000)

  test('a hub that dies is reported, and the others go on', async () => {
    const child = start([...three, '--duration', '10s', '--json'])
    await until('updates in its hubs', () => hubs().length === 3 && hasHistory())
    const victim = hubs().find((pid) => commandOf(String(pid)).includes('sqlite-count.db'))
    process.kill(victim ?? Number.NaN, 'SIGKILL')
    const out = await new Response(child.stdout).text()
    expect(await child.exited).toBe(1)
    const [count, memory, local] = JSON.parse(out).configurations
    expect(count.problem).toStartWith('ended by SIGKILL: {"time"')
    expect(memory).toMatchObject({ problem: null })
    expect(local).toMatchObject({ problem: null })
    expect(memory.samples.at(-1).seconds).toBeGreaterThan(9)
    expect(left()).toEqual(nothing)
  }, 60_000)
})

/** Whether the hub with a file has stored something: then the load has begun. */
function hasHistory(): boolean {
  const [run] = readdirSync(folder).filter((name) => name.startsWith('cinnabar-bench-'))
  if (run === undefined) return false
  const file = Bun.file(join(folder, run, 'sqlite-count.db-wal'))
  return file.size > 200_000
}
