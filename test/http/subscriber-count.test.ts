import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { network, SubscriberCount } from '../../src/http/subscriber-count.ts'

const none = { subscribers: 0, perAddress: 0, perHolder: 0 }
const refusal = expect.objectContaining({ code: 'too-many-subscribers' })
const refused = (count: SubscriberCount, address: string | null, holder: string | null) => {
  try {
    count.remove(count.add(address, holder))
    return false
  } catch (error) {
    expect(error).toEqual(refusal)
    return true
  }
}

describe('limits of open streams', () => {
  test('SUB-33 the total has room again when one ends', () => {
    const count = new SubscriberCount({ ...none, subscribers: 2 })
    const counted = count.add('192.0.2.1', null)
    count.add('192.0.2.2', null)
    expect(refused(count, '192.0.2.3', null)).toBe(true)
    count.remove(counted)
    expect(refused(count, '192.0.2.3', null)).toBe(false)
    expect(count.total).toBe(1)
  })

  test('SUB-33 an address is counted on its own, an IPv6 client by its /64', () => {
    const count = new SubscriberCount({ ...none, perAddress: 1 })
    count.add('192.0.2.1', null)
    count.add('2001:db8::1', null)
    const addresses = [
      '192.0.2.1',
      '::ffff:192.0.2.1',
      '192.0.2.2',
      '2001:db8:0:0:ffff::9',
      '2001:db8:0:1::1',
      null,
    ]
    expect(addresses.map((address) => refused(count, address, null))).toEqual([
      true,
      true,
      false,
      true,
      false,
      false,
    ])
  })

  test('SUB-33 a holder is counted wherever it comes from, and nobody is when there is no token', () => {
    const count = new SubscriberCount({ ...none, perHolder: 1 })
    count.add('192.0.2.1', 'x')
    count.add('192.0.2.1', null)
    expect(['x', 'y', null].map((holder) => refused(count, '192.0.2.9', holder))).toEqual([
      true,
      false,
      false,
    ])
  })

  test('SUB-33 whoever comes while another is let in finds it counted', () => {
    const count = new SubscriberCount({ subscribers: 2, perAddress: 1, perHolder: 1 })
    count.add('192.0.2.1', 'x')
    expect(refused(count, '192.0.2.1', 'y')).toBe(true)
    expect(refused(count, '192.0.2.2', 'x')).toBe(true)
    count.add('192.0.2.2', 'y')
    expect(refused(count, '192.0.2.3', 'z')).toBe(true)
    // Who was refused was never counted.
    expect(count.total).toBe(2)
  })

  test('a stream that was counted before there was a limit is not counted off under it', () => {
    const count = new SubscriberCount(none)
    expect(count.needsAddress).toBe(false)
    const early = count.add('192.0.2.1', 'x')
    count.limits = { subscribers: 0, perAddress: 1, perHolder: 1 }
    expect(count.needsAddress).toBe(true)
    count.add('192.0.2.1', 'x')
    count.remove(early)
    expect([refused(count, '192.0.2.1', null), refused(count, null, 'x')]).toEqual([true, true])
    expect(count.total).toBe(1)
  })

  test('SUB-33 whatever comes and goes, what is left is what is open', () => {
    const clients = fc.record({
      address: fc.constantFrom('192.0.2.1', '192.0.2.2', null),
      holder: fc.constantFrom('x', null),
    })
    fc.assert(
      fc.property(fc.array(clients), fc.infiniteStream(fc.boolean()), (all, stays) => {
        const count = new SubscriberCount({ subscribers: 1000, perAddress: 1, perHolder: 1 })
        const kept: typeof all = []
        for (const client of all) {
          const { address, holder } = client
          const isOver = kept.some(
            (other) =>
              (address !== null && other.address === address) || (holder !== null && other.holder === holder),
          )
          expect(refused(count, address, holder)).toBe(isOver)
          if (isOver) continue
          const counted = count.add(address, holder)
          if (stays.next().value) kept.push(client)
          else count.remove(counted)
        }
        expect(count.total).toBe(kept.length)
        const isKnown = (address: string) => kept.some((client) => client.address === address)
        for (const address of ['192.0.2.1', '192.0.2.2'])
          expect(refused(count, address, null)).toBe(isKnown(address))
        expect(refused(count, null, 'x')).toBe(kept.some(({ holder }) => holder === 'x'))
      }),
    )
  })
})

test('the network of an address is the same however the address is written', () => {
  const ways = [
    '2001:db8::1',
    '2001:0db8:0000:0000:0000:0000:0000:0001',
    '2001:DB8:0:0:1::',
    '2001:db8::1%eth0',
  ]
  expect(new Set(ways.map(network))).toEqual(new Set(['2001:db8:0:0::/64']))
  expect(network('::1')).toBe('0:0:0:0::/64')
  expect(network('192.0.2.1')).toBe('192.0.2.1')
  expect(network('::ffff:192.0.2.1')).toBe('192.0.2.1')
  expect(network('fe80::1')).not.toBe(network('2001:db8::1'))
})

test('H3 no more are let in than the process has room for, which is looked at when it is reached', () => {
  let room = 2
  let looks = 0
  const count = new SubscriberCount({ subscribers: 10, perAddress: 0, perHolder: 0 }, (total) => {
    looks++
    return total + room
  })
  const open = () => count.add(null, null)
  open()
  open()
  expect([count.total, looks]).toEqual([2, 1])
  room = 0
  expect(open).toThrow()
  room = 1
  open()
  expect([count.total, looks]).toEqual([3, 3])
  count.refit()
  room = 0
  expect(open).toThrow()
})
