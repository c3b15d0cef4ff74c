import { afterEach, describe, expect, test } from 'bun:test'
import type { Transport } from '../../src/hub/transport.ts'
import { type Entry, type Head, type PageLimit, type Position, START } from '../../src/hub/transport.ts'
import { encode } from '../../src/protocol/event-stream.ts'
import type { Envelope } from '../../src/protocol/update.ts'
import type { Retention, Rule } from '../../src/transport/retention.ts'
import { limitsContract } from './contract-limits.ts'
import { rulesContract } from './contract-rules.ts'
import { statsContract } from './contract-stats.ts'

/** What a log is opened with. */
export interface LogOptions {
  readonly retention: Retention
  /** Milliseconds; the test owns it. */
  readonly clock: () => number
}

/** A log that is not open yet. */
export interface Log {
  readonly transport: Transport
  /** Applies the limits now, as the log's own timer would. */
  prune(): Promise<void>
  /** Another transport on the same entries, to be opened when this one is closed. Only when durable. */
  again(options: LogOptions): Log
  /** Removes what the log left behind. */
  dispose(): Promise<void>
}

/** How a transport takes part in the suite. */
export interface Contract {
  create(options: LogOptions): Log
  /** Whether entries outlive `close`. */
  readonly durable: boolean
  /** The stored bytes of an entry that belongs to a rule or to none, as retention counts them. */
  sizeOf(envelope: Envelope, isRuled: boolean): number
  /** The stored bytes of the place of an entry with this id that its rule dropped. */
  placeSizeOf(id: string): number
  /** Parts that do not apply, for example `history` to a log that is live only. */
  readonly skip?: readonly ('history' | 'clock')[]
}

/** No limits. */
export const unlimited: Retention = { maxCount: null, maxAgeMs: null, maxBytes: null }

/** Large enough for everything in a test. */
export const wholeLog: PageLimit = { entries: 100_000, bytes: 1 << 30 }

/** A public update with `bytes` of data. */
export function envelope(id: string, bytes = 10, topic = 'https://example.com/1'): Envelope {
  const data = 'x'.repeat(bytes)
  const frame = encode({ data, type: null, retryMs: null }, id)
  return { id, topics: [topic], private: false, frame }
}

/** A rule for these topics, without limits of its own but for those given. */
export function ruleFor(topics: readonly string[], limits: Partial<Omit<Rule, 'test'>> = {}): Rule {
  return {
    name: topics.join(' '),
    perTopic: false,
    ...unlimited,
    ...limits,
    test: (topic) => topics.includes(topic),
  }
}

/** The ids of entries. */
export function ids(entries: readonly Entry[]): string[] {
  return entries.map(({ id }) => id)
}

/** Everything kept in (after, until]. */
export async function readAll(transport: Transport, until: number, after: number = START): Promise<Entry[]> {
  const page = await transport.read(after as Position, until as Position, wholeLog)
  if (page === 'lost') throw new Error('the place is lost')
  return [...page.entries]
}

/**
 * What the promise was rejected with. `expect(…).rejects` waits without letting messages of other threads in,
 * so it never sees the answer of a writer (Bun 1.4.5).
 */
export async function refusal(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('it was not refused')
}

/** The suite that every transport passes. */
export function transportContract(name: string, contract: Contract): void {
  const skipped = contract.skip ?? []
  const cleanup: (() => Promise<void>)[] = []

  afterEach(async () => {
    for (const undo of cleanup.splice(0).reverse()) await undo()
  })

  async function start(log: Log): Promise<Log & { seen: Entry[]; head: Head }> {
    const seen: Entry[] = []
    const head = await log.transport.open(
      (entry) => seen.push(entry),
      () => {},
    )
    cleanup.push(() => log.transport.close())
    return { ...log, seen, head }
  }

  function create(retention: Retention = unlimited, clock: () => number = () => 0): Log {
    const log = contract.create({ retention, clock })
    cleanup.push(() => log.dispose())
    return log
  }

  const open = async (retention?: Retention, clock?: () => number) => start(create(retention, clock))

  describe(`${name}: the tail`, () => {
    test('a new log is empty', async () => {
      const { head, transport } = await open()
      expect(head).toEqual({ position: START, id: null })
      expect(await transport.stats()).toMatchObject({ rows: 0, bytes: 0, oldestAt: null })
      await transport.check()
    })

    test('an append resolves after its entry was delivered, unchanged', async () => {
      const { transport, seen } = await open()
      const sent: Envelope = { ...envelope('a'), topics: ['t', 'ü "\\'], private: true }
      await transport.append(sent)
      expect(seen).toEqual([{ ...sent, position: seen[0]?.position ?? START }])
    })

    test('no entry is delivered before the log is open', async () => {
      const { transport } = create()
      const order: string[] = []
      let isOpen = false
      const opened = transport.open(
        () => order.push(isOpen ? 'after' : 'before'),
        () => {},
      )
      cleanup.push(() => transport.close())
      await opened
      isOpen = true
      await transport.append(envelope('a'))
      expect(order).toEqual(['after'])
    })

    test('a thousand appends at once are each delivered once, in the order of the log', async () => {
      const { transport, seen } = await open()
      const sent = Array.from({ length: 1000 }, (_, index) => envelope(`id-${index}`, index % 50))
      const settled: string[] = []
      await Promise.all(sent.map((one) => transport.append(one).then(() => settled.push(one.id))))
      expect(ids(seen)).toEqual(ids(sent.map((one) => ({ ...one, position: START }))))
      expect(settled).toEqual(ids(seen))
      const positions = seen.map(({ position }) => position)
      expect(positions).toEqual(positions.toSorted((a, b) => a - b))
      expect(new Set(positions).size).toBe(1000)
    })

    test('an append made while an entry is being delivered comes after the current entry', async () => {
      const { transport } = create()
      const order: string[] = []
      const inner: Promise<void>[] = []
      await transport.open(
        (entry) => {
          order.push(`start ${entry.id}`)
          if (entry.id === 'a') inner.push(transport.append(envelope('inner')))
          order.push(`end ${entry.id}`)
        },
        () => {},
      )
      cleanup.push(() => transport.close())
      await Promise.all([transport.append(envelope('a')), transport.append(envelope('b'))])
      await Promise.all(inner)
      const delivered = order.filter((step) => step.startsWith('start')).map((step) => step.slice(6))
      expect(order).toEqual(delivered.flatMap((id) => [`start ${id}`, `end ${id}`]))
      expect(delivered.toSorted()).toEqual(['a', 'b', 'inner'])
      expect(delivered.indexOf('a')).toBeLessThan(delivered.indexOf('inner'))
    })

    test('a log that is not open, or closed, refuses everything', async () => {
      const { transport } = create()
      const refused = { code: 'store-unavailable' }
      const calls = [
        () => transport.append(envelope('a')),
        () => transport.find('a'),
        () => transport.read(START, START, wholeLog),
        () => transport.stats(),
        () => transport.check(),
      ]
      for (const call of calls) expect(await refusal(call())).toMatchObject(refused)
      await transport.open(
        () => {},
        () => {},
      )
      await transport.append(envelope('a'))
      await transport.close()
      for (const call of calls) expect(await refusal(call())).toMatchObject(refused)
      await transport.close()
    })

    test('closing waits for the appends under way', async () => {
      const { transport, seen } = await open()
      const appends = ['a', 'b', 'c'].map((id) => transport.append(envelope(id)))
      await transport.close()
      expect(ids(seen)).toEqual(['a', 'b', 'c'])
      await Promise.all(appends)
    })
  })

  const keptMax = skipped.includes('history') ? 0 : 2
  statsContract(name, keptMax, async () => (await open({ ...unlimited, maxCount: keptMax })).transport)

  if (!skipped.includes('history')) {
    historyContract(name, contract, open, start)
  }

  if (contract.durable) {
    describe(`${name}: a restart`, () => {
      test('REC-18 history that survives a restart keeps ids and order, and the head', async () => {
        const first = await open()
        for (const id of ['a', 'b', 'a', 'c']) await first.transport.append(envelope(id))
        await first.transport.close()
        const second = await start(first.again({ retention: unlimited, clock: () => 0 }))
        const last = first.seen.at(-1)
        expect(second.head).toEqual({ position: last?.position ?? START, id: 'c' })
        expect(await readAll(second.transport, second.head.position)).toEqual(first.seen)
        expect(await second.transport.find('a')).toBe(first.seen[0]?.position ?? null)
        expect(second.seen).toEqual([])
      })

      test('positions are never used again, also when nothing was kept', async () => {
        const nothing = { ...unlimited, maxCount: 0 }
        const first = await open(nothing)
        for (const id of ['a', 'b']) await first.transport.append(envelope(id))
        await first.transport.close()
        const second = await start(first.again({ retention: nothing, clock: () => 0 }))
        expect(second.head).toEqual({ position: first.seen[1]?.position ?? START, id: 'b' })
        expect(await second.transport.stats()).toMatchObject({ rows: 0, dropped: 2 })
        await second.transport.append(envelope('c'))
        expect(second.seen[0]?.position).toBeGreaterThan(second.head.position)
        expect(
          await second.transport.read(first.seen[0]?.position ?? START, second.head.position, wholeLog),
        ).toBe('lost')
      })

      test('limits that were lowered hold when the log is open again', async () => {
        const first = await open()
        for (let index = 0; index < 700; index++) void first.transport.append(envelope(`${index}`))
        await first.transport.close()
        const second = await start(first.again({ retention: { ...unlimited, maxCount: 3 }, clock: () => 0 }))
        expect((await second.transport.stats()).rows).toBe(3)
        expect(ids(await readAll(second.transport, second.head.position))).toEqual(['697', '698', '699'])
      })

      test('entries that expired while nothing ran are gone at once', async () => {
        const keep = { ...unlimited, maxAgeMs: 1000 }
        const first = await open(keep, () => 5000)
        for (let index = 0; index < 10; index++) await first.transport.append(envelope(`${index}`))
        await first.transport.close()
        const second = await start(first.again({ retention: keep, clock: () => 6000 }))
        expect(await second.transport.find('9')).toBeNull()
        expect(await readAll(second.transport, second.head.position)).toEqual([])
      })

      test('time goes on from the newest entry when the clock is behind it', async () => {
        const keep = { ...unlimited, maxAgeMs: 1000 }
        const first = await open(keep, () => 50_000)
        await first.transport.append(envelope('a'))
        await first.transport.close()
        let now = 10
        const second = await start(first.again({ retention: keep, clock: () => now }))
        expect(await second.transport.find('a')).not.toBeNull()
        now += 999
        expect(await second.transport.find('a')).not.toBeNull()
        now += 1
        expect(await second.transport.find('a')).toBeNull()
      })
    })
  } else {
    test(`${name}: a log that is not durable starts empty`, async () => {
      const first = await open()
      await first.transport.append(envelope('a'))
      await first.transport.close()
      expect((await open()).head).toEqual({ position: START, id: null })
    })
  }
}

function historyContract(name: string, contract: Contract, open: Open, start: Start): void {
  describe(`${name}: the past`, () => {
    test('REC-07 an unknown id is not found', async () => {
      const { transport } = await open()
      await transport.append(envelope('a'))
      expect(await transport.find('b')).toBeNull()
    })

    test('REC-09 repeated ids resolve to the earliest entry that is kept', async () => {
      const { transport, seen } = await open({ ...unlimited, maxCount: 4 })
      for (const id of ['a', 'dup', 'c', 'dup']) await transport.append(envelope(id))
      expect(await transport.find('dup')).toBe(seen[1]?.position ?? null)
      for (const id of ['e', 'f']) await transport.append(envelope(id))
      expect(await transport.find('dup')).toBe(seen[3]?.position ?? null)
      for (const id of ['g', 'h']) await transport.append(envelope(id))
      expect(await transport.find('dup')).toBeNull()
    })

    test('a page ends at the limit of entries, and says where to read on', async () => {
      const { transport, seen } = await open()
      for (const id of ['a', 'b', 'c', 'd', 'e']) await transport.append(envelope(id))
      const until = seen[4]?.position ?? START
      const limit = { entries: 2, bytes: 1 << 20 }
      const first = await transport.read(START, until, limit)
      expect(first).toEqual({ entries: seen.slice(0, 2), next: seen[1]?.position ?? START })
      const last = await transport.read(seen[3]?.position ?? START, until, limit)
      expect(last).toEqual({ entries: seen.slice(4), next: until })
    })

    test('a page ends at the limit of bytes, but holds one entry however large', async () => {
      const { transport, seen } = await open()
      for (const id of ['a', 'b', 'c']) await transport.append(envelope(id, 1000))
      const until = seen[2]?.position ?? START
      const length = seen[0]?.frame.length ?? 0
      const pageOf = async (bytes: number) => {
        const page = await transport.read(START, until, { entries: 10, bytes })
        return page === 'lost' ? page : ids(page.entries)
      }
      expect(await pageOf(1)).toEqual(['a'])
      expect(await pageOf(2 * length)).toEqual(['a', 'b'])
      expect(await pageOf(2 * length - 1)).toEqual(['a'])
    })

    test('a person looks at the past newest first, with the time of each entry', async () => {
      const { transport } = await open()
      if (transport.browse === undefined) throw new Error('this log cannot be looked through')
      expect(await transport.browse(1 as Position, wholeLog)).toEqual([])
      for (let at = 1; at <= 5; at++) await transport.append(envelope(`u${at}`, 100))
      const ids = async (before: number, limit: PageLimit) =>
        ((await transport.browse?.(before as Position, limit)) ?? []).map(({ id }) => id)
      expect(await ids(99, wholeLog)).toEqual(['u5', 'u4', 'u3', 'u2', 'u1'])
      expect(await ids(5, { entries: 2, bytes: 10_000 })).toEqual(['u4', 'u3'])
      expect(await ids(99, { entries: 10, bytes: 1 })).toEqual(['u5'])
      const [newest] = await transport.browse(99 as Position, wholeLog)
      expect(newest).toMatchObject({
        id: 'u5',
        position: 5,
        private: false,
        frame: envelope('u5', 100).frame,
      })
      expect(newest?.at).toBe(
        Math.max(...(await transport.browse(99 as Position, wholeLog)).map(({ at }) => at)),
      )
    })

    test('nothing after `until` is read, and reading at the head gives nothing', async () => {
      const { transport, seen } = await open()
      for (const id of ['a', 'b', 'c']) await transport.append(envelope(id))
      const [, middle, last] = seen.map(({ position }) => position)
      expect(ids(await readAll(transport, middle ?? START))).toEqual(['a', 'b'])
      const end = last ?? START
      expect(await transport.read(end, end, wholeLog)).toEqual({ entries: [], next: end })
    })

    test('REC-16 a place is lost when an entry after it was dropped, and the start never is', async () => {
      const { transport, seen } = await open({ ...unlimited, maxCount: 2 })
      for (const id of ['a', 'b', 'c', 'd']) await transport.append(envelope(id))
      const [a, b, , d] = seen.map(({ position }) => position)
      const until = d ?? START
      expect(await transport.read(a ?? START, until, wholeLog)).toBe('lost')
      expect(ids(await readAll(transport, until, b))).toEqual(['c', 'd'])
      expect(ids(await readAll(transport, until))).toEqual(['c', 'd'])
    })

    test('an entry is gone the moment that its age is over, before anything removes it', async () => {
      let now = 1000
      const { transport, seen } = await open({ ...unlimited, maxAgeMs: 100 }, () => now)
      await transport.append(envelope('a'))
      now += 60
      await transport.append(envelope('b'))
      now += 39
      expect(await transport.find('a')).toBe(seen[0]?.position ?? null)
      now += 1
      const until = seen[1]?.position ?? START
      expect(await transport.find('a')).toBeNull()
      expect(ids(await readAll(transport, until))).toEqual(['b'])
      expect(ids(await readAll(transport, until, seen[0]?.position))).toEqual(['b'])
      now += 60
      expect(await transport.read(seen[0]?.position ?? START, until, wholeLog)).toBe('lost')
      expect(await readAll(transport, until)).toEqual([])
    })

    test('an idle log forgets by age, to the last entry', async () => {
      let now = 0
      const { transport, prune } = await open({ ...unlimited, maxAgeMs: 100 }, () => now)
      await Promise.all(Array.from({ length: 700 }, (_, index) => transport.append(envelope(`${index}`))))
      now = 100
      await prune()
      expect(await transport.stats()).toMatchObject({ rows: 0, bytes: 0, oldestAt: null })
    })

    limitsContract(contract, open, start)
    rulesContract(contract, open, start)
  })
}

/** The same log, closed and opened again by another transport. */
export async function reopen(log: OpenLog, options: LogOptions, start: Start): Promise<OpenLog> {
  await log.transport.close()
  const again = await start(log.again(options))
  again.seen.unshift(...log.seen)
  return again
}

/** The position of its newest entry. */
export function headOf({ seen }: Pick<OpenLog, 'seen'>): Position {
  return seen.at(-1)?.position ?? START
}

/** A log that is open, and what its tail saw. */
export type OpenLog = Log & { seen: Entry[]; head: Head }
/** Makes a log and opens it. */
export type Open = (retention?: Retention, clock?: () => number) => Promise<OpenLog>
/** Opens a log. */
export type Start = (log: Log) => Promise<OpenLog>
