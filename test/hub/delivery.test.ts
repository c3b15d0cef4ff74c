import { describe, expect, test } from 'bun:test'
import { Delivery } from '../../src/hub/delivery.ts'
import { Subscriber } from '../../src/hub/subscriber.ts'
import type { Entry, Position } from '../../src/hub/transport.ts'
import type { Identity } from '../../src/protocol/grant.ts'
import { seal } from '../../src/protocol/update.ts'
import { ArraySink, identity, update } from '../support/hub.ts'

const entry: Entry = { ...seal(update({ topics: ['a'], data: 'x' }), 'five'), position: 5 as Position }

/** A reader who has everything up to there. */
function reader(after = 4, who: Identity = identity([])) {
  const sink = new ArraySink()
  const cursor = { after: after as Position, lastEventId: null, losses: 0 }
  return { sink, subscriber: new Subscriber('urn:x', [], who, cursor, sink) }
}

const setOf = (readers: readonly { readonly subscriber: Subscriber }[]) =>
  new Set(readers.map(({ subscriber }) => subscriber))
const received = (readers: readonly { readonly sink: ArraySink }[]) =>
  readers.map(({ sink }) => sink.ids.join())

const never = () => false
const always = () => true

describe('the delivery of one entry', () => {
  test('SUB-63 whoever is in several groups gets it once, and whoever has it already does not', () => {
    const readers = [reader(), reader(), reader(5), reader(6)]
    const delivery = new Delivery(0, entry, [setOf(readers), new Set(), setOf(readers.slice(1))], null)
    expect(delivery.run(never, 1)).toBe(true)
    expect(received(readers)).toEqual(['five', 'five', '', ''])
    expect(delivery.count).toBe(2)
  })

  test('SUB-61 it asks for permission, and who may not read it is passed over', () => {
    const [granted, other] = [reader(4, identity(['a'])), reader()]
    const mayRead = (who: Identity) => who === granted.subscriber.identity
    expect(new Delivery(0, entry, [setOf([granted, other])], mayRead).run(never, 1)).toBe(true)
    expect(received([granted, other])).toEqual(['five', ''])
  })

  test('who ended before it came to it gets nothing, and is not counted, though a list still has it', () => {
    const readers = [reader(), reader(), reader()]
    const list = readers.map(({ subscriber }) => subscriber)
    const delivery = new Delivery(0, entry, [list], null)
    expect(delivery.run(always, 1)).toBe(false)
    for (const subscriber of list.slice(1, 2)) subscriber.state = 'ended'
    expect(delivery.run(never, 1)).toBe(true)
    expect([received(readers), delivery.count]).toEqual([['five', '', 'five'], 2])
  })

  test('it goes on where it was left, whatever joined or ended meanwhile', () => {
    const readers = Array.from({ length: 6 }, () => reader())
    const [late, joined] = [reader(), reader(5)]
    const group = setOf(readers)
    const delivery = new Delivery(0, entry, [group, setOf([late])], null)
    expect([delivery.run(always, 2), received(readers)]).toEqual([false, ['five', 'five', '', '', '', '']])
    for (const { subscriber } of [...readers.slice(0, 1), ...readers.slice(2, 3)]) group.delete(subscriber)
    group.add(joined.subscriber)
    while (!delivery.run(always, 2)) expect(delivery.count).toBeLessThan(7)
    expect(received(readers)).toEqual(['five', 'five', '', 'five', 'five', 'five'])
    expect(received([late, joined])).toEqual(['five', ''])
    expect(delivery.count).toBe(6)
  })

  test('it stops also among those who may not read it, and asks for each of them once', () => {
    const readers = Array.from({ length: 6 }, () => reader())
    let asked = 0
    const refused = () => {
      asked++
      return false
    }
    const delivery = new Delivery(0, entry, [setOf(readers)], refused)
    expect([delivery.run(always, 2), asked]).toEqual([false, 2])
    while (!delivery.run(always, 2)) expect(asked).toBeLessThan(7)
    expect([asked, delivery.count]).toEqual([6, 0])
  })

  test('nobody to reach is done at once', () => {
    expect(new Delivery(0, entry, [], null).run(never, 1)).toBe(true)
  })
})
