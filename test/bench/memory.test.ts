import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { terminalChart } from '../../src/bench/chart.ts'
import { metricOf } from '../../src/bench/client/metrics.ts'
import { processMemory } from '../../src/bench/client/process.ts'
import {
  configurationsOf,
  environmentOf,
  parseConfiguration,
  settingsOf,
} from '../../src/bench/memory/configurations.ts'
import { Course, type MemorySample } from '../../src/bench/memory/course.ts'
import { HistoryFolder } from '../../src/bench/memory/folder.ts'
import { serveFlags } from '../../src/bench/memory/hub.ts'
import { LiveChart, liveLines } from '../../src/bench/memory/live.ts'
import { shareOf, sizeOf } from '../../src/bench/memory/load.ts'
import { type MemoryReport, memoryJson, memoryPlot, memoryTable } from '../../src/bench/memory/report.ts'
import { driftOf, trendOf } from '../../src/bench/trend.ts'
import { runBench } from '../../src/cli/bench/command.ts'
import { runBenchMemory, startsItsHubs } from '../../src/cli/bench/memory.ts'
import { parseArguments } from '../../src/command/arguments.ts'
import { commandIo } from '../support/command-io.ts'

const MIB = 1024 ** 2

describe('arguments', () => {
  test('without --hub and --pid it starts hubs itself', () => {
    expect(startsItsHubs(['memory', '--updates', '5'])).toBe(true)
    expect(startsItsHubs(['memory', '--hub', 'http://hub.example'])).toBe(false)
    expect(startsItsHubs(['memory', '--pid=12'])).toBe(false)
    expect(startsItsHubs(['replay'])).toBe(false)
  })

  test('--help lists the configurations and says that settings are flags', async () => {
    const { io, out } = commandIo()
    expect(await runBench(['memory', '--help'], io)).toBe(0)
    expect(out()).toContain('sqlite-count, sqlite-age, sqlite-bytes')
    expect(out()).toContain('Every setting is a flag too')
  })

  test.each([
    [
      ['--only', 'sqlite-count,nothing'],
      '--only knows sqlite-count, sqlite-age, sqlite-bytes, memory, local',
    ],
    [['--configuration', 'no flags'], "--configuration is not 'NAME: --SETTING VALUE …'"],
    [['--configuration', '../up: --transport local'], '--configuration is not'],
    [['--configuration', "a: --history-rules '[{"], 'the configuration a has an open quote'],
    [['--configuration', 'local: --transport local'], 'there are two configurations local'],
    [['--configuration', 'a: --listen 127.0.0.1:80'], 'a: --listen is decided by the run itself'],
    [['--issuers', '[{"id":"https://a.example"}]'], 'is decided by the run itself'],
    [['--sqlite-path', 'mine.db'], 'yours: --sqlite-path is decided by the run itself'],
    [['--size', '10KiB..100'], '--size begins with the smaller size: "10KiB..100"'],
    [['--size', '5'], '--size is at least 12'],
    [['--size', 'large'], '--size is not a size'],
    [['--updates', '0'], '--updates is not a number from 1: "0"'],
    [['--every', '1ms'], '--every is not 20ms or longer'],
    [['--duration', '5'], '--duration is not a duration such as 250ms, 20s, 10m, 24h or 7d: "5"'],
    [['--histroy-max-count', '5'], 'did you mean --history-max-count?'],
    [Array.from({ length: 7 }, (_, n) => ['--configuration', `n${n}: --dev`]).flat(), 'no more than 12'],
  ])('%j ends with 2', async (argv, message) => {
    const { io, err } = commandIo()
    expect(await runBench(['memory', ...argv], io)).toBe(2)
    expect(err()).toContain(message)
  })

  test('a configuration is a name and flags, where quotes hold words with spaces together', () => {
    const rules = '[{"match": "*", "max_count": 5}]'
    const parsed = parseConfiguration(`rules: --history-rules '${rules}'  --transport="memory"`)
    expect(parsed.name).toBe('rules')
    expect(parsed.flags).toEqual(['--history-rules', rules, '--transport=memory'])
  })

  test('the settings of a configuration are reported without secrets', () => {
    const flags = ['--config', 'hub.toml', '--history-max-count=5', '--redis-url', 'redis://:secret@a']
    const settings = settingsOf({ name: 'a', flags, readsEnvironment: false })
    expect(settings).toMatchObject({ config: 'hub.toml', 'history.max_count': '5' })
    expect(JSON.stringify(settings)).not.toContain('secret')
  })
})

test('the file that cinnabar serve would find is yours, and no other hub of a run reads it', () => {
  const line = {
    name: '',
    usage: '',
    summary: '',
    options: [],
    hasSettings: true,
    positionals: { min: 0, max: 0 },
  }
  const configurations = (exists: boolean, env = {}) =>
    configurationsOf(parseArguments([], line), commandIo({ exists: () => exists, env }).io)
  expect(configurations(true).map(({ name }) => name)).toContain('yours')
  expect(configurations(false).map(({ name }) => name)).not.toContain('yours')
  expect(configurations(true, { CINNABAR_CONFIG: '' }).map(({ name }) => name)).not.toContain('yours')
  const folder = new HistoryFolder(tmpdir())
  const issuer = { id: 'a', audience: 'b', key: 'c' }
  for (const each of configurations(true)) {
    const isFound = !serveFlags(each, folder, issuer).includes('--config')
    expect(isFound).toBe(each.name === 'yours')
  }
  folder.remove()
})

test('settings in the environment are for yours, and names that say where a hub listens for nobody', () => {
  const env = {
    PATH: '/bin',
    CINNABAR_HISTORY_MAX_COUNT: '7',
    MERCURE_PUBLISHER_JWT_KEY: 'k',
    SERVER_NAME: ':80',
  }
  const { io } = commandIo({ env })
  const [first, ...others] = ['yours', 'local'].map((name) => ({
    ...parseConfiguration(`${name}:`),
    readsEnvironment: name === 'yours',
  }))
  expect(first && environmentOf(first, io)).toEqual({ PATH: '/bin', CINNABAR_HISTORY_MAX_COUNT: '7' })
  expect(others.map((each) => environmentOf(each, io))).toEqual([{ PATH: '/bin' }])
})

describe('the load', () => {
  test('sizes stay within their range, use all of it, and are the same each time', () => {
    const sizes = Array.from({ length: 1000 }, (_, number) => sizeOf(number, { least: 100, most: 10_000 }))
    expect(Math.min(...sizes)).toBeLessThan(110)
    expect(Math.max(...sizes)).toBeGreaterThan(9000)
    expect(sizes.every((size) => size >= 100 && size <= 10_000)).toBe(true)
    const half = sizes.filter((size) => size < 1000).length
    expect(half).toBeWithin(480, 520)
    expect(sizeOf(7, { least: 200, most: 200 })).toBe(200)
  })

  test('whichever limit comes first says how far it is', () => {
    const load = { rate: 1, sizes: { least: 12, most: 12 }, topics: 1, subscribers: 0, publishers: 1 }
    expect(shareOf({ ...load, updates: 100, durationMs: 10_000 }, 50, 2)).toBe(0.5)
    expect(shareOf({ ...load, updates: null, durationMs: 10_000 }, 50, 2)).toBe(0.2)
    expect(shareOf({ ...load, updates: 100, durationMs: null }, 101, 2)).toBe(1)
  })
})

describe('samples', () => {
  test('a long run keeps a bounded number of them, evenly, and the peaks of all', () => {
    const course = new Course()
    for (let number = 0; number < 100_000; number++) {
      course.add(
        sample({ seconds: number, residentBytes: number === 77_777 ? 9 * MIB : MIB, diskBytes: number }),
      )
    }
    const { samples } = course
    expect(samples.length).toBeWithin(1000, 2001)
    const steps = new Set(samples.slice(1).map(({ seconds }, at) => seconds - (samples[at]?.seconds ?? 0)))
    expect(steps.size).toBe(1)
    expect(samples[0]?.seconds).toBe(0)
    expect(course).toMatchObject({ residentPeakBytes: 9 * MIB, diskPeakBytes: 99_999 })
  })

  test('a figure that is not known hides no peak', () => {
    const course = new Course()
    for (const residentBytes of [Number.NaN, 5, Number.NaN, 3]) course.add(sample({ residentBytes }))
    expect(course.residentPeakBytes).toBe(5)
  })

  test('a metric is read by its whole name', () => {
    const text = '# HELP a b\na_total 3\nb_bytes 1e+06\nb 7\n'
    expect(metricOf(text, 'b_bytes')).toBe(1e6)
    expect(metricOf(text, 'b')).toBe(7)
    expect(metricOf('a 1\n', 'a')).toBe(1)
    expect(metricOf(text, 'a')).toBeNaN()
  })

  test('memory is what the kernel says, and unknown where it says nothing', () => {
    const status = 'Name:\thub\nVmRSS:\t  2048 kB\nRssAnon:\t  1024 kB\nRssFile:\t  1024 kB\n'
    expect(processMemory('1', () => status)).toEqual({ residentBytes: 2 * MIB, anonymousBytes: MIB })
    expect(processMemory('1', () => 'Name:\thub\nState:\tZ (zombie)\n')).toBeNull()
    const refuse = () => {
      throw new Error('ENOENT')
    }
    expect(processMemory('1', refuse)).toBeNull()
  })
})

describe('the verdict', () => {
  const over = (seconds: number, bytes: (share: number) => number) =>
    Array.from({ length: 61 }, (_, at) => [(at * seconds) / 60, bytes(at / 60)] as const)

  test('what stays is flat, whatever single samples say', () => {
    const trend = trendOf(over(60, (share) => (Math.round(share * 60) % 7 === 0 ? 200 * MIB : 100 * MIB)))
    expect(trend).toEqual({ verdict: 'flat', growthPercent: 0 })
  })

  test('what grows all the time is growing', () => {
    const trend = trendOf(over(60, (share) => (100 + 30 * share) * MIB))
    expect(trend.verdict).toBe('growing')
    expect(trend.growthPercent).toBeCloseTo(19.57, 2)
  })

  test('10 % are flat, and so is less than 1 MiB', () => {
    expect(trendOf(over(60, (share) => (100 + 12 * share) * MIB)).verdict).toBe('flat')
    expect(trendOf(over(60, (share) => 1000 + share * MIB)).verdict).toBe('flat')
  })

  test('what shrinks is flat', () => {
    expect(trendOf(over(60, (share) => (100 - 50 * share) * MIB)).verdict).toBe('flat')
  })

  test('a run that hardly warms up says how much, but not whether it goes on', () => {
    const trend = trendOf(over(10, (share) => (60 + 30 * share) * MIB))
    expect(trend.verdict).toBe('too short')
    expect(trend.growthPercent).toBeGreaterThan(20)
  })

  test('nothing grew from nothing to nothing, and no samples say nothing', () => {
    expect(trendOf(over(60, () => 0))).toEqual({ verdict: 'flat', growthPercent: 0 })
    expect(trendOf([])).toEqual({ verdict: 'too short', growthPercent: Number.NaN })
  })

  test('a drift leaves the warm-up out, and single samples', () => {
    expect(driftOf([10, 50, 90, 100, 100, 100, 100, 500, 100])).toBe(1)
    expect(driftOf([10, 50, 90, 100, 100, 100, 120, 120, 120])).toBeCloseTo(1.2, 10)
    expect(driftOf([100, 100, 100, 50, 50, 50, 25, 25, 25])).toBe(0.5)
    expect(driftOf([1, 2])).toBeNaN()
  })
})

describe('the chart', () => {
  const label = (y: number) => `${Math.round(y)} MiB`
  const rising = { name: 'rising', points: [[0, 0] as const, [10, 100] as const] }
  const level = { name: 'level', points: [[0, 50] as const, [10, 50] as const] }

  test('lines go from the left to the right and from the bottom to the top', () => {
    const chart = { width: 20, height: 6, hasColor: false, label }
    expect(terminalChart({ ...chart, series: [rising] })).toEqual([
      '105 MiB ┤         aa',
      '        ┤       aaa ',
      ' 63 MiB ┤    aaa    ',
      '        ┤  aaa      ',
      '  0 MiB ┤aaa        ',
      '        0       10 s',
    ])
  })

  test('without colours each line has its letter, and with them the dots are of its colour', () => {
    const chart = { series: [rising, level], width: 40, height: 8, label }
    const plain = terminalChart({ ...chart, hasColor: false }).join('\n')
    expect(plain).toMatch(/a/)
    expect(plain).toMatch(/b/)
    expect(plain).not.toContain('\x1b')
    const colored = terminalChart({ ...chart, hasColor: true }).join('\n')
    expect(colored).toMatch(/\x1b\[31m[\u2801-\u28ff]\x1b\[0m/u)
    expect(colored).toMatch(/\x1b\[34m[\u2801-\u28ff]\x1b\[0m/u)
  })

  test('no line is wider than the terminal, and figures that are not known are left out', () => {
    const points = [[0, 1] as const, [1, Number.NaN] as const, [2, 2] as const]
    for (const width of [24, 80, 200]) {
      const lines = terminalChart({
        series: [{ name: 'n', points }],
        width,
        height: 9,
        hasColor: false,
        label,
      })
      expect(lines).toHaveLength(9)
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width)
    }
    expect(terminalChart({ series: [], width: 40, height: 4, hasColor: false, label })).toHaveLength(4)
  })

  test('the live picture fits the screen and is drawn over itself', () => {
    const { outcomes } = report()
    const screen = { columns: 60, rows: 16, hasColor: false }
    const lines = liveLines(outcomes, 0.5, screen)
    expect(lines.length).toBeLessThan(screen.rows)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(screen.columns)
    expect(lines[0]).toContain('50 %')
    expect(lines.at(-1)).toStartWith('b broken         ended by 1: {"message":"no"}')
    const written: string[] = []
    const live = new LiveChart(
      (text) => written.push(text),
      () => screen,
    )
    live.draw(outcomes, 0.1)
    live.draw(outcomes, 0.2)
    expect(written[0]).not.toContain('\x1b[J')
    expect(written[1]).toStartWith(`\x1b[${lines.length}A\r\x1b[J`)
  })
})

describe('the report', () => {
  test('the table has a row for each configuration and a line for each that did not last', () => {
    expect(
      memoryTable(report())
        .split('\n')
        .map((line) => line.replace(/ {2,}/g, ' | ')),
    ).toEqual([
      'configuration | sent | kept | resident first | median | last | peak | heap | disk peak | memory | disk',
      'count | 3,000 | 10 | 50.0 MiB | 50.0 MiB | 50.0 MiB | 50.0 MiB | 20.0 MiB | 60.0 MiB | flat +0.0 % | growing +431.6 %',
      'broken | 0 | - | - | - | - | - | - | - | too short | too short',
      'broken: ended by 1: {"message":"no"}',
      '',
    ])
  })

  test('the JSON has every figure and every sample, and null for what is not known', () => {
    const [count, broken] = JSON.parse(memoryJson(report())).configurations
    expect(count).toMatchObject({
      name: 'count',
      settings: { 'history.max_count': '10' },
      sent: 3000,
      rows: 10,
      resident_peak_bytes: 50 * MIB,
      resident_verdict: 'flat',
      disk_verdict: 'growing',
      problem: null,
    })
    expect(count.samples).toHaveLength(61)
    expect(count.samples[60]).toEqual({
      seconds: 60,
      sent: 0,
      resident_bytes: 50 * MIB,
      heap_bytes: 20 * MIB,
      rows: 10,
      history_bytes: 0,
      disk_bytes: 60 * MIB,
    })
    expect(broken).toMatchObject({ rows: null, resident_last_bytes: null, samples: [] })
  })

  test('the plot has a line for each configuration in both of its panels', () => {
    const svg = memoryPlot(report())
    expect(svg.match(/<polyline/g)).toHaveLength(4)
    expect(svg).toContain('viewBox="0 0 800 800"')
    expect(svg).toContain('Resident memory')
    expect(svg).toContain('History file and journal')
  })
})

/** Against hubs from source: the compiled ones have a test of their own. */
describe('a run', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'cinnabar-test-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const program = [process.execPath, new URL('../../src/main.ts', import.meta.url).pathname]
  const run = async (argv: readonly string[], command = program) => {
    const { io, out, err } = commandIo({
      env: { PATH: process.env['PATH'], TMPDIR: folder, CINNABAR_HISTORY_MAX_COUNT: '7' },
      readFile: (path) => readFileSync(path, 'utf8'),
      fetch,
      clock: Date.now,
    })
    const code = await runBenchMemory([...argv, '--rate', '0', '--json'], io, command)
    expect(readdirSync(folder)).toEqual([])
    return { code, err: err(), report: out() === '' ? null : JSON.parse(out()) }
  }

  test('the environment and flags are for yours, and every hub gets the same load', async () => {
    const argv = ['--updates', '100', '--size', '100..2KiB', '--only', 'yours,unbounded', '--every', '20ms']
    const { code, report } = await run([...argv, '--hub-heartbeat', '5s'])
    expect(code).toBe(0)
    expect(report.configurations).toMatchObject([
      { name: 'yours', sent: 100, rows: 7, settings: { 'hub.heartbeat': '5s' }, problem: null },
      { name: 'unbounded', sent: 100, rows: 100, problem: null },
    ])
    expect(report.load).toMatchObject({ updates: 100, size_least_bytes: 100, size_most_bytes: 2048 })
  }, 30_000)

  test('a configuration that no hub could have is told before anything starts, and ends with 78', async () => {
    const { code, err, report } = await run([
      '--configuration',
      'bad: --history-max-age 3',
      '--only',
      'bad,local',
    ])
    expect({ code, report }).toEqual({ code: 78, report: null })
    expect(err).toStartWith('bad: --history-max-age: ')
  })

  test('a place where nothing can be written ends with 1', async () => {
    const { code, err } = await run(['--folder', join(folder, 'missing')])
    expect(code).toBe(1)
    expect(err).toContain('nothing can be written in')
  })

  test('a hub that does not start is reported with what it said last', async () => {
    const script = 'console.error("first"); console.error("no room here"); process.exit(3) // '
    const { code, report } = await run(['--only', 'local'], [process.execPath, '-e', script])
    expect(code).toBe(1)
    expect(report.configurations[0]).toMatchObject({
      sent: 0,
      problem: 'it did not start, ended by 3: no room here',
    })
  }, 30_000)
})

function sample(parts: Partial<MemorySample>): MemorySample {
  return {
    seconds: 0,
    sent: 0,
    residentBytes: Number.NaN,
    heapBytes: Number.NaN,
    rows: Number.NaN,
    historyBytes: 0,
    diskBytes: Number.NaN,
    ...parts,
  }
}

/** A minute of a hub whose file grows by a MiB a second, and a hub that did not start. */
function report(): MemoryReport {
  const course = new Course()
  for (let seconds = 0; seconds <= 60; seconds++) {
    const bytes = { residentBytes: 50 * MIB, heapBytes: 20 * MIB, diskBytes: seconds * MIB }
    course.add(sample({ seconds, rows: 10, ...bytes }))
  }
  return {
    load: {
      ...{ updates: 3000, durationMs: null, rate: 0, sizes: { least: 12, most: 12 } },
      ...{ topics: 1, subscribers: 1, publishers: 1 },
    },
    seconds: 60,
    isInterrupted: false,
    outcomes: [
      {
        configuration: parseConfiguration('count: --history-max-count 10'),
        course,
        sent: 3000,
        problem: null,
      },
      {
        configuration: parseConfiguration('broken: --transport local'),
        course: new Course(),
        sent: 0,
        problem: 'ended by 1: {"message":"no"}',
      },
    ],
  }
}
