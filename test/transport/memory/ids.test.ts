import { expect, test } from 'bun:test'
import type { Position } from '../../../src/hub/transport.ts'
import { Ids } from '../../../src/transport/memory/ids.ts'

function arrange() {
  const texts = new Map<Position, string>()
  const ids = new Ids(7, (position) => texts.get(position) ?? '')
  const add = (id: string, position: number, key = ids.keyOf(id)) => {
    texts.set(position as Position, id)
    ids.add(key, position as Position)
  }
  const drop = (position: number, key: number) => ids.drop(key, position as Position)
  return { ids, add, drop }
}

test('REC-09 the earliest position of an id is found, as others of it come and go', () => {
  const { ids, add, drop } = arrange()
  expect(ids.find('a')).toBeNull()
  for (const position of [1, 2, 3]) add('a', position)
  expect(Number(ids.find('a'))).toBe(1)
  drop(2, ids.keyOf('a'))
  expect(Number(ids.find('a'))).toBe(1)
  drop(1, ids.keyOf('a'))
  expect(Number(ids.find('a'))).toBe(3)
  drop(3, ids.keyOf('a'))
  expect(ids.find('a')).toBeNull()
  add('a', 4)
  expect(Number(ids.find('a'))).toBe(4)
})

test('ids that share a key are told apart', () => {
  const { ids, add, drop } = arrange()
  const key = ids.keyOf('b')
  add('a', 1, key)
  expect(ids.find('b')).toBeNull()
  add('b', 2, key)
  expect(Number(ids.find('b'))).toBe(2)
  drop(1, key)
  expect(Number(ids.find('b'))).toBe(2)
  drop(2, key)
  expect(ids.find('b')).toBeNull()
})

test('keys differ between processes, so that nobody can choose ids that share one', () => {
  const keys = [1, 2, 3].map((seed) => new Ids(seed, () => '').keyOf('urn:uuid:1'))
  expect(new Set(keys).size).toBe(3)
})
