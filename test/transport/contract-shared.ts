import { afterEach, describe, expect, test } from 'bun:test'
import type { Entry, Head, Transport } from '../../src/hub/transport.ts'
import type { Retention } from '../../src/transport/retention.ts'
import { until } from '../support/binary.ts'
import { envelope, ids, type LogOptions, readAll, ruleFor, unlimited } from './contract.ts'

/** A log that several nodes have open at a time. */
export interface SharedContract {
  /** Makes a new log; each call of the answer makes a node of it, which is not open yet. */
  create(): (options: LogOptions) => Transport
}

/** What holds for a log that several nodes share, beside the contract that each of them keeps. */
export function sharedContract(name: string, { create }: SharedContract): void {
  const opened: Transport[] = []

  afterEach(async () => {
    for (const transport of opened.splice(0)) await transport.close()
  })

  async function open(
    node: (options: LogOptions) => Transport,
    retention: Retention = unlimited,
    clock: () => number = () => 0,
  ) {
    const transport = node({ retention, clock })
    opened.push(transport)
    const seen: Entry[] = []
    const lost: Head[] = []
    const head = await transport.open(
      (entry) => seen.push(entry),
      (place) => lost.push(place),
    )
    return { transport, seen, lost, head }
  }

  const sawAll = async (seen: readonly Entry[], count: number) =>
    await until(`${count} entries`, () => seen.length >= count)

  describe(`${name}: several nodes`, () => {
    test.each([2, 3])(
      'appends from all of %d nodes at once come to each in one order, once',
      async (count) => {
        const node = create()
        const nodes = await Promise.all(Array.from({ length: count }, () => open(node)))
        await Promise.all(
          nodes.flatMap(({ transport }, at) =>
            Array.from({ length: 300 }, (_, n) => transport.append(envelope(`${at}-${n}`))),
          ),
        )
        for (const { seen } of nodes) await sawAll(seen, 300 * count)
        const [first] = nodes
        const order = first === undefined ? [] : ids(first.seen)
        expect(new Set(order).size).toBe(300 * count)
        for (const { seen } of nodes) expect(seen).toEqual(first?.seen ?? [])
        for (const { transport, head, seen } of nodes) {
          const until = seen.at(-1)?.position ?? head.position
          expect(ids(await readAll(transport, until))).toEqual(order)
        }
        // Those of one node keep their order.
        const own = order.filter((id) => id.startsWith('1-'))
        expect(own).toEqual(Array.from({ length: 300 }, (_, n) => `1-${n}`))
      },
    )

    test('the tails see every entry, though the log keeps none', async () => {
      const node = create()
      const nothing = { ...unlimited, maxCount: 0 }
      const nodes = [await open(node, nothing), await open(node, nothing)]
      await Promise.all(
        nodes.flatMap(({ transport }, at) =>
          Array.from({ length: 200 }, (_, n) => transport.append(envelope(`${at}-${n}`))),
        ),
      )
      for (const { seen, lost } of nodes) {
        await sawAll(seen, 400)
        expect([new Set(ids(seen)).size, lost]).toEqual([400, []])
      }
      expect(await nodes[0]?.transport.stats()).toMatchObject({ rows: 0, dropped: 400 })
    })

    test('a node that comes later has the past of the others, and goes on from its head', async () => {
      const node = create()
      const first = await open(node)
      for (const id of ['a', 'b']) await first.transport.append(envelope(id))
      const second = await open(node)
      expect(second.head).toEqual({ position: first.seen[1]?.position ?? first.head.position, id: 'b' })
      expect(await second.transport.find('a')).toBe(first.seen[0]?.position ?? null)
      await first.transport.append(envelope('c'))
      await sawAll(second.seen, 1)
      expect(ids(second.seen)).toEqual(['c'])
    })

    test('the limits of the node that started last hold for all', async () => {
      const node = create()
      const first = await open(node, { ...unlimited, maxCount: 10 })
      for (let n = 0; n < 10; n++) await first.transport.append(envelope(`${n}`))
      await open(node, { ...unlimited, maxCount: 3 })
      expect(await first.transport.stats()).toMatchObject({ rows: 3, dropped: 7 })
      await first.transport.append(envelope('10'))
      expect(await first.transport.stats()).toMatchObject({ rows: 3, dropped: 8 })
    })

    test('rules that a node brings are adopted by the others, for what is stored and for what comes', async () => {
      const node = create()
      const first = await open(node)
      for (const topic of ['a', 'b', 'a', 'c']) await first.transport.append(envelope(topic, 10, topic))
      const rules = [ruleFor(['a', 'b'], { maxCount: 1, perTopic: true })]
      const second = await open(node, { ...unlimited, rules })
      const kept = async () => {
        const until = first.seen.at(-1)?.position ?? first.head.position
        return (await readAll(first.transport, until)).map(({ topics: [topic] }) => topic ?? '')
      }
      expect(await kept()).toEqual(['b', 'a', 'c'])
      await first.transport.append(envelope('b2', 10, 'b'))
      expect(await kept()).toEqual(['a', 'c', 'b'])
      for (const { transport } of [first, second])
        expect(await transport.stats()).toMatchObject({ rows: 3, rules: [{ rows: 2 }] })
    })

    test('an append of the other node is never delivered before the log is open', async () => {
      const node = create()
      const first = await open(node)
      let isBusy = true
      const busy = (async () => {
        for (let n = 0; isBusy; n++) await first.transport.append(envelope(`${n}`))
      })()
      try {
        for (let n = 0; n < 5; n++) {
          const transport = node({ retention: unlimited, clock: () => 0 })
          opened.push(transport)
          let isOpen = false
          const early: string[] = []
          let late = 0
          await transport
            .open(
              ({ id }) => (isOpen ? late++ : early.push(id)),
              () => {},
            )
            .then(() => {
              isOpen = true
            })
          await until('an entry', () => late > 0)
          expect(early).toEqual([])
        }
      } finally {
        isBusy = false
        await busy
      }
    })
  })
}
