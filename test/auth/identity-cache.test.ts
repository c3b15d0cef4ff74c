import { expect, test } from 'bun:test'
import { IdentityCache, type Verified } from '../../src/auth/identity-cache.ts'
import { anonymous } from '../../src/protocol/grant.ts'

const verified = (revision = 0): Verified => ({
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
  const cache = new IdentityCache(2)
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
  const cache = new IdentityCache(2)
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
  const cache = new IdentityCache(2)
  cache.add('a', verified(1))
  expect(cache.find('a')).toBeNull()
  expect(cache.size).toBe(0)
})
