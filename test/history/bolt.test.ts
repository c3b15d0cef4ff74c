import { Database } from 'bun:sqlite'
import { afterEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { bucketNames, pairsOf } from '../../src/history/bolt/bucket.ts'
import { BoltFile } from '../../src/history/bolt/file.ts'
import { type BoltImported, importBolt } from '../../src/history/bolt/import.ts'
import { parseStored, timeOf, toEntry } from '../../src/history/bolt/update.ts'
import { exportHistory } from '../../src/history/export.ts'
import { HistoryProblem } from '../../src/history/file.ts'
import type { StoredEntry } from '../../src/history/pages.ts'
import { EventStreamParser } from '../../src/protocol/event-reader.ts'
import { hubLocation, isProtocolString } from '../../src/protocol/topic.ts'
import { type BoltUpdate, copyBolt, holdFile, readBoltUpdates } from '../support/bolt.ts'
import { refusal } from '../transport/contract.ts'
import { temporaryFolder } from '../transport/sqlite/log.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

const hub = hubLocation('https://hub.example.com/.well-known/mercure')
const modifiedAt = Date.UTC(2027, 0, 1)

function folder(): string {
  const { path, remove } = temporaryFolder()
  cleanup.push(remove)
  return path
}

interface Target {
  readonly bolt: string
  readonly history: string
  readonly imported: (bucket?: string) => Promise<BoltImported>
  readonly exported: () => Promise<readonly StoredEntry[]>
}

/** A copy of the fixture, and a history that is not there yet. */
function target(name: string, at = modifiedAt): Target {
  const home = folder()
  const bolt = copyBolt(name, join(home, 'mercure.db'), at)
  const history = join(home, 'history.db')
  const exported = async () => {
    const all: StoredEntry[] = []
    await exportHistory(history, null, async (page) => void all.push(...page))
    return all
  }
  return {
    bolt,
    history,
    imported: (bucket = 'updates') => importBolt(history, { path: bolt, bucket, hub }),
    exported,
  }
}

/** The fields of an entry, as a reader gets them. */
function fieldsOf({ id, topics, private: isPrivate, frame }: StoredEntry) {
  const [event] = new EventStreamParser().push(frame)
  return { id, topics, private: isPrivate, type: event?.type, data: event?.data, frameId: event?.id }
}

/** The same of an update of the other hub, by the rules of the specification; nothing when no part of it is allowed. */
function expectedOf({ id, topics, data, type, private: isPrivate }: BoltUpdate) {
  const isAllowed = (topic: string) =>
    topic !== '' && topic !== '*' && isProtocolString(topic) && !topic.includes('/.well-known/mercure')
  const kept = topics.filter(isAllowed)
  const hasId = isProtocolString(id) && id !== 'earliest' && !id.startsWith('#') && id.trim() !== ''
  if (!hasId || kept.length === 0) return []
  const hasType = type !== null && type !== '' && type !== 'mercure' && isProtocolString(type)
  return [
    {
      id,
      topics: kept,
      private: isPrivate,
      type: hasType ? type : 'message',
      data: (data ?? '').replace(/\r\n|\r/g, '\n'),
      frameId: id,
    },
  ]
}

describe('every fixture comes over with its order, ids, topics and data', () => {
  const cases: readonly (readonly [name: string, bucket: string, leftOut: number])[] = [
    ['v0.14.4', 'updates', 8],
    ['v0.14.4-subscriptions', 'updates', 4],
    ['v0.24.2', 'updates', 6],
    ['v1.0-bucket', 'history', 0],
    ['v1.0-one', 'updates', 0],
    ['v1.0-shrunk', 'updates', 0],
    ['v1.0-size100', 'updates', 0],
    ['v1.0-started', 'updates', 0],
    ['v1.0-subscriptions', 'updates', 6],
    ['v1.0-unlimited', 'updates', 0],
  ]
  test.each(cases)('%s', async (name, bucket, leftOut) => {
    const { imported, exported } = target(name)
    const expected = (await readBoltUpdates(name)).flatMap(expectedOf)
    expect(await imported(bucket)).toMatchObject({ stored: expected.length, leftOut })
    expect((await exported()).map(fieldsOf)).toEqual(expected)
  })

  test('an empty bucket is nothing to import, and no error', async () => {
    expect(await target('empty-bucket').imported()).toMatchObject({ stored: 0, leftOut: 0 })
  })

  test('of a damaged newest state the one before counts', async () => {
    expect(await target('bad-newest-meta').imported()).toMatchObject({ stored: 72 })
  })
})

test('everything that is not taken over is counted by its reason', async () => {
  const { omissions } = await target('v0.14.4').imported()
  expect(Object.fromEntries(omissions)).toEqual({
    'ids that are reserved or hold forbidden characters': 3,
    'updates without a topic that is allowed': 5,
    'types that are not allowed': 2,
    'retry times over 2147483647 ms': 1,
  })
  expect(Object.fromEntries((await target('v1.0-subscriptions').imported()).omissions)).toEqual({
    'subscription events': 6,
  })
})

test('a topic that is not allowed is left out alone, and an update of a publisher is no subscription event', () => {
  const stored = { id: 'a', private: true, data: 'x', type: '', retry: 5 }
  const reasons: string[] = []
  const omit = (reason: string) => void reasons.push(reason)
  const topics = ['/.well-known/mercure/subscriptions/a', 'https://example.com/1', '*']
  expect(toEntry({ ...stored, topics }, 7, hub, omit)).toMatchObject({
    id: 'a',
    topics: ['https://example.com/1'],
    at: 7,
  })
  expect(toEntry({ ...stored, topics: ['*'] }, 7, hub, omit)).toBeNull()
  expect(reasons).toEqual([
    'topics that are not allowed, of updates with others',
    'updates without a topic that is allowed',
  ])
})

describe('the times', () => {
  test('of ids that hold none are that of the file', async () => {
    const { imported, exported } = target('v0.14.4')
    await imported()
    expect(new Set((await exported()).map(({ at }) => at))).toEqual(new Set([modifiedAt]))
  })

  test('are those of the ids; one without has that of the next, and at the end that of the file', async () => {
    const { imported, exported } = target('v1.0-unlimited')
    await imported()
    const entries = await exported()
    let next = modifiedAt
    const expected = entries.toReversed().map(({ id }) => {
      next = timeOf(id) ?? next
      return next
    })
    expect(entries.map(({ at }) => at)).toEqual(expected.toReversed())
    expect(new Set(expected).size).toBeGreaterThan(100)
  })

  test('never pass that of the file, and never fall', async () => {
    const [first] = (await readBoltUpdates('v1.0-unlimited')).flatMap(({ id }) => timeOf(id) ?? [])
    const copiedAt = (first ?? 0) + 500
    const { imported, exported } = target('v1.0-unlimited', copiedAt)
    await imported()
    const times = (await exported()).map(({ at }) => at)
    expect(times).toEqual(times.toSorted((left, right) => left - right))
    expect([times[0], times.at(-1)]).toEqual([first, copiedAt])
  })

  test('are in UUIDs of version 7 alone', () => {
    expect(timeOf('urn:uuid:01a2121e-d542-7919-97f0-92ca0191e6f1')).toBe(0x01a2121ed542)
    expect(timeOf('urn:uuid:11111111-2222-4333-8444-555555555555')).toBeNull()
    expect(timeOf('x urn:uuid:01a2121e-d542-7919-97f0-92ca0191e6f1')).toBeNull()
  })
})

describe('a file that cannot be imported leaves no history behind', () => {
  const cases: readonly (readonly [name: string, reason: string])[] = [
    ['bad-both-metas', 'is damaged: its pages do not hold together'],
    ['truncated', 'is damaged: its end is missing'],
    ['not-bolt', 'is no Bolt file'],
    ['zero-bytes', 'is no Bolt file'],
  ]
  test.each(cases)('%s', async (name, reason) => {
    const { bolt, history, imported } = target(name)
    expect(await refusal(imported())).toMatchObject({
      name: 'HistoryProblem',
      message: `${bolt} ${reason}; nothing was stored`,
    })
    expect(existsSync(history)).toBe(false)
  })

  test('one that is missing, or a folder', async () => {
    const home = folder()
    mkdirSync(join(home, 'folder'))
    for (const [name, reason] of [
      ['none', 'cannot be read: ENOENT'],
      ['folder', 'is no file'],
    ]) {
      const path = join(home, `${name}`)
      const importing = importBolt(join(home, 'history.db'), { path, bucket: 'updates', hub })
      expect(await refusal(importing)).toMatchObject({ message: `${path} ${reason}; nothing was stored` })
    }
  })

  test('one whose bucket has another name, and names those that it has', async () => {
    const { history, imported } = target('v1.0-bucket')
    expect(await refusal(imported())).toMatchObject({ name: 'HistoryProblem', names: ['history'] })
    expect(existsSync(history)).toBe(false)
  })

  test.skipIf(process.platform !== 'linux')('one that another program has for itself', async () => {
    const { bolt, history, imported } = target('v1.0-one')
    const holder = await holdFile(bolt)
    cleanup.push(holder.release)
    expect(await refusal(imported())).toMatchObject({
      message: `${bolt} is in use by another program: stop that hub, or import a copy of the file; nothing was stored`,
    })
    expect(existsSync(history)).toBe(false)
    await holder.release()
    expect(await imported()).toMatchObject({ stored: 1 })
  })
})

test('an import goes on where the history ends, and one that fails takes nothing out of it', async () => {
  const { bolt, imported, exported } = target('v0.14.4')
  await imported()
  const before = await exported()
  const bytes = readFileSync(bolt)
  truncateSync(bolt, bytes.length / 2)
  expect(await refusal(imported())).toBeInstanceOf(HistoryProblem)
  expect(await exported()).toEqual(before)
  writeFileSync(bolt, bytes)
  utimesSync(bolt, modifiedAt / 1000 + 1, modifiedAt / 1000 + 1)
  await imported()
  expect((await exported()).map(fieldsOf)).toEqual([...before, ...before].map(fieldsOf))
})

describe('a file that changes while it is read', () => {
  test('in the middle of storing leaves every whole batch, and the command can say which', async () => {
    const { bolt, history, imported } = target('v1.0-unlimited')
    let isOver = false
    const importing = refusal(imported()).finally(() => {
      isOver = true
    })
    while (!isOver && storedIn(history) === 0) await Promise.resolve()
    truncateSync(bolt, 2 * PAGE)
    const message = String(await importing)
    const [, failed, stored] =
      /update (\d+) could not be read, because .* is damaged: .*; everything up to update (\d+) is stored$/.exec(
        message,
      ) ?? []
    expect(storedIn(history)).toBe(Number(stored))
    expect(Number(failed)).toBeGreaterThan(Number(stored))
  })

  test('is told from the one that was opened', () => {
    const path = copyBolt('v1.0-one', join(folder(), 'mercure.db'))
    const file = new BoltFile(path)
    cleanup.push(() => file.close())
    file.refuseChange()
    copyBolt('v1.0-bucket', path)
    expect(() => file.refuseChange()).toThrow('was changed while it was read')
  })
})

/** The number of updates that the history holds by now. */
function storedIn(path: string): number {
  if (!existsSync(path)) return 0
  const database = new Database(path, { readonly: true })
  try {
    return database.query<{ count: number }, []>('SELECT count FROM state').get()?.count ?? 0
  } catch {
    // The tables are not made yet.
    return 0
  } finally {
    database.close()
  }
}

describe('a page graph that does not hold together ends with an error', () => {
  /** Changes every page of this kind. */
  function spoil(path: string, kind: number, change: (page: Buffer, number: number) => void): void {
    const bytes = readFileSync(path)
    for (let number = 2; number * PAGE < bytes.length; number++) {
      const page = bytes.subarray(number * PAGE, (number + 1) * PAGE)
      if (page.readBigUInt64LE(0) === BigInt(number) && page.readUInt16LE(8) === kind) change(page, number)
    }
    writeFileSync(path, bytes)
  }

  const firstElement = 16
  const cases: readonly (readonly [
    what: string,
    kind: number,
    change: (page: Buffer, number: number) => void,
  ])[] = [
    ['a branch that leads to itself', 1, (page, number) => void page.writeBigUInt64LE(BigInt(number), 24)],
    ['a branch that leads to a page behind the end', 1, (page) => void page.writeBigUInt64LE(1n << 60n, 24)],
    ['a branch that leads to the head of the file', 1, (page) => void page.writeBigUInt64LE(0n, 24)],
    ['a branch with more children than room', 1, (page) => void page.writeUInt16LE(0xffff, 10)],
    [
      'a branch that leads to one page over and over',
      1,
      (page) => {
        const child = page.readBigUInt64LE(24)
        const count = page.readUInt16LE(10)
        for (let at = 0; at < count; at++) page.writeBigUInt64LE(child, 24 + at * 16)
      },
    ],
    ['a leaf with more elements than room', 2, (page) => void page.writeUInt16LE(0xffff, 10)],
    ['a key that lies outside', 2, (page) => void page.writeUInt32LE(0xffffffff, firstElement + 4)],
    ['a value that is too long', 2, (page) => void page.writeUInt32LE(0xffffffff, firstElement + 12)],
    ['a page with more pages than there are', 2, (page) => void page.writeUInt32LE(0xffffffff, 12)],
    ['a page of no kind', 2, (page) => void page.writeUInt16LE(7, 8)],
  ]
  test.each(cases)('%s', async (_, kind, change) => {
    const { bolt, history, imported } = target('v1.0-unlimited')
    spoil(bolt, kind, change)
    expect(await refusal(imported())).toMatchObject({
      name: 'HistoryProblem',
      message: expect.stringMatching(/is damaged: its pages do not hold together; nothing was stored$/),
    })
    expect(existsSync(history)).toBe(false)
  })

  test('whatever bytes are wrong, reading ends, with a problem or without', () => {
    const path = copyBolt('v1.0-bucket', join(folder(), 'mercure.db'))
    const bytes = readFileSync(path)
    const change = fc.record({ at: fc.nat(bytes.length - 1), byte: fc.nat(255) })
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 200 }), (changes) => {
        const spoiled = Buffer.from(bytes)
        for (const { at, byte } of changes) spoiled[at] = byte
        writeFileSync(path, spoiled)
        try {
          readAll(path)
        } catch (error) {
          expect(error).toBeInstanceOf(HistoryProblem)
        }
      }),
    )
  })
})

/** Reads all buckets, and all pairs as updates. */
function readAll(path: string): void {
  const file = new BoltFile(path)
  try {
    for (const name of bucketNames(file)) for (const pair of pairsOf(file, name)) parseStored(pair)
  } finally {
    file.close()
  }
}

const PAGE = 4096
