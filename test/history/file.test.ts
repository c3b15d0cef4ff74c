import { Database } from 'bun:sqlite'
import { afterEach, describe, expect, test } from 'bun:test'
import { readdirSync, truncateSync } from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { compactHistory } from '../../src/history/compact.ts'
import { exportHistory } from '../../src/history/export.ts'
import { type Found, importHistory, type NewEntry } from '../../src/history/import.ts'
import type { StoredEntry } from '../../src/history/pages.ts'
import { pruneHistory } from '../../src/history/prune.ts'
import { type Losses, salvageHistory } from '../../src/history/salvage.ts'
import { historyStats } from '../../src/history/stats.ts'
import type { Position } from '../../src/hub/transport.ts'
import { type Envelope, seal } from '../../src/protocol/update.ts'
import type { Retention } from '../../src/transport/retention.ts'
import { PAGE_BYTES, storedBytes } from '../../src/transport/sqlite/size.ts'
import { update } from '../support/hub.ts'
import { Machine } from '../support/machine.ts'
import { envelope, ids, readAll, refusal, unlimited, wholeLog } from '../transport/contract.ts'
import { type SqliteLog, sqliteLogAt, temporaryFolder } from '../transport/sqlite/log.ts'

const cleanup: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

function historyPath(): string {
  const folder = temporaryFolder()
  cleanup.push(folder.remove)
  return join(folder.path, 'history.db')
}

async function open(path: string, clock = () => 0, retention: Retention = unlimited): Promise<SqliteLog> {
  const log = sqliteLogAt(path, { clock, retention })
  await log.transport.open(() => {})
  cleanup.push(() => log.transport.close())
  return log
}

/** An open log with updates 0 to `count` on topics that take turns, one millisecond apart. */
async function filled(
  path: string,
  count: number,
  topics = ['a', 'b', 'c'],
  bytes = 100,
): Promise<SqliteLog> {
  const all = Array.from({ length: count }, (_, index) => {
    return { ...on(topics[index % topics.length] ?? 'a', `${index}`, bytes), at: 1000 + index }
  })
  await importHistory(path, foundIn(all))
  return await open(path, () => 1000 + count - 1)
}

/** A source of these entries. */
function foundIn(entries: readonly NewEntry[]): readonly Found[] {
  return entries.map((entry, at) => ({ place: `entry ${at + 1}`, kind: 'entry', entry }))
}

function on(topic: string, id: string, bytes = 100): Envelope {
  return { ...envelope(id, bytes), topics: [topic] }
}

const atOnce = async () => {}
const everything = { keep: unlimited, matches: null, now: 0, isDryRun: false, pause: atOnce }
const isTopic = (wanted: string) => (topics: readonly string[]) => topics.includes(wanted)

async function exported(path: string, afterId: string | null = null): Promise<StoredEntry[]> {
  const all: StoredEntry[] = []
  await exportHistory(path, afterId, async (page) => void all.push(...page))
  return all
}

function placeSizes(path: string): readonly number[] {
  const database = new Database(path, { readonly: true })
  const rows = database.query<{ bytes: number }, []>('SELECT bytes FROM place').all()
  database.close()
  return rows.map(({ bytes }) => bytes)
}

describe('M4 a log whose time is not that of the wall clock, which was set while the hub ran', () => {
  const [in2020, in2026] = [Date.UTC(2020, 0, 1), Date.UTC(2026, 0, 1)]

  /** With an entry of a minute ago and one of now. */
  async function setRight(path: string): Promise<Machine> {
    const machine = new Machine(in2020)
    const { transport } = sqliteLogAt(path, { clocks: machine })
    await transport.open(() => {})
    await transport.append(on('a', 'before'))
    machine.pass(60_000)
    machine.set(in2026)
    await transport.append(on('a', 'after'))
    await transport.close()
    return machine
  }

  test('is shown and exported with the times when its entries really came', async () => {
    const path = historyPath()
    await setRight(path)
    expect(await historyStats(path, 1)).toMatchObject({
      oldest: { id: 'before', at: in2026 - 60_000 },
      newest: { id: 'after', at: in2026 },
    })
    expect((await exported(path)).map(({ at }) => at)).toEqual([in2026 - 60_000, in2026])
  })

  test('is pruned by the age that the clock of the tool says', async () => {
    const path = historyPath()
    await setRight(path)
    const options = { ...everything, keep: { ...unlimited, maxAgeMs: 30_000 }, now: in2026 + 1000 }
    expect(await pruneHistory(path, options)).toMatchObject({ count: 1 })
    expect((await exported(path)).map(({ id }) => id)).toEqual(['after'])
  })

  test('takes what is imported with its times, and refuses what is older than its newest entry', async () => {
    const path = historyPath()
    const machine = await setRight(path)
    await importHistory(path, foundIn([{ ...on('a', 'imported'), at: in2026 + 5000 }]))
    expect((await exported(path)).map(({ at }) => at)).toEqual([in2026 - 60_000, in2026, in2026 + 5000])
    const older = importHistory(path, foundIn([{ ...on('a', 'older'), at: in2026 + 4999 }]))
    expect(await refusal(older)).toMatchObject({ message: expect.stringContaining('older than the entry') })
    machine.reboot('second', in2026 + 20_000)
    const retention = { ...unlimited, maxAgeMs: 30_000 }
    const { transport } = sqliteLogAt(path, { clocks: machine, retention })
    await transport.open(() => {})
    cleanup.push(() => transport.close())
    expect(ids(await readAll(transport, 3))).toEqual(['after', 'imported'])
  })
})

describe('stats', () => {
  test('are those of the running hub, with the topics that take most', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 10)
    await transport.append(on('large', 'x', 5000))
    const { rows, bytes } = await transport.stats()
    expect(await historyStats(path, 2)).toEqual({
      path,
      isRunning: true,
      rows,
      bytes,
      oldest: { id: '0', at: 1000 },
      newest: { id: 'x', at: 1009 },
      fileBytes: Bun.file(path).size,
      journalBytes: Bun.file(`${path}-wal`).size,
      pageBytes: PAGE_BYTES,
      freePages: 0,
      rules: [],
      topicCount: 4,
      topicsByRows: [
        { topic: 'a', rows: 4, bytes: 4 * storedBytes(on('a', '0'), false) },
        { topic: 'b', rows: 3, bytes: 3 * storedBytes(on('b', '1'), false) },
      ],
      topicsByBytes: [
        { topic: 'large', rows: 1, bytes: storedBytes(on('large', 'x', 5000), false) },
        { topic: 'a', rows: 4, bytes: 4 * storedBytes(on('a', '0'), false) },
      ],
    })
  })

  test('leave the folder of a stopped hub as it was, byte by byte', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 10)
    await transport.close()
    const before = await Bun.file(path).bytes()
    expect(await historyStats(path, 1)).toMatchObject({ isRunning: false, rows: 10, journalBytes: 0 })
    expect(await Bun.file(path).bytes()).toEqual(before)
    expect(readdirSync(join(path, '..')).sort()).toEqual(['history.db', 'history.db.lock'])
  })

  test('say what belongs to each rule, and a prune does not confuse the rules of a running hub', async () => {
    const path = historyPath()
    const rule = {
      ...unlimited,
      name: 'a',
      perTopic: true,
      maxCount: 5,
      test: (topic: string) => topic === 'a',
    }
    const other = { ...rule, name: 'z', test: (topic: string) => topic === 'z' }
    const { transport } = await open(path, () => 0, { ...unlimited, rules: [rule, other] })
    for (let index = 0; index < 20; index++)
      await transport.append(on(index % 2 === 0 ? 'a' : 'b', `${index}`))
    const { rules, rows } = await historyStats(path, 1)
    expect(rules).toEqual([
      { rule: 'a', rows: 5, bytes: 5 * storedBytes(on('a', '10'), true) },
      { rule: 'z', rows: 0, bytes: 0 },
    ])
    expect(rows).toBe(15)
    await pruneHistory(path, { ...everything, keep: { ...unlimited, maxCount: 2 }, matches: isTopic('a') })
    for (const id of ['x', 'y', 'z']) await transport.append(on('a', id))
    expect((await historyStats(path, 1)).rules[0]?.rows).toBe(5)
    await transport.append(on('a', 'one more'))
    expect((await exported(path)).filter(({ topics }) => topics[0] === 'a').map(({ id }) => id)).toEqual([
      '18',
      'x',
      'y',
      'z',
      'one more',
    ])
    expect((await transport.stats()).rows).toBe(15)
  })

  test('of an empty history have no oldest and no newest', async () => {
    const path = historyPath()
    await open(path)
    expect(await historyStats(path, 1)).toMatchObject({ rows: 0, bytes: 0, oldest: null, newest: null })
  })
})

describe('a tool refuses', () => {
  test('a file that is not there, and makes none', async () => {
    const path = historyPath()
    for (const run of [
      () => historyStats(path, 1),
      () => pruneHistory(path, everything),
      () => compactHistory(path, atOnce),
      () => exported(path),
      () => salvageHistory(path, () => true, atOnce),
    ]) {
      expect(await refusal(run())).toMatchObject({ message: expect.stringContaining('there is no history') })
    }
    expect(readdirSync(join(path, '..'))).toEqual([])
  })

  test('a database of another program, and a file that is none', async () => {
    for (const make of [
      (path: string) => new Database(path).run('CREATE TABLE other (value INTEGER)'),
      (path: string) => Bun.write(path, 'no database, '.repeat(1000)),
    ]) {
      const path = historyPath()
      await make(path)
      const before = await Bun.file(path).bytes()
      for (const run of [
        () => historyStats(path, 1),
        () => pruneHistory(path, everything),
        () => compactHistory(path, atOnce),
        () => importHistory(path, []),
      ]) {
        expect(await refusal(run())).toMatchObject({ message: expect.stringContaining('not a history file') })
      }
      expect(await Bun.file(path).bytes()).toEqual(before)
    }
  })

  test('a file in the same words as a hub that starts on it', async () => {
    for (const make of [
      (path: string) => new Database(path).run('CREATE TABLE other (value INTEGER)'),
      (path: string) => Bun.write(path, 'no database, '.repeat(1000)),
      async (path: string) => {
        const { transport } = await filled(path, 100)
        await transport.close()
        // Every page behind the header: nothing of the log can be read.
        const bytes = await Bun.file(path).bytes()
        await Bun.write(path, bytes.fill(0x5a, 100))
      },
    ]) {
      const path = historyPath()
      await make(path)
      const refusals = [await refusal(open(path)), await refusal(pruneHistory(path, everything))]
      const [ofHub, ofTool] = refusals.map((error) => (error instanceof Error ? error.message : 'no error'))
      expect(ofHub).toContain(path)
      expect(ofTool).toBe(ofHub ?? '')
    }
  })

  test('to import while a hub is running, and to export after an id that is not there', async () => {
    const path = historyPath()
    await filled(path, 3)
    expect(await refusal(importHistory(path, []))).toMatchObject({
      message: expect.stringContaining('another hub is running'),
    })
    expect(await refusal(exported(path, 'nobody'))).toMatchObject({ name: 'HistoryProblem' })
  })
})

describe('prune beside a running hub', () => {
  const keeping = (keep: Partial<Retention>) => ({ ...everything, keep: { ...unlimited, ...keep } })

  test('keeps the newest by count; who has not read the others yet is told', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 1000)
    const dropped = await pruneHistory(path, keeping({ maxCount: 100 }))
    expect(dropped).toEqual({ count: 900, bytes: dropped.bytes })
    expect(ids(await readAll(transport, 1000))).toEqual(Array.from({ length: 100 }, (_, at) => `${900 + at}`))
    expect(await transport.find('899')).toBeNull()
    expect(await transport.find('900')).toBe(901 as Position)
    expect(await transport.read(899 as Position, 1000 as Position, wholeLog)).toBe('lost')
    await transport.append(on('a', 'next'))
    expect(await transport.stats()).toMatchObject({ rows: 101, dropped: 900, oldestAt: 1900 })
    await transport.close()
    expect((await exported(path)).length).toBe(101)
    await open(path)
  })

  test('keeps the newest by age and by bytes', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 300)
    expect(await pruneHistory(path, { ...keeping({ maxAgeMs: 100 }), now: 1299 })).toMatchObject({
      count: 200,
    })
    expect(ids(await readAll(transport, 300))[0]).toBe('200')
    const size = storedBytes(on('a', '200'), false)
    expect(await pruneHistory(path, keeping({ maxBytes: 10 * size + 1 }))).toMatchObject({ count: 90 })
    expect(ids(await readAll(transport, 300))).toHaveLength(10)
  })

  test('drops what matches wherever it stands, and the others stay in their places', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 300)
    const options = { ...keeping({ maxCount: 0 }), matches: isTopic('b') }
    expect(await pruneHistory(path, { ...options, isDryRun: true })).toMatchObject({ count: 100 })
    expect(await readAll(transport, 300)).toHaveLength(300)
    expect(await pruneHistory(path, options)).toMatchObject({ count: 100 })
    const left = await readAll(transport, 300)
    expect(left.map(({ position }) => position % 3)).not.toContain(2)
    expect(left).toHaveLength(200)
    // A reader in the middle of its replay goes on: what is gone was taken out on purpose.
    expect(ids(await readAll(transport, 300, 1))[0]).toBe('2')
    // So does one whose last event it was.
    expect(await transport.find('298')).toBe(299 as Position)
    expect(
      await pruneHistory(path, { ...options, matches: isTopic('a'), keep: { ...unlimited, maxCount: 1 } }),
    ).toMatchObject({ count: 99 })
    expect(await transport.find('297')).toBe(298 as Position)
  })

  test('also takes the newest entry, and the hub starts again after it', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 6)
    await pruneHistory(path, { ...keeping({ maxCount: 0 }), matches: isTopic('c') })
    await transport.close()
    const again = await open(path)
    expect(ids(await readAll(again.transport, 6))).toEqual(['0', '1', '3', '4'])
    await again.transport.append(on('a', 'next'))
    expect(await again.transport.find('next')).toBe(7 as Position)
  })

  test('leaves nothing with a count of zero, and the hub goes on and starts again', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 20)
    await pruneHistory(path, keeping({ maxCount: 0 }))
    await transport.prune()
    expect(await transport.stats()).toMatchObject({ rows: 0, bytes: 0, oldestAt: null })
    await transport.close()
    const again = await open(path)
    await again.transport.append(on('a', 'next'))
    expect(await again.transport.find('next')).toBe(21 as Position)
  })

  test('the books stay exact whatever is appended and dropped meanwhile', async () => {
    const limit = fc.option(fc.nat(700), { nil: null })
    const property = fc.asyncProperty(
      limit,
      fc.constantFrom(null, 'a', 'b'),
      fc.nat(30),
      async (maxCount, topic, appends) => {
        const path = historyPath()
        const { transport } = await filled(path, 600)
        let next = 600
        const options = {
          ...keeping({ maxCount }),
          matches: topic === null ? null : isTopic(topic),
          pause: async () => {
            for (let index = 0; index < appends; index++) await transport.append(on('a', `${next++}`))
          },
        }
        const held = topic === null ? 600 : 200
        const { count } = await pruneHistory(path, options)
        expect(count).toBe(maxCount === null ? 0 : Math.max(0, held - maxCount))
        await transport.append(on('c', 'last'))
        const left = await readAll(transport, Number.MAX_SAFE_INTEGER)
        const places = topic === null ? [] : placeSizes(path)
        const stored = [...left.map((entry) => storedBytes(entry, false)), ...places]
        const bytes = stored.reduce((sum, one) => sum + one, 0)
        expect(await transport.stats()).toMatchObject({ rows: left.length, bytes, places: places.length })
        expect(places).toHaveLength(topic === null ? 0 : count)
        expect(left.length).toBe(next + 1 - count)
        await transport.close()
      },
    )
    await fc.assert(property, { numRuns: 12 })
  }, 60_000)
})

describe('compact', () => {
  test('gives free pages back beside a running hub', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 2000, ['a'], 1000)
    // The hub keeps up to this many free pages for its next entries.
    await pruneHistory(path, { ...everything, keep: { ...unlimited, maxCount: 1000 } })
    expect((await historyStats(path, 1)).freePages).toBeGreaterThan(0)
    const { way, before, after } = await compactHistory(path, atOnce)
    expect(way).toBe('beside')
    expect(after).toBeLessThan(before)
    expect(await historyStats(path, 1)).toMatchObject({ freePages: 0, journalBytes: 0, rows: 1000 })
    await transport.append(on('a', 'next'))
    expect(await readAll(transport, 2001)).toHaveLength(1001)
  })

  test('writes the file anew when no hub is running', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 2000, ['a', 'b'], 1000)
    await transport.close()
    // Every other row goes: hardly a page becomes free by itself.
    await pruneHistory(path, { ...everything, keep: { ...unlimited, maxCount: 0 }, matches: isTopic('a') })
    const { way, before, after } = await compactHistory(path, atOnce)
    expect(way).toBe('whole')
    expect(after).toBeLessThan(0.6 * before)
    const again = await open(path)
    expect(await readAll(again.transport, 2000)).toHaveLength(1000)
  })
})

describe('export and import', () => {
  test('every entry comes back with its order, its time, its topics and its bytes', async () => {
    const [path, copy] = [historyPath(), historyPath()]
    const { transport } = await filled(path, 1200, ['a', 'b', 'ü "\\'], 1000)
    await transport.append({ ...on('big', 'big', 3_000_000), private: true, topics: ['big', 'other'] })
    const all = await exported(path)
    expect(all.map(({ id }) => id)).toEqual(ids(await readAll(transport, 1201)))
    expect(await importHistory(copy, foundIn(all))).toEqual({ stored: 1201, leftOut: 0, examples: [] })
    expect(await exported(copy)).toEqual(all)
    const opened = await open(copy)
    expect(await readAll(opened.transport, 1201)).toEqual(await readAll(transport, 1201))
    expect(await opened.transport.find('big')).toBe(1201 as Position)
    expect((await historyStats(copy, 0)).bytes).toBe((await historyStats(path, 0)).bytes)
  })

  test('starts after an id; of equal ids the earliest counts', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 5)
    await transport.append(on('a', '3'))
    expect((await exported(path, '3')).map(({ id }) => id)).toEqual(['4', '3'])
    expect(await exported(path, '0')).toHaveLength(5)
  })

  test('what the hub drops and appends meanwhile is not exported, and everything else is', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 1500)
    const seen: string[] = []
    await exportHistory(path, null, async (page) => {
      seen.push(...page.map(({ id }) => id))
      if (seen.length > 500) return
      await pruneHistory(path, { ...everything, keep: { ...unlimited, maxCount: 700 } })
      await transport.append(on('a', 'late'))
    })
    expect(seen).toEqual(
      [...Array(500).keys(), ...Array.from({ length: 700 }, (_, at) => 800 + at)].map(String),
    )
  })

  test('a batch is stored whole or not at all', async () => {
    const path = historyPath()
    const entries = Array.from({ length: 300 }, (_, at) => ({ ...on('a', `${at}`), at: at === 270 ? 0 : at }))
    expect(await refusal(importHistory(path, foundIn(entries)))).toMatchObject({
      name: 'HistoryProblem',
      message: 'entry 271 is older than the entry before it; everything up to entry 250 is stored',
    })
    expect((await exported(path)).map(({ id }) => id)).toEqual(
      Array.from({ length: 250 }, (_, at) => `${at}`),
    )
    await open(path)
  })

  test('an import goes on where the history ends, and never before its newest entry', async () => {
    const path = historyPath()
    const { transport } = await filled(path, 3)
    await transport.close()
    const late = { ...on('a', 'late'), at: 5000 }
    expect(await refusal(importHistory(path, foundIn([{ ...late, at: 1001 }])))).toMatchObject({
      message: 'entry 1 is older than the entry before it; nothing was stored',
    })
    await importHistory(path, foundIn([late]))
    expect((await exported(path)).map(({ seq, id }) => [seq, id])).toEqual([
      [1, '0'],
      [2, '1'],
      [3, '2'],
      [4, 'late'],
    ])
  })

  test('any source will do: updates with times of their own, read while they are stored', async () => {
    const path = historyPath()
    const note = update({ topics: ['a'], data: 'two\nlines', private: true, type: 'note' })
    async function* source(): AsyncGenerator<Found> {
      for (let at = 0; at < 600; at++) {
        await Promise.resolve()
        yield { place: `key ${at}`, kind: 'entry', entry: { ...seal(note, `${at}`), at: 2000 } }
      }
    }
    expect(await importHistory(path, source())).toMatchObject({ stored: 600 })
    const { transport } = await open(path, () => 2000)
    expect(await readAll(transport, 600)).toEqual(
      Array.from({ length: 600 }, (_, at) => ({ ...seal(note, `${at}`), position: (at + 1) as Position })),
    )
  })

  test('what a source leaves out is counted, and the first of it named', async () => {
    const path = historyPath()
    function* source(): Generator<Found> {
      for (let at = 0; at < 100; at++) yield { place: `key ${at}`, kind: 'left-out', reason: 'has no topic' }
      yield* foundIn([{ ...on('a', 'kept'), at: 1 }])
    }
    const { stored, leftOut, examples } = await importHistory(path, source())
    expect([stored, leftOut, examples.length]).toEqual([1, 100, 20])
    expect(examples.slice(0, 2)).toEqual(['key 0 has no topic', 'key 1 has no topic'])
    expect((await exported(path)).map(({ id }) => id)).toEqual(['kept'])
  })

  test('what is wrong in a source ends it there', async () => {
    const path = historyPath()
    let isClosed = false
    async function* source(): AsyncGenerator<Found> {
      try {
        yield* foundIn([{ ...on('a', 'before'), at: 1 }])
        yield { place: 'key 2', kind: 'wrong', reason: 'is torn' }
        yield* foundIn([{ ...on('a', 'after'), at: 1 }])
      } finally {
        isClosed = true
      }
    }
    expect(await refusal(importHistory(path, source()))).toMatchObject({
      message: 'key 2 is torn; nothing was stored',
    })
    expect([isClosed, await exported(path)]).toEqual([true, []])
  })
})

describe('salvage', () => {
  const isSound = ({ id, frame }: StoredEntry) => Buffer.from(frame).includes(`id: ${id}\ndata: xxx`)

  async function salvaged(path: string): Promise<Losses & { ids: string[] }> {
    const found: string[] = []
    const losses = await salvageHistory(path, isSound, async (page) => {
      found.push(...page.map(({ id }) => id))
    })
    return { ...losses, ids: found }
  }

  async function closedHistory(count: number, bytes = 1000): Promise<string> {
    const path = historyPath()
    const { transport } = await filled(path, count, ['a'], bytes)
    await transport.close()
    return path
  }

  async function overwrite(path: string, page: number, pages: number): Promise<void> {
    const file = await openFile(path, 'r+')
    await file.write(Buffer.alloc(pages * PAGE_BYTES, 0x5a), 0, pages * PAGE_BYTES, page * PAGE_BYTES)
    await file.close()
  }

  test('of a whole file loses nothing', async () => {
    const path = await closedHistory(500)
    const { ids: found, ranges, entries } = await salvaged(path)
    expect(found).toEqual(Array.from({ length: 500 }, (_, at) => `${at}`))
    expect([ranges, entries]).toEqual([[], 0])
  })

  test('reads around damaged pages, and says exactly what is lost', async () => {
    const path = await closedHistory(2000)
    const pages = Bun.file(path).size / PAGE_BYTES
    for (const share of [0.3, 0.5, 0.9]) await overwrite(path, Math.floor(pages * share), 3)
    const before = await Bun.file(path).bytes()
    const { ids: found, ranges, entries } = await salvaged(path)
    expect(found.length).toBeGreaterThan(1900)
    expect(found.length).toBeLessThan(2000)
    expect(entries).toBe(2000 - found.length)
    const lost = ranges.flatMap(([first, last]) => {
      return Array.from({ length: last - first + 1 }, (_, at) => `${first + at - 1}`)
    })
    expect([...found, ...lost].toSorted((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 2000 }, (_, at) => `${at}`),
    )
    expect(await Bun.file(path).bytes()).toEqual(before)
  })

  test('of a file that lost its end saves the beginning', async () => {
    const path = await closedHistory(2000)
    truncateSync(path, Math.floor(Bun.file(path).size / 2 / PAGE_BYTES) * PAGE_BYTES)
    const { ids: found, entries } = await salvaged(path)
    expect(found.length).toBeGreaterThan(800)
    expect(entries).toBe(2000 - found.length)
    expect(found).toEqual(found.toSorted((a, b) => Number(a) - Number(b)))
  })

  test('an entry with damaged content is lost alone', async () => {
    // Each has pages of its own for the end of its frame.
    const path = await closedHistory(20, 20_000)
    const pages = Bun.file(path).size / PAGE_BYTES
    await overwrite(path, pages - 5, 1)
    const { ids: found, entries } = await salvaged(path)
    expect([found.length, entries]).toEqual([19, 1])
  })

  test('of a file without its tables saves nothing, and says so', async () => {
    const path = await closedHistory(100)
    await overwrite(path, 0, 1)
    expect(await refusal(salvaged(path))).toMatchObject({ name: 'HistoryProblem' })
  })
})
