import { describe, expect, test } from 'bun:test'
import { type Position, START } from '../../../src/hub/transport.ts'
import { ProtocolError } from '../../../src/protocol/error.ts'
import { rawMemory } from '../../../src/serve/system/raw-memory.ts'
import { allocateBuffer } from '../../../src/transport/memory/stretch.ts'
import { MemoryTransport, memoryBytes, memoryPlaceBytes } from '../../../src/transport/memory/transport.ts'
import {
  envelope,
  type Log,
  type LogOptions,
  refusal,
  transportContract,
  unlimited,
  wholeLog,
} from '../contract.ts'

function memory(options: LogOptions, allocate = allocateBuffer): Log {
  const transport = new MemoryTransport({ ...options, allocate })
  return {
    transport,
    prune: async () => transport.prune(),
    again: (other) => memory(other, allocate),
    dispose: async () => {},
  }
}

const inMemory = { durable: false, sizeOf: memoryBytes, placeSizeOf: memoryPlaceBytes }

transportContract('memory', { ...inMemory, create: (options) => memory(options) })

transportContract('memory of the system', {
  ...inMemory,
  create: (options) => memory(options, rawMemory() ?? allocateBuffer),
})

transportContract('local', {
  create: ({ retention, clock }) => memory({ retention: { ...retention, maxCount: 0 }, clock }),
  ...inMemory,
  skip: ['history'],
})

describe('local', () => {
  test('REC-16 a log without history delivers but finds and reads nothing', async () => {
    const { transport } = memory({ retention: { ...unlimited, maxCount: 0 }, clock: () => 0 })
    const seen: Position[] = []
    await transport.open(
      ({ position }) => seen.push(position),
      () => {},
    )
    for (const id of ['a', 'b']) await transport.append(envelope(id))
    const [first, second] = seen
    const head = second ?? START
    expect(await transport.find('b')).toBeNull()
    expect(await transport.read(START, head, wholeLog)).toEqual({ entries: [], next: head })
    expect(await transport.read(head, head, wholeLog)).toEqual({ entries: [], next: head })
    expect(await transport.read(first ?? START, head, wholeLog)).toBe('lost')
    expect(await transport.stats()).toEqual({
      retentionRuns: 0,
      rows: 0,
      dropped: 2,
      bytes: 0,
      oldestAt: null,
      now: 0,
      fileBytes: 0,
    })
    await transport.close()
  })
})

test('a log is opened once', async () => {
  const { transport } = memory({ retention: unlimited, clock: () => 0 })
  const open = () =>
    transport.open(
      () => {},
      () => {},
    )
  await open()
  expect(await refusal(open())).toMatchObject({ message: expect.stringContaining('opened once') })
  await transport.close()
  expect(await refusal(open())).toMatchObject({ message: expect.stringContaining('opened once') })
})

test('a tail that fails rejects that append and goes on with the next', async () => {
  const { transport } = memory({ retention: unlimited, clock: () => 0 })
  const seen: string[] = []
  await transport.open(
    ({ id }) => {
      seen.push(id)
      if (id === 'bad') throw new Error('tail')
    },
    () => {},
  )
  expect(await refusal(transport.append(envelope('bad')))).toMatchObject({
    message: expect.stringContaining('tail'),
  })
  await transport.append(envelope('good'))
  expect(seen).toEqual(['bad', 'good'])
  await transport.close()
})

test('M17 an update that there is no memory for is refused, and takes no position', async () => {
  let isFull = true
  const { transport } = memory({ retention: unlimited, clock: () => 0 }, (bytes) => {
    if (isFull) throw new ProtocolError('store-full', 'the system has no memory left')
    return allocateBuffer(bytes)
  })
  const seen: [string, Position][] = []
  await transport.open(
    ({ id, position }) => seen.push([id, position]),
    () => {},
  )
  expect(await refusal(transport.append(envelope('a')))).toMatchObject({ code: 'store-full' })
  isFull = false
  await transport.append(envelope('b'))
  expect(seen).toEqual([['b', (START + 1) as Position]])
  expect(await transport.stats()).toMatchObject({ rows: 1, dropped: 0 })
  expect(await transport.find('a')).toBeNull()
  await transport.close()
})

test('a page ends at its end after a last entry that is larger than a page', async () => {
  const { transport } = memory({ retention: unlimited, clock: () => 0 })
  await transport.open(
    () => {},
    () => {},
  )
  await transport.append(envelope('large', 1000))
  const until = (START + 1) as Position
  const later = (START + 5) as Position
  const limit = { entries: 10, bytes: 100 }
  expect(await transport.read(START, until, limit)).toMatchObject({ entries: [{ id: 'large' }], next: until })
  expect(await transport.read(START, later, limit)).toMatchObject({ entries: [{ id: 'large' }], next: later })
  await transport.close()
})
