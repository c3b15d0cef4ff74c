import { Database } from 'bun:sqlite'
import { afterEach, describe, expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportHistory } from '../../../src/history/export.ts'
import { isSound } from '../../../src/history/line.ts'
import type { StoredEntry } from '../../../src/history/pages.ts'
import { salvageHistory } from '../../../src/history/salvage.ts'
import { type Entry, type Position, START } from '../../../src/hub/transport.ts'
import { encode } from '../../../src/protocol/event-stream.ts'
import type { Envelope } from '../../../src/protocol/update.ts'
import type { Notice } from '../../../src/transport/notice.ts'
import { PAGE_BYTES } from '../../../src/transport/sqlite/size.ts'
import { refusal, ruleFor, unlimited } from '../contract.ts'
import { sqliteLogAt, temporaryFolder } from './log.ts'
import { writeVersion1 } from './version-1.ts'

/** A disk that gives back what is not what was written: parts of the file in the place of others. */

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

function historyPath(): string {
  const folder = temporaryFolder()
  cleanup.push(folder.remove)
  return join(folder.path, 'history.db')
}

/** Public and private updates in turn, each with its number in everything; every seventh needs pages of its own. */
const updates: readonly Envelope[] = Array.from({ length: 120 }, (_, at) => {
  const id = `id-${at}`
  const data = `${at % 2 === 0 ? 'public' : 'secret'} ${at} `.repeat(at % 7 === 0 ? 2500 : 60)
  const frame = encode({ data, type: null, retryMs: null }, id)
  return { id, topics: [`topic-${at}`, 'all'], private: at % 2 === 1, frame }
})

const stored = updates.map((one, at): Entry => ({ ...one, position: (at + 1) as Position }))

const limit = { entries: 25, bytes: 200_000 }

async function fill(path: string): Promise<void> {
  const { transport } = sqliteLogAt(path)
  await transport.open(() => {})
  await Promise.all(updates.map((one) => transport.append(one)))
  await transport.close()
}

/** Everything that a reader is given from there until its stream ends, and whether it came to the head. */
async function replay(
  path: string,
  from: number = START,
  notices: Notice[] = [],
): Promise<{ entries: readonly Entry[]; isWhole: boolean } | null> {
  const { transport } = sqliteLogAt(path, { notify: (notice) => notices.push(notice) })
  try {
    await transport.open(() => {})
  } catch {
    // The hub does not start on it.
    return null
  }
  const entries: Entry[] = []
  const until = stored.length as Position
  try {
    for (let after = from as Position; after < until; ) {
      const page = await transport.read(after, until, limit)
      if (page === 'lost') throw new Error('lost')
      entries.push(...page.entries)
      after = page.next
    }
    return { entries, isWhole: true }
  } catch (error) {
    expect(error).toMatchObject({ code: 'store-unavailable' })
    return { entries, isWhole: false }
  } finally {
    await transport.close()
  }
}

/** A file of its own, with one page copied over another. */
function damagedCopy(bytes: Uint8Array, from: number, to: number): string {
  const path = historyPath()
  const copy = new Uint8Array(bytes)
  copy.set(bytes.subarray(from * PAGE_BYTES, (from + 1) * PAGE_BYTES), to * PAGE_BYTES)
  writeFileSync(path, copy)
  return path
}

async function filled(): Promise<Uint8Array> {
  const path = historyPath()
  await fill(path)
  return readFileSync(path)
}

/** Numbers in [0, 1) that a seed repeats. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

describe('S10 one page of the file copied over another', () => {
  test('hands out what was stored, in order and from the front, or nothing: no torn frame, no private one', async () => {
    const whole = await filled()
    const pages = whole.length / PAGE_BYTES
    const seed = Math.floor(Math.random() * 2 ** 32)
    console.log(`pages copied over others: seed ${seed}`)
    const random = generator(seed)
    let refused = 0
    let cut = 0
    for (let round = 0; round < 150; round++) {
      const [from, to] = [Math.floor(random() * pages), Math.floor(random() * pages)]
      const path = damagedCopy(whole, from, to)
      const notices: Notice[] = []
      const seen = await replay(path, START, notices)
      if (seen === null) refused++
      else {
        expect(seen.entries).toEqual(stored.slice(0, seen.entries.length))
        expect(seen.entries.length === stored.length).toBe(seen.isWhole)
        expect(notices.map(({ kind }) => kind)).toEqual(seen.isWhole ? [] : ['damaged'])
        if (!seen.isWhole) cut++
      }
    }
    console.log(`${refused} not opened, ${cut} ended early`)
    expect(cut).toBeGreaterThan(10)
  }, 60_000)

  test('is noticed by readers that begin behind it and in the middle of it', async () => {
    const whole = await filled()
    const random = generator(7)
    for (let round = 0; round < 60; round++) {
      const pages = whole.length / PAGE_BYTES
      const path = damagedCopy(whole, Math.floor(random() * pages), Math.floor(random() * pages))
      const from = Math.floor(random() * stored.length)
      const seen = await replay(path, from)
      if (seen !== null) expect(seen.entries).toEqual(stored.slice(from, from + seen.entries.length))
    }
  }, 60_000)

  test('is not exported, and the rest is salvaged', async () => {
    const whole = await filled()
    const random = generator(11)
    for (let round = 0; round < 60; round++) {
      const pages = whole.length / PAGE_BYTES
      const path = damagedCopy(whole, Math.floor(random() * pages), Math.floor(random() * pages))
      const exported: StoredEntry[] = []
      const take = async (page: readonly StoredEntry[]) => void exported.push(...page)
      await exportHistory(path, null, take).catch(() => {})
      expect(exported.map(asEntry)).toEqual(stored.slice(0, exported.length))
      const salvaged: StoredEntry[] = []
      await salvageHistory(path, isSound, async (page) => void salvaged.push(...page)).catch(() => {})
      expect(salvaged.length).toBeGreaterThanOrEqual(exported.length)
      for (const entry of salvaged) expect(asEntry(entry)).toEqual(stored[entry.seq - 1] ?? asEntry(entry))
    }
  }, 60_000)

  function asEntry({ seq, id, topics, frame, ...entry }: StoredEntry): Entry {
    return { position: seq as Position, id, topics, private: entry.private, frame: frame as Entry['frame'] }
  }
})

describe('S10 a row that was changed', () => {
  const changes: Readonly<Record<string, string>> = {
    'is made public': 'UPDATE entry SET private = 0 WHERE seq = 50',
    'is neither private nor public': 'UPDATE entry SET private = 7 WHERE seq = 50',
    'has the topics of another': 'UPDATE entry SET topics = \'["all"]\' WHERE seq = 50',
    'has no JSON for its topics': "UPDATE entry SET topics = '[' WHERE seq = 50",
    'has the frame of another':
      'UPDATE entry SET frame = (SELECT frame FROM entry WHERE seq = 52) WHERE seq = 50',
    'has one bit changed':
      "UPDATE entry SET frame = CAST(replace(CAST(frame AS TEXT), '49', '48') AS BLOB) WHERE seq = 50",
    'has another id': "UPDATE entry SET id = 'id-51' WHERE seq = 50",
    'was taken out': 'DELETE FROM entry WHERE seq = 50',
    'is in the place of another':
      'DELETE FROM entry WHERE seq = 50; UPDATE entry SET seq = 50 WHERE seq = 52',
  }
  for (const [how, sql] of Object.entries(changes)) {
    test(`because it ${how} is the end of the stream, and is told once`, async () => {
      const path = historyPath()
      await fill(path)
      const tool = new Database(path, { readwrite: true })
      tool.run(sql)
      tool.close(true)
      const notices: Notice[] = []
      expect(await replay(path, START, notices)).toEqual({ entries: stored.slice(0, 49), isWhole: false })
      expect(notices).toEqual([{ kind: 'damaged', problem: expect.any(String) }])
      expect(await replay(path, 51)).toMatchObject({ isWhole: !how.includes('in the place') })
    })
  }

  test('of version 1 is checked by its id and its end', async () => {
    const changed: Readonly<Record<string, string>> = {
      nothing: 'SELECT 1',
      frame: 'UPDATE entry SET frame = (SELECT frame FROM entry WHERE seq = 52) WHERE seq = 50',
      end: 'UPDATE entry SET frame = substr(frame, 1, length(frame) - 1) WHERE seq = 50',
      private: 'UPDATE entry SET private = 2 WHERE seq = 50',
    }
    for (const [what, sql] of Object.entries(changed)) {
      const path = historyPath()
      writeVersion1(path, updates)
      const tool = new Database(path, { readwrite: true })
      tool.run(sql)
      tool.close(true)
      const isWhole = what === 'nothing'
      const entries = isWhole ? stored : stored.slice(0, 49)
      expect(await replay(path)).toEqual({ entries, isWhole })
    }
  })

  test('where a rule has taken some out, holes are none', async () => {
    const path = historyPath()
    const rules = [ruleFor(['topic-10'], { maxCount: 0 })]
    const { transport } = sqliteLogAt(path, { retention: { ...unlimited, rules } })
    await transport.open(() => {})
    for (const one of updates) await transport.append(one)
    await transport.close()
    const seen = await replay(path)
    expect(seen).toEqual({ entries: stored.filter(({ position }) => position !== 11), isWhole: true })
  })
})

test('S10 a history whose pages are in a circle is refused and not read for ever', async () => {
  const whole = await filled()
  for (let page = 1; page < 30; page++) {
    const path = damagedCopy(whole, page, page + 1)
    const { transport } = sqliteLogAt(path, {
      retention: { ...unlimited, rules: [ruleFor(['x'], { maxCount: 1 })] },
    })
    const problem = await refusal(transport.open(() => {}).then(() => Promise.reject(new Error('opened'))))
    if (problem instanceof Error && problem.message === 'opened') await transport.close().catch(() => {})
  }
}, 30_000)
