import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import type { Entry, PageLimit, Position } from '../../../src/hub/transport.ts'
import type { Frame } from '../../../src/protocol/event-stream.ts'
import { rawMemory } from '../../../src/serve/system/raw-memory.ts'
import { Shelf, type Spot } from '../../../src/transport/memory/shelf.ts'
import { type Allocate, allocateBuffer } from '../../../src/transport/memory/stretch.ts'

const KiB = 1024
const whole: PageLimit = { entries: 1_000_000, bytes: 1 << 30 }

/** A shelf beside what must be on it, and the memory that it has. */
class Beside {
  readonly kept = new Map<Position, { readonly entry: Entry; spot: Spot }>()
  reserved = 0
  readonly shelf: Shelf
  #position = 0

  constructor(allocate: Allocate) {
    const counted: Allocate = (bytes) => {
      this.reserved += bytes
      const memory = allocate(bytes)
      const free = () => {
        this.reserved -= bytes
        memory.free()
      }
      return { ...memory, free }
    }
    this.shelf = new Shelf(counted, {
      isAt: (position, spot) => this.kept.get(position)?.spot === spot,
      onMove: (position, spot) => {
        const one = this.kept.get(position)
        if (one !== undefined) one.spot = spot
      },
    })
  }

  put({ id = 'a', topics = ['t'], isPrivate = false, bytes = 100, rule = null }: Partial<Wish>): Position {
    const position = ++this.#position as Position
    const frame = new Uint8Array(bytes).fill(position) as Frame
    const entry = { position, id, topics, private: isPrivate, frame }
    const spot = this.shelf.put(entry, { at: position + 0.5, bytes: 2 * bytes, rule, key: position })
    this.kept.set(position, { entry, spot })
    return position
  }

  drop(position: Position): void {
    const one = this.kept.get(position)
    if (one === undefined) throw new Error(`${position} is not kept`)
    const place = this.shelf.place(one.spot)
    this.kept.delete(position)
    this.shelf.drop(place)
  }

  get bytes(): number {
    return [...this.kept.values()].reduce((sum, { entry }) => sum + entry.frame.length, 0)
  }

  entries(): readonly Entry[] {
    const spots = [...this.kept.values()].map(({ spot }) => spot)
    return this.shelf.copy(spots, Number.MAX_SAFE_INTEGER as Position, whole).entries
  }

  expected(): readonly Entry[] {
    return [...this.kept.values()].map(({ entry }) => entry)
  }
}

interface Wish {
  readonly id: string
  readonly topics: readonly string[]
  readonly isPrivate: boolean
  readonly bytes: number
  readonly rule: number | null
}

const raw = rawMemory()
const kinds: readonly (readonly [string, Allocate])[] = [
  ['memory of the runtime', allocateBuffer],
  ...(raw === null ? [] : [['memory of the system', raw] as const]),
]

test('the C library can be called here', () => {
  expect(raw).not.toBeNull()
})

describe.each(kinds)('a shelf in %s', (_, allocate) => {
  test('holds what was put on it, whatever comes and goes', () => {
    const wish = fc.record({
      id: fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 500, maxLength: 700 })),
      topics: fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1, maxLength: 3 }),
      isPrivate: fc.boolean(),
      // Above 32 KiB a record has a segment of its own.
      bytes: fc.oneof(fc.nat(300), fc.nat(20 * KiB), fc.integer({ min: 31 * KiB, max: 300 * KiB })),
      rule: fc.option(fc.nat(3), { nil: null }),
    })
    const steps = fc.array(fc.record({ wish, drops: fc.array(fc.nat(), { maxLength: 3 }) }), {
      maxLength: 150,
    })
    fc.assert(
      fc.property(steps, (all) => {
        const beside = new Beside(allocate)
        for (const { wish: one, drops } of all) {
          const position = beside.put(one)
          const place = beside.shelf.place(beside.kept.get(position)?.spot ?? (0 as Spot))
          expect(place).toMatchObject({
            position,
            at: position + 0.5,
            bytes: 2 * one.bytes,
            rule: one.rule,
            key: position,
          })
          for (const drop of drops) {
            const positions = [...beside.kept.keys()]
            const dropped = positions[drop % positions.length]
            if (dropped !== undefined) beside.drop(dropped)
          }
        }
        expect(beside.entries()).toEqual([...beside.expected()])
        for (const { entry, spot } of beside.kept.values()) {
          expect(beside.shelf.id(spot)).toBe(entry.id)
          expect(beside.shelf.topics(spot)).toEqual([...entry.topics])
        }
        beside.shelf.clear()
        expect(beside.reserved).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  test('takes a quarter more than what is kept, and a little, when most of it has gone', () => {
    const beside = new Beside(allocate)
    for (let count = 0; count < 40_000; count++) {
      const position = beside.put({ bytes: 100 + (count % 2000) })
      // One of a hundred stays, as with a rule that keeps the latest state of topics that seldom change.
      if (position % 100 !== 0) beside.drop(position)
    }
    const heads = beside.kept.size * 100
    expect(beside.reserved).toBeLessThan(1.25 * (beside.bytes + heads) + 5 * 256 * KiB)
    expect(beside.entries()).toEqual([...beside.expected()])
    beside.shelf.clear()
  })

  test('gives memory back as entries go, but for two segments', () => {
    const beside = new Beside(allocate)
    const positions = Array.from({ length: 4000 }, (_one, count) =>
      beside.put({ bytes: 1000 + (count % 7) * 8000 }),
    )
    expect(beside.reserved).toBeGreaterThan(4000 * 1000)
    for (const position of positions) beside.drop(position)
    expect(beside.reserved).toBeLessThanOrEqual(3 * 256 * KiB)
    beside.put({})
    expect(beside.entries()).toEqual([...beside.expected()])
    beside.shelf.clear()
    expect(beside.reserved).toBe(0)
  })

  test('a copy stays as it is when the entry is dropped, and neighbours share their topics', () => {
    const beside = new Beside(allocate)
    const same = ['https://example.com/é', '"']
    const positions = [same, same, ['b']].map((topics) => beside.put({ topics: [...topics] }))
    const [first, second, third] = beside.entries()
    expect(first?.topics).toBe(second?.topics ?? [])
    expect(third?.topics).toEqual(['b'])
    expect(first?.frame.buffer).toBe(third?.frame.buffer ?? new ArrayBuffer(0))
    const expected = beside.expected()
    for (const position of positions) beside.drop(position)
    for (let count = 0; count < 10_000; count++) beside.drop(beside.put({ bytes: 1000 }))
    expect([first, second, third]).toEqual([...expected])
    beside.shelf.clear()
  })

  test('a page ends at its limits, with one entry at least', () => {
    const beside = new Beside(allocate)
    for (const bytes of [10, 20, 30]) beside.put({ bytes })
    const spots = [...beside.kept.values()].map(({ spot }) => spot)
    const page = (until: number, limit: Partial<PageLimit>) => {
      const { entries, isFull } = beside.shelf.copy(spots, until as Position, { ...whole, ...limit })
      return [entries.length, isFull]
    }
    expect(page(3, {})).toEqual([3, false])
    expect(page(2, {})).toEqual([2, false])
    expect(page(3, { entries: 2 })).toEqual([2, true])
    expect(page(3, { bytes: 30 })).toEqual([2, true])
    expect(page(3, { bytes: 5 })).toEqual([1, true])
    expect(page(3, { bytes: 60 })).toEqual([3, false])
    beside.shelf.clear()
  })
})
