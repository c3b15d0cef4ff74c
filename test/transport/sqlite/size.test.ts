import type { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import fc from 'fast-check'
import type { Envelope } from '../../../src/protocol/update.ts'
import { NEW_ANCHOR } from '../../../src/transport/log-clock.ts'
import { openHistory } from '../../../src/transport/sqlite/schema.ts'
import { PAGE_BYTES, storedBytes } from '../../../src/transport/sqlite/size.ts'
import { SqliteStore } from '../../../src/transport/sqlite/store.ts'
import { envelope, ruleFor, unlimited } from '../contract.ts'
import { temporaryFolder } from './log.ts'

const KIB = 1 << 10

test('1 KB updates are charged for what they are, and a little more', () => {
  const bytes = storedBytes(envelope(crypto.randomUUID(), KIB))
  expect(bytes).toBeGreaterThan(KIB)
  expect(bytes).toBeLessThan(1.25 * KIB)
})

test('an update of just over half a page is charged so that 1.25 times it is a whole page', () => {
  expect(1.25 * storedBytes(envelope('a', PAGE_BYTES / 2))).toBeGreaterThan(PAGE_BYTES)
})

test('a large update is charged its overflow pages', () => {
  const bytes = storedBytes(envelope('a', KIB * KIB))
  expect(bytes).toBeGreaterThan(KIB * KIB)
  expect(bytes).toBeLessThan(1.02 * KIB * KIB)
})

const frame = fc.oneof(
  fc.nat(300),
  fc.integer({ min: 900, max: 1200 }),
  fc.integer({ min: 3900, max: 4200 }),
  fc.integer({ min: 7700, max: 8200 }),
  fc.nat(40_000),
)
const id = fc.oneof(fc.constant(36), fc.constant(36), fc.integer({ min: 1, max: 4000 }))

// A cycle of a few sizes is the worst case: small and large ones in turn waste the most.
const cycle = fc.array(fc.record({ frame, id }), { minLength: 1, maxLength: 4 })

test('the file stays within 1.25 times max_bytes plus 8 MiB for any mix of sizes, while entries come and go', () => {
  const maxBytes = 2 * KIB * KIB
  fc.assert(
    fc.property(fc.array(cycle, { minLength: 1, maxLength: 3 }), (phases) => {
      const folder = temporaryFolder()
      try {
        fill(join(folder.path, 'history.db'), phases, maxBytes)
      } finally {
        folder.remove()
      }
    }),
    {
      numRuns: 15,
      // Records that just fit in a page, with small ones between them: two pages for each pair.
      examples: [
        [
          [
            [
              { frame: 8014, id: 36 },
              { frame: 900, id: 36 },
            ],
            [{ frame: 7700, id: 36 }],
          ],
        ],
      ],
    },
  )
}, 120_000)

test('what rules drop from the middle leaves its room too, and the rest stays as it was', () => {
  const folder = temporaryFolder()
  const path = join(folder.path, 'history.db')
  const reader = openHistory(path)
  const maxBytes = 4 * KIB * KIB
  const states = { ...ruleFor(['state']), maxCount: 100, maxAgeMs: null, maxBytes: null }
  const { test: _, ...rule } = states
  const store = new SqliteStore({
    path,
    durability: 'normal',
    limits: { ...unlimited, maxBytes },
    rules: [rule],
  })
  store.open(0, NEW_ANCHOR)
  const sent: Envelope[] = []
  try {
    for (let stored = 0; stored < 4 * maxBytes; ) {
      const batch = Array.from({ length: 200 }, (_, index) =>
        envelope(`${sent.length + index}`, KIB, index % 2 === 0 ? 'event' : 'state'),
      )
      sent.push(...batch)
      stored += commitAll(store, batch, (one) => (one.topics[0] === 'state' ? 0 : null))
      while (!store.tidy(0, false).isTidy);
      expect(usedBytes(reader)).toBeLessThanOrEqual(1.25 * store.probe().bytes + 1.5 * KIB * KIB)
    }
    const kept = reader.query<{ id: string; frame: Uint8Array }, []>(
      'SELECT id, frame FROM entry ORDER BY seq',
    )
    const newestStates = new Set(sent.filter(({ topics }) => topics[0] === 'state').slice(-100))
    const wanted = sent.filter((one) => one.topics[0] === 'event' || newestStates.has(one))
    const rows = kept.all()
    expect(rows).toEqual(wanted.slice(-rows.length).map(({ id, frame }) => ({ id, frame })))
    expect(store.probe()).toMatchObject({ count: rows.length, rules: [{ count: 100 }] })
    expect(reader.query('SELECT count(*) AS count FROM ruled').get()).toEqual({ count: 100 })
  } finally {
    reader.close()
    store.close()
    folder.remove()
  }
}, 30_000)

test('M9 places take no more room than they are counted with, in whatever order they come', () => {
  const folder = temporaryFolder()
  const path = join(folder.path, 'history.db')
  const reader = openHistory(path)
  const maxBytes = 8 * KIB * KIB
  const { test: _, ...rule } = ruleFor(['state'], { maxCount: 1, perTopic: true })
  const store = new SqliteStore({
    path,
    durability: 'normal',
    limits: { ...unlimited, maxBytes },
    rules: [rule],
  })
  store.open(0, NEW_ANCHOR)
  let random = 7
  const next = () => {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff
    return random / 0x7fffffff
  }
  try {
    for (let round = 0; round < 150; round++) {
      // Some topics change a thousand times as often as others, so that old entries go late.
      const batch = Array.from({ length: 200 }, () =>
        envelope(crypto.randomUUID(), 10, `${Math.floor(1000 * next() ** 4)}`),
      )
      commitAll(store, batch, () => 0)
      while (!store.tidy(0, false).isTidy);
      const { bytes } = store.probe()
      expect(bytes).toBeLessThanOrEqual(maxBytes)
      expect(usedBytes(reader)).toBeLessThanOrEqual(1.25 * bytes + 512 * KIB)
    }
    const { places, bytes, rules } = store.probe()
    expect(places).toBeGreaterThan(5000)
    expect(bytes - (rules[0]?.bytes ?? 0)).toBeLessThanOrEqual(maxBytes / 8)
  } finally {
    reader.close()
    store.close()
    folder.remove()
  }
}, 30_000)

/** Runs three times the limit of each mix through a store, and checks the bounds after every batch. */
function fill(path: string, phases: readonly Size[][], maxBytes: number): void {
  const reader = openHistory(path)
  const limits = { ...unlimited, maxBytes }
  const store = new SqliteStore({ path, durability: 'normal', limits, rules: [] })
  store.open(0, NEW_ANCHOR)
  for (const sizes of phases) {
    for (let stored = 0; stored < 3 * maxBytes; ) {
      stored += commit(store, sizes)
      expect(store.probe().bytes).toBeLessThanOrEqual(maxBytes)
      expect(usedBytes(reader)).toBeLessThanOrEqual(1.25 * maxBytes + 512 * KIB)
      const fileBytes = Bun.file(path).size + Bun.file(`${path}-wal`).size
      expect(fileBytes).toBeLessThanOrEqual(1.25 * maxBytes + 8 * KIB * KIB)
    }
  }
  reader.close()
  store.close()
}

/** Bytes of data and characters of the id. */
interface Size {
  readonly frame: number
  readonly id: number
}

/** Stores about 200 KB in one batch; answers what retention charges for it. */
function commit(store: SqliteStore, sizes: readonly Size[]): number {
  const batch = []
  let bytes = 0
  for (let index = 0; bytes < 200 * KIB && index < 250; index++) {
    const size = sizes[index % sizes.length] ?? { frame: 0, id: 36 }
    const one = envelope(crypto.randomUUID().padEnd(size.id, 'x').slice(0, size.id), size.frame)
    batch.push(one)
    bytes += storedBytes(one)
  }
  return commitAll(store, batch, () => null)
}

/** Stores one batch; answers what retention charges for it. */
function commitAll(
  store: SqliteStore,
  batch: readonly Envelope[],
  ruleOf: (one: Envelope) => number | null,
): number {
  const frames = Buffer.concat(batch.map((one) => one.frame))
  store.commit(
    {
      ids: batch.map((one) => one.id),
      topics: batch.map((one) => JSON.stringify(one.topics)),
      isPrivate: batch.map((one) => one.private),
      rules: batch.map(ruleOf),
      frameLengths: batch.map((one) => one.frame.length),
      frames: new Uint8Array(frames).buffer,
    },
    0,
  )
  return batch.reduce((sum, one) => sum + storedBytes(one, ruleOf(one) !== null), 0)
}

function usedBytes(database: Database): number {
  const pages = database.query<{ page_count: number }, []>('PRAGMA page_count').get()?.page_count ?? 0
  const free =
    database.query<{ freelist_count: number }, []>('PRAGMA freelist_count').get()?.freelist_count ?? 0
  return (pages - free) * PAGE_BYTES
}
