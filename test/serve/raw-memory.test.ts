import { expect, test } from 'bun:test'
import { rawMemory } from '../../src/serve/system/raw-memory.ts'

test('memory of the system holds what is written to it, wherever that is', () => {
  const memory = rawMemory()?.(300_000)
  const bytes = new Uint8Array([1, 2, 3, 4])
  const into = new Uint8Array(4)
  memory?.write(299_998, bytes, 2)
  memory?.write(7, bytes.subarray(2), 2)
  memory?.read(299_998, into, 2)
  memory?.read(7, into.subarray(2), 2)
  expect([...into]).toEqual([1, 2, 3, 4])
  memory?.read(0, into, 4)
  expect([...into]).toEqual([0, 0, 0, 0])
  memory?.free()
})

test('M17 what the system has not is refused as a full store', () => {
  const allocate = rawMemory()
  expect(() => allocate?.(2 ** 50)).toThrow(expect.objectContaining({ code: 'store-full' }))
})
