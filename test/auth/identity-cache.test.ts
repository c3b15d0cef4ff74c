import { expect, test } from 'bun:test'
import { IdentityCache, type Verified } from '../../src/auth/identity-cache.ts'
import { anonymous } from '../../src/protocol/grant.ts'

const verified = (revision = 0, bytes = 1): Verified => ({
  bytes,
  identity: { ...anonymous },
  revision: 0,
  source: {
    algorithms: [],
    revision,
    verify: async () => true,
    refresh: () => {},
    close: () => {},
  },
})

test('over its limit it forgets the identity that was asked for longest ago', () => {
  const cache = new IdentityCache(2, 1000)
  for (const key of ['a', 'b']) cache.add(key, verified())
  for (const key of ['b', 'a', 'a']) expect(cache.find(key)).not.toBeNull()
  cache.add('c', verified())
  expect(cache.find('b')).toBeNull()
  expect(cache.find('a')).not.toBeNull()
  expect(cache.size).toBe(2)
  cache.add('d', verified())
  expect(cache.find('c')).toBeNull()
  expect(cache.find('a')).not.toBeNull()
})

test('one that was deleted as the newest can come back and be the newest again', () => {
  const cache = new IdentityCache(2, 1000)
  cache.add('a', verified())
  cache.delete('a')
  cache.add('b', verified())
  cache.add('a', verified())
  expect(cache.find('a')).not.toBeNull()
  cache.add('c', verified())
  expect(cache.find('b')).toBeNull()
  expect(cache.find('a')).not.toBeNull()
})

test('AUT-26 it forgets an identity whose keys may have been withdrawn', () => {
  const cache = new IdentityCache(2, 1000)
  cache.add('a', verified(1))
  expect(cache.find('a')).toBeNull()
  expect(cache.size).toBe(0)
})

test('SEC-14 SEC-16 over its bytes it forgets as many as a new one needs, and keeps none that is larger than all', () => {
  const cache = new IdentityCache(10, 10)
  for (const key of ['a', 'b', 'c']) cache.add(key, verified(0, 3))
  cache.find('a')
  cache.add('d', verified(0, 6))
  expect(['a', 'b', 'c', 'd'].map((key) => cache.find(key) !== null)).toEqual([true, false, false, true])
  cache.add('e', verified(0, 11))
  expect(['a', 'd', 'e'].map((key) => cache.find(key) !== null)).toEqual([true, true, false])
  cache.add('d', verified(0, 1))
  for (const key of ['f', 'g']) cache.add(key, verified(0, 3))
  expect(['a', 'd', 'f', 'g'].map((key) => cache.find(key) !== null)).toEqual([true, true, true, true])
  cache.delete('a')
  cache.add('h', verified(0, 3))
  expect(cache.size).toBe(4)
})
