import { describe, expect, test } from 'bun:test'
import { type Position, START } from '../../../src/hub/transport.ts'
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

function memory(options: LogOptions): Log {
  const transport = new MemoryTransport(options)
  return {
    transport,
    prune: async () => transport.prune(),
    again: memory,
    dispose: async () => {},
  }
}

transportContract('memory', {
  create: memory,
  durable: false,
  sizeOf: memoryBytes,
  placeSizeOf: memoryPlaceBytes,
})

transportContract('local', {
  create: ({ retention, clock }) => memory({ retention: { ...retention, maxCount: 0 }, clock }),
  durable: false,
  sizeOf: memoryBytes,
  placeSizeOf: memoryPlaceBytes,
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
