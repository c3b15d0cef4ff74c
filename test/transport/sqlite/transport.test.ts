import { Database } from 'bun:sqlite'
import { afterEach, describe, expect, test } from 'bun:test'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
} from 'node:fs'
import { join } from 'node:path'
import { exportHistory } from '../../../src/history/export.ts'
import { pruneHistory } from '../../../src/history/prune.ts'
import { historyStats } from '../../../src/history/stats.ts'
import { type Entry, type Position, START } from '../../../src/hub/transport.ts'
import type { Frame } from '../../../src/protocol/event-stream.ts'
import { steady } from '../../../src/transport/log-clock.ts'
import type { Notice } from '../../../src/transport/notice.ts'
import { openHistory } from '../../../src/transport/sqlite/schema.ts'
import { placeBytes, storedBytes } from '../../../src/transport/sqlite/size.ts'
import { SqliteTransport } from '../../../src/transport/sqlite/transport.ts'
import { envelope, ids, readAll, refusal, ruleFor, transportContract, unlimited } from '../contract.ts'
import {
  type SqliteLog,
  type SqliteLogOptions,
  sqliteLog,
  sqliteLogAt,
  startChild,
  startWriter,
  temporaryFolder,
} from './log.ts'
import { writeVersion1 } from './version-1.ts'

transportContract('sqlite', {
  create: sqliteLog,
  durable: true,
  sizeOf: storedBytes,
  placeSizeOf: (id) => placeBytes(Buffer.byteLength(id)),
})

const cleanup: (() => void | Promise<void>)[] = []

afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

function historyPath(): string {
  const folder = temporaryFolder()
  cleanup.push(folder.remove)
  return join(folder.path, 'history.db')
}

async function started(path: string, prefix: string): Promise<Awaited<ReturnType<typeof startChild>>> {
  const child = await startChild(path, prefix)
  cleanup.push(() => child.process.kill('SIGKILL'))
  return child
}

async function open(
  path: string,
  options: Partial<SqliteLogOptions> = {},
): Promise<SqliteLog & { seen: Entry[] }> {
  const log = sqliteLogAt(path, options)
  const seen: Entry[] = []
  await log.transport.open((entry) => seen.push(entry))
  cleanup.push(() => log.transport.close())
  return { ...log, seen }
}

describe('opening refuses', () => {
  test('a file that another hub of this process has open', async () => {
    const path = historyPath()
    const first = await open(path)
    expect(await refusal(open(path))).toMatchObject({
      message: expect.stringContaining('another hub is running'),
    })
    await first.transport.close()
    await open(path)
  })

  test('a file that another process has open, until that is killed', async () => {
    const path = historyPath()
    const child = await started(path, 'a')
    expect(await refusal(open(path))).toMatchObject({
      message: expect.stringContaining('another hub is running'),
    })
    child.process.kill('SIGKILL')
    await child.process.exited
    await open(path)
  })

  test('a file of a newer version', async () => {
    const path = await filledHistory()
    change(path, 'PRAGMA user_version = 99')
    expect(await refusal(open(path))).toMatchObject({ message: expect.stringContaining('newer version') })
  })

  test('a database of another program, and leaves it as it is', async () => {
    const path = historyPath()
    change(path, 'CREATE TABLE other (value INTEGER)')
    const before = await Bun.file(path).bytes()
    expect(await refusal(open(path))).toMatchObject({
      message: expect.stringContaining('not a history file of this hub'),
    })
    expect(await Bun.file(path).bytes()).toEqual(before)
  })

  test('a file that is no database', async () => {
    const path = historyPath()
    await Bun.write(path, 'not a database at all, '.repeat(1000))
    expect(await refusal(open(path))).toMatchObject({
      message: expect.stringContaining('not a history file of this hub'),
    })
  })

  test('a file that lost its end', async () => {
    const path = await filledHistory()
    truncateSync(path, 3 * 8192)
    expect(await refusal(open(path))).toMatchObject({ message: expect.stringContaining('is damaged') })
  })

  test('a file whose state disagrees with its entries', async () => {
    const path = await filledHistory()
    change(path, 'DELETE FROM entry WHERE seq > 10')
    expect(await refusal(open(path))).toMatchObject({ message: expect.stringContaining('is damaged') })
  })

  test('a directory that does not exist, and a path that is a directory', async () => {
    const path = historyPath()
    expect(await refusal(open(join(path, 'missing', 'history.db')))).toMatchObject({
      message: expect.stringContaining('its directory must exist'),
    })
    mkdirSync(path)
    expect(await refusal(open(path))).toMatchObject({
      message: expect.stringContaining('its directory must exist'),
    })
  })

  test('a writer that cannot start, and lets go of the file', async () => {
    const path = historyPath()
    const transport = new SqliteTransport({
      path,
      durability: 'full',
      retention: unlimited,
      clocks: steady(() => 0),
      notify: () => {},
      startWriter: () => new Worker('data:text/javascript,throw new Error("no")'),
    })
    expect(await refusal(transport.open(() => {}))).toMatchObject({
      message: expect.stringContaining('writer of the history has ended'),
    })
    await open(path)
  })

  async function filledHistory(): Promise<string> {
    const path = historyPath()
    const { transport } = await open(path)
    await Promise.all(Array.from({ length: 100 }, (_, index) => transport.append(envelope(`${index}`, 2000))))
    await transport.close()
    return path
  }

  function change(path: string, sql: string): void {
    const database = new Database(path, { create: true, readwrite: true })
    database.run(sql)
    database.close()
  }
})

describe('a running log', () => {
  test('appends that arrive together are committed together', async () => {
    const { transport, seen } = await open(historyPath())
    await Promise.all(Array.from({ length: 50 }, (_, index) => transport.append(envelope(`${index}`))))
    expect(seen).toHaveLength(50)
    expect(transport.commits).toBeLessThanOrEqual(2)
  })

  test('frames come back byte by byte, whatever is in them and around them', async () => {
    const { transport, seen } = await open(historyPath())
    const frames = [[0], [1, 0, 0, 2], [0xff, 0xc3, 0x28], Array(20_000).fill(0), [0xed, 0xa0, 0x80], [7]]
    const sent = frames.map((bytes, at) => ({ ...envelope(`${at}`), frame: new Uint8Array(bytes) as Frame }))
    for (const one of sent) await transport.append(one)
    expect(await readAll(transport, seen.at(-1)?.position ?? START)).toEqual(seen)
    expect(seen.map(({ frame }) => [...frame])).toEqual(frames)
  })

  test('a tool may read and write the file beside the hub', async () => {
    const path = historyPath()
    const { transport } = await open(path)
    await transport.append(envelope('a'))
    const tool = new Database(path, { readwrite: true, create: false })
    expect(tool.query('SELECT id FROM entry').all()).toEqual([{ id: 'a' }])
    tool.run('UPDATE state SET probes = probes + 1')
    tool.close()
    await transport.append(envelope('b'))
    expect((await transport.stats()).rows).toBe(2)
  })

  test('a tool that opens the file while the hub commits sees it whole', async () => {
    const path = historyPath()
    const { transport } = await open(path, { retention: { ...unlimited, maxCount: 20 } })
    for (let round = 0; round < 400; round++) {
      const appended = Array.from({ length: 50 }, (_, at) => transport.append(envelope(`${round}-${at}`)))
      // From here on the writer is at work, on its own thread.
      await new Promise((resolve) => setImmediate(resolve))
      for (let look = 0; look < 8; look++) openHistory(path).close()
      await Promise.all(appended)
    }
  })

  test('what a tool drops beside the hub is out of the groups of the rules too', async () => {
    const path = historyPath()
    const rules = [ruleFor(['a'], { maxCount: 3 })]
    const { transport, seen } = await open(path, { retention: { ...unlimited, rules } })
    for (const id of ['0', '1', '2', '3']) await transport.append(envelope(id, 10, 'a'))
    const tool = new Database(path, { readwrite: true, create: false })
    tool.run("UPDATE state SET count = count - 1, bytes = bytes - (SELECT bytes FROM entry WHERE id = '2')")
    tool.run("DELETE FROM entry WHERE id = '2'")
    tool.close()
    const keptAfter = async (id: string) => {
      await transport.append(envelope(id, 10, 'a'))
      return ids(await readAll(transport, seen.at(-1)?.position ?? START))
    }
    expect(await keptAfter('4')).toEqual(['1', '3', '4'])
    expect(await keptAfter('5')).toEqual(['3', '4', '5'])
    expect(await transport.stats()).toMatchObject({ rows: 3, rules: [{ rows: 3 }] })
  })

  test('what a tool appended while no hub ran is sorted into the rules', async () => {
    const path = historyPath()
    const retention = { ...unlimited, rules: [ruleFor(['a'], { maxCount: 1 })] }
    const first = await open(path, { retention })
    await first.transport.append(envelope('0', 10, 'a'))
    await first.transport.close()
    const tool = openHistory(path)
    const frame = "CAST(replace(CAST(frame AS TEXT), 'id: 0', 'id: tool') AS BLOB)"
    tool.run(`INSERT INTO entry SELECT 2, at, bytes, key, 'tool', private, topics, ${frame}, NULL FROM entry`)
    tool.run("UPDATE state SET head = 2, headId = 'tool', count = 2, bytes = 2 * bytes")
    tool.close()
    const { transport } = await open(path, { retention })
    expect(await transport.stats()).toMatchObject({ rows: 1, rules: [{ rows: 1 }] })
    expect(ids(await readAll(transport, 2))).toEqual(['tool'])
  })

  test('a writer that dies rejects the appends under way and all later ones', async () => {
    const workers: Worker[] = []
    const transport = new SqliteTransport({
      path: historyPath(),
      durability: 'normal',
      retention: unlimited,
      clocks: steady(() => 0),
      notify: () => {},
      startWriter: () => {
        const worker = startWriter()
        workers.push(worker)
        return worker
      },
    })
    await transport.open(() => {})
    const underWay = transport.append(envelope('a', 1 << 20))
    for (const worker of workers) worker.terminate()
    expect(await refusal(underWay)).toMatchObject({ code: 'store-failed' })
    expect(await refusal(transport.append(envelope('b')))).toMatchObject({ code: 'store-failed' })
    expect(await refusal(transport.check())).toMatchObject({ code: 'store-failed' })
    await transport.close()
  })

  test('a tail that fails rejects that append and goes on with the next', async () => {
    const log = sqliteLogAt(historyPath())
    const seen: string[] = []
    await log.transport.open(({ id }) => {
      seen.push(id)
      if (id === 'bad') throw new Error('tail')
    })
    cleanup.push(() => log.transport.close())
    expect(await refusal(log.transport.append(envelope('bad')))).toMatchObject({
      message: expect.stringContaining('tail'),
    })
    await log.transport.append(envelope('good'))
    expect(seen).toEqual(['bad', 'good'])
  })

  test('closing leaves one file without a journal, and the file of the lock', async () => {
    const path = historyPath()
    const { transport } = await open(path)
    await transport.append(envelope('a'))
    await transport.close()
    const files = await Array.fromAsync(new Bun.Glob('*').scan(join(path, '..')))
    expect(files.toSorted()).toEqual(['history.db', 'history.db.lock'])
  })
})

describe('a new history', () => {
  test('is the same whether it was put in place whole or made in an empty file', async () => {
    const [whole, empty] = [historyPath(), historyPath()]
    await Bun.write(empty, '')
    for (const path of [whole, empty]) openHistory(path).close()
    expect(layoutOf(whole)).toEqual(layoutOf(empty))
    expect(layoutOf(whole)).toMatchObject({ mode: 'wal', page: 8192, vacuum: 2 })
  })

  test('takes nothing from the journal of a file that was removed', async () => {
    const path = historyPath()
    const { transport } = await open(path)
    await transport.append(envelope('old'))
    const journal = await Bun.file(`${path}-wal`).bytes()
    await transport.close()
    rmSync(path)
    await Bun.write(`${path}-wal`, journal)
    const again = await open(path)
    expect(ids(await readAll(again.transport, 10))).toEqual([])
  })

  test('is made where a link points to, and over what an earlier attempt has left', async () => {
    const path = historyPath()
    symlinkSync(`${path}.elsewhere`, path)
    openHistory(path).close()
    expect(existsSync(`${path}.elsewhere`)).toBe(true)
    const other = historyPath()
    await Bun.write(`${other}.new`, 'half a file')
    openHistory(other).close()
    expect(await Bun.file(`${other}.new`).text()).toBe('half a file')
  })

  test('S9 writes to no file that was there, follows no link and removes neither', async () => {
    const path = historyPath()
    const folder = join(path, '..')
    await Bun.write(join(folder, 'precious'), 'precious')
    await Bun.write(join(folder, 'moved.db'), 'a history that was moved away')
    symlinkSync(join(folder, 'precious'), `${path}.new`)
    // As a start that was killed has left it: another name of a history that was moved away since.
    linkSync(join(folder, 'moved.db'), `${path}.new-0`)
    openHistory(path).close()
    expect(readlinkSync(`${path}.new`)).toBe(join(folder, 'precious'))
    expect(await Bun.file(join(folder, 'precious')).text()).toBe('precious')
    expect(await Bun.file(join(folder, 'moved.db')).text()).toBe('a history that was moved away')
    expect(readdirSync(folder).toSorted()).toEqual([
      'history.db',
      'history.db.new',
      'history.db.new-0',
      'moved.db',
      'precious',
    ])
  })

  test('S9 that has other names says so, and loses those that only a killed start can have given it', async () => {
    const path = historyPath()
    openHistory(path).close(true)
    for (const name of [`${path}.new`, `${path}.new-1`, `${path}.copy`]) linkSync(path, name)
    await Bun.write(`${path}.new-2`, 'something else')
    const notices: Notice[] = []
    await open(path, { notify: (notice) => notices.push(notice) })
    expect(notices).toEqual([{ kind: 'names', count: 2 }])
    const left = readdirSync(join(path, '..')).filter((name) => /new|copy/.test(name))
    expect(left.toSorted()).toEqual(['history.db.copy', 'history.db.new-2'])
  })

  test('is for its owner alone, with its journal, also behind a link and in an empty file', async () => {
    const [plain, linked] = [historyPath(), historyPath()]
    symlinkSync(`${linked}.elsewhere`, linked)
    for (const path of [plain, linked]) {
      const { transport } = await open(path)
      await transport.append(envelope('a'))
      const names = readdirSync(join(path, '..')).filter((name) => !name.includes('.lock'))
      for (const name of names) expect(statSync(join(path, '..', name)).mode & 0o777).toBe(0o600)
      expect(names.length).toBeGreaterThanOrEqual(3)
    }
  })

  function layoutOf(path: string): unknown {
    const database = new Database(path, { readonly: true })
    const [mode, page, vacuum] = ['journal_mode', 'page_size', 'auto_vacuum'].map(
      (name) => database.query(`PRAGMA ${name}`).values()[0]?.[0],
    )
    const tables = database.query('SELECT type, name, sql FROM sqlite_schema ORDER BY name').all()
    const state = database.query('SELECT * FROM state').all()
    database.close()
    return { mode, page, vacuum, tables, state }
  }
})

describe('a history of version 1', () => {
  const entries = Array.from({ length: 30 }, (_, at) => envelope(`${at}`, 100, at % 2 === 0 ? 'a' : 'b'))

  test('is brought up to date by the hub that opens it, and nothing in it changes', async () => {
    const path = historyPath()
    writeVersion1(path, entries)
    const { transport, seen } = await open(path)
    const kept = await readAll(transport, 30)
    expect(kept).toEqual(entries.map((one, at) => ({ ...one, position: (at + 1) as Position })))
    expect(await transport.find('7')).toBe(8 as Position)
    await transport.append(envelope('next'))
    expect(seen.map(({ position }) => position)).toEqual([31 as Position])
    await transport.close()
    expect(versionOf(path)).toBeGreaterThan(1)
    expect(await readAll((await open(path)).transport, 31)).toEqual([...kept, ...seen])
  })

  test('takes rules, which drop from it as from any other', async () => {
    const path = historyPath()
    writeVersion1(path, entries)
    const rules = [ruleFor(['a'], { maxCount: 1, perTopic: true })]
    const { transport } = await open(path, { retention: { ...unlimited, rules } })
    expect(await transport.stats()).toMatchObject({ rows: 16, places: 14, rules: [{ rows: 1 }] })
    expect(await transport.find('4')).toBe(5 as Position)
  })

  test('is read and pruned by tools as it is, for the hub that may be running on it', async () => {
    const path = historyPath()
    writeVersion1(path, entries)
    expect(await historyStats(path, 1)).toMatchObject({ rows: 30, isRunning: false })
    const exported: string[] = []
    await exportHistory(path, '27', async (page) => void exported.push(...page.map(({ id }) => id)))
    expect(exported).toEqual(['28', '29'])
    const topic = (topics: readonly string[]) => topics.includes('b')
    const options = { keep: { ...unlimited, maxCount: 0 }, matches: topic, now: 0, isDryRun: false }
    expect(await pruneHistory(path, { ...options, pause: async () => {} })).toMatchObject({ count: 15 })
    expect(versionOf(path)).toBe(1)
    const { transport } = await open(path)
    expect(await transport.stats()).toMatchObject({ rows: 15 })
  })

  function versionOf(path: string): number {
    const database = new Database(path, { readwrite: true, create: false })
    const version = database.query<{ user_version: number }, []>('PRAGMA user_version').get()?.user_version
    database.close(true)
    return version ?? 0
  }
})

describe('room on disk', () => {
  const MIB = 1 << 20

  test('with 1 KB updates, file and journal stay within 1.25 times what is kept plus 8 MiB', async () => {
    const { transport } = await open(historyPath(), { retention: { ...unlimited, maxCount: 3000 } })
    for (let batch = 0; batch < 80; batch++) {
      await Promise.all(
        Array.from({ length: 250 }, () => transport.append(envelope(crypto.randomUUID(), 1024))),
      )
      const { rows, fileBytes } = await transport.stats()
      expect(fileBytes).toBeLessThanOrEqual(1.25 * rows * 1024 + 8 * MIB)
    }
    expect((await transport.stats()).rows).toBe(3000)
  }, 30_000)

  test('an idle log whose entries expired gives the room back', async () => {
    let now = 0
    const retention = { ...unlimited, maxAgeMs: 1000 }
    const { transport, prune } = await open(historyPath(), { retention, clock: () => now })
    await Promise.all(
      Array.from({ length: 3000 }, (_, index) => transport.append(envelope(`${index}`, 4000))),
    )
    expect((await transport.stats()).fileBytes).toBeGreaterThan(12 * MIB)
    now = 1000
    // The first call may still count the appends as activity.
    await prune()
    await prune()
    expect(await transport.stats()).toMatchObject({ rows: 0, bytes: 0, oldestAt: null })
    expect((await transport.stats()).fileBytes).toBeLessThan(MIB / 4)
  }, 30_000)

  test('an idle log forgets by itself', async () => {
    let now = 0
    const retention = { ...unlimited, maxAgeMs: 1000 }
    const { transport } = await open(historyPath(), { retention, clock: () => now })
    await transport.append(envelope('a'))
    now = 1000
    while ((await transport.stats()).rows > 0) await Bun.sleep(10)
    expect(await transport.stats()).toMatchObject({ rows: 0, oldestAt: null })
  })

  test('a file that shrank to lower limits gives the room back while it serves', async () => {
    const path = historyPath()
    const before = await open(path)
    await Promise.all(
      Array.from({ length: 3000 }, (_, index) => before.transport.append(envelope(`${index}`, 4000))),
    )
    await before.transport.close()
    const { transport } = await open(path, { retention: { ...unlimited, maxCount: 10 } })
    expect((await transport.stats()).rows).toBe(10)
    for (let index = 0; (await transport.stats()).fileBytes > 6 * MIB; index++)
      await transport.append(envelope(`${index}`))
    expect((await transport.stats()).rows).toBe(10)
  }, 30_000)

  test.skipIf(!mayMount())(
    'a full disk refuses appends, delivers none of them, and the log recovers when there is room',
    async () => {
      const folder = temporaryFolder()
      cleanup.push(folder.remove)
      mount(folder.path)
      cleanup.push(() => unmount(folder.path))
      const filler = join(folder.path, 'filler')
      await Bun.write(filler, new Uint8Array(3 * MIB))

      const { transport, seen } = await open(join(folder.path, 'history.db'))
      const stored: string[] = []
      const refused = await appendUntilRefused(transport, stored)
      expect(refused).toMatchObject({ code: 'store-full' })
      expect(await refusal(transport.append(envelope('too large', MIB)))).toMatchObject({
        code: 'store-full',
      })
      expect(ids(seen)).toEqual(stored)

      rmSync(filler)
      await transport.check()
      await transport.append(envelope('after', 20_000))
      const head = seen.at(-1)?.position ?? START
      expect(ids(await readAll(transport, head))).toEqual([...stored, 'after'])
      await transport.close()
    },
    30_000,
  )

  async function appendUntilRefused(transport: SqliteTransport, stored: string[]): Promise<unknown> {
    for (let index = 0; ; index++) {
      try {
        await transport.append(envelope(`${index}`, 20_000))
        stored.push(`${index}`)
      } catch (error) {
        return error
      }
    }
  }
})

test('every acknowledged update survives SIGKILL, in order and once', async () => {
  const path = historyPath()
  const acknowledged: string[] = []
  for (const prefix of ['a', 'b', 'c']) {
    const child = await started(path, prefix)
    while (child.lines.length < 300) await child.more()
    child.process.kill('SIGKILL')
    while (await child.more());
    await child.process.exited
    acknowledged.push(...child.lines.slice(1))
  }
  const log = sqliteLogAt(path)
  const head = await log.transport.open(() => {})
  cleanup.push(() => log.transport.close())
  const kept = ids(await readAll(log.transport, head.position))
  expect(new Set(kept).size).toBe(kept.length)
  const wanted = new Set(acknowledged)
  expect(kept.filter((id) => wanted.has(id))).toEqual(acknowledged)
  expect(acknowledged.length).toBeGreaterThan(800)
}, 30_000)

/** Only root may mount, and not in every container. */
function mayMount(): boolean {
  const folder = temporaryFolder()
  const answer = mount(folder.path)
  if (answer) unmount(folder.path)
  folder.remove()
  return answer
}

function mount(path: string): boolean {
  if (process.platform !== 'linux') return false
  return Bun.spawnSync(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path]).exitCode === 0
}

function unmount(path: string): void {
  Bun.spawnSync(['umount', '-l', path])
}
