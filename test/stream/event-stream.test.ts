import { describe, expect, test } from 'bun:test'
import type { CloseReason } from '../../src/hub/subscriber.ts'
import { encode } from '../../src/protocol/event-stream.ts'
import { processLoop } from '../../src/serve/loop.ts'
import { EventStream, type EventStreamOptions, type StreamOwner } from '../../src/stream/event-stream.ts'
import { OpenStreams } from '../../src/stream/open-streams.ts'
import { until } from '../support/binary.ts'
import { readEvents } from '../support/event-stream.ts'
import { update } from '../support/hub.ts'
import { StreamClient } from '../support/stream-client.ts'

/** What Bun gives to a direct stream, for a connection that takes everything. */
const controller = {
  write: ({ length }: Uint8Array): number | Promise<unknown> => length,
  flush: () => {},
  end: () => {},
  close: () => {},
}

/** One event as the hub would write it. */
const frame = (data: string, id = 'x') => encode(update({ topics: ['a'], data }), id)

/** A server whose every answer is one stream, and what happened to the streams. */
class Fixture {
  now = 0
  /** How many streams were said to have ended. */
  closed = 0
  /** Milliseconds that a look at the clock takes. */
  lookMs = 0
  /** How often something was put off to a later turn. */
  putOff = 0
  readonly streams: OpenStreams
  readonly opened: EventStream[] = []
  readonly ended: CloseReason[] = []
  readonly #options: Partial<EventStreamOptions>
  readonly #server: Bun.Server<undefined>

  constructor(options: Partial<EventStreamOptions> = {}, heartbeatMs = 0) {
    this.#options = options
    this.streams = new OpenStreams({
      loop: {
        ...processLoop,
        now: () => {
          this.now += this.lookMs
          return this.now
        },
        later: (run) => {
          this.putOff++
          processLoop.later(run)
        },
      },
      wall: () => this.now,
      heartbeatMs,
    })
    this.#server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      // Otherwise Bun prints the error that a stream is cut with.
      development: false,
      fetch: () => this.make().toResponse(),
    })
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}/`
  }

  make(): EventStream {
    const headers = new Headers({ 'Content-Type': 'text/event-stream' })
    const common = { bufferBytesMax: 100_000, retryMs: 0, random: () => 0.3, streams: this.streams }
    // Each owner has one stream, as at the hub: what the fixture is told of all of them is in sum.
    let own: EventStream | null = null
    const owner: StreamOwner = {
      onOpen: (stream) => {
        own = stream
        this.opened.push(stream)
      },
      end: (reason) => {
        if (own === null) return
        this.ended.push(reason)
        own.close(reason)
      },
      onClosed: () => this.closed++,
    }
    return new EventStream(headers, owner, { ...common, ...this.#options })
  }

  /** A reader and the stream that it reads. */
  async open() {
    const client = await StreamClient.open(this.url)
    const stream = this.opened.at(-1)
    if (stream === undefined) throw new Error('no stream was opened')
    return { client, stream }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(true)
  }
}

describe('a stream', () => {
  test('SUB-50 SUB-51 it is text/event-stream, and its first bytes leave at once', async () => {
    await using fixture = new Fixture()
    const { client } = await fixture.open()
    expect([client.status, client.headers.get('content-type')]).toEqual([200, 'text/event-stream'])
    await until('the comment', () => client.lines.length > 0)
    expect(client.lines[0]).toBe(':')
    client.close()
  })

  test('SUB-74 SUB-78 several lines stay several lines, and no text makes a field of its own', async () => {
    await using fixture = new Fixture()
    const { client, stream } = await fixture.open()
    const data = 'x\nid: forged\n\nevent: forged\rretry: 1'
    stream.write(frame(data, 'one'))
    await until('the event', () => client.events.length === 1)
    expect(client.events).toEqual([
      { id: 'one', type: 'message', data: data.replace('\r', '\n'), retry: null },
    ])
    client.close()
  })

  test('nobody is registered before the answer is sent, nor for an answer that never is', async () => {
    await using fixture = new Fixture()
    fixture.make().toResponse()
    expect([fixture.opened.length, fixture.streams.size]).toEqual([0, 0])
    const { client } = await fixture.open()
    expect([fixture.opened.length, fixture.streams.size]).toEqual([1, 1])
    client.close()
  })
})

describe('the end of a stream', () => {
  test('SUB-92 a connection that turns out to be gone at the first write registers nobody', async () => {
    await using fixture = new Fixture()
    const stream = fixture.make()
    const write = () => {
      stream.cancel()
      return 0
    }
    stream.pull({ ...controller, write })
    expect([fixture.opened.length, fixture.closed, fixture.streams.size]).toEqual([0, 1, 0])
  })

  test('SUB-92 one that turns out to be gone while the backlog is sent gives up all that waits, once', async () => {
    await using fixture = new Fixture({ bufferBytesMax: 1_000_000 })
    const stream = fixture.make()
    const taken = Promise.withResolvers<void>()
    const writes: number[] = []
    const write = ({ length }: Uint8Array) => {
      writes.push(length)
      if (writes.length === 2) return taken.promise
      if (writes.length === 3) stream.cancel()
      return length
    }
    stream.pull({ ...controller, write })
    for (let n = 0; n < 5; n++) stream.write(frame('x'.repeat(60_000)))
    expect(fixture.streams.waitingBytes).toBeGreaterThan(60_000)
    taken.resolve()
    await until('its end', () => fixture.closed === 1)
    expect([writes.length, fixture.streams.waitingBytes]).toEqual([3, 0])
  })

  test('SUB-92 a reader that goes away is told once, and later writes do nothing', async () => {
    await using fixture = new Fixture()
    const { client, stream } = await fixture.open()
    client.close()
    await until('its end', () => fixture.ended.length > 0)
    stream.write(frame('late'))
    stream.close({ kind: 'lifetime' })
    expect(fixture.ended).toEqual([{ kind: 'client' }])
    expect([fixture.closed, fixture.streams.size, fixture.streams.waitingBytes]).toEqual([1, 0, 0])
  })

  test('a stream that the hub ends is complete for its reader', async () => {
    await using fixture = new Fixture()
    const { stream } = await fixture.open()
    const whole = fetch(fixture.url).then((response) => response.text())
    await until('the second stream', () => fixture.opened.length === 2)
    for (const one of fixture.opened) {
      one.write(frame('last'))
      one.close({ kind: 'lifetime' })
    }
    expect(readEvents(await whole).map(({ data }) => data)).toEqual(['last'])
    expect(stream.isReady).toBe(true)
  })

  test.each(['shutdown', 'lost'] as const)(
    'SUB-91 when everybody is ended (%s) the reader is told when to come back',
    async (kind) => {
      await using fixture = new Fixture()
      const { client, stream } = await fixture.open()
      stream.close({ kind })
      await until('the field', () => client.lines.includes('retry: 1250'))
      client.close()
    },
  )

  test('a reader that is gone before anybody was registered ends nothing', async () => {
    await using fixture = new Fixture()
    fixture.make().cancel()
    expect([fixture.ended, fixture.streams.size]).toEqual([[], 0])
  })

  test('the others stay open whichever ends first', async () => {
    await using fixture = new Fixture()
    const readers = [await fixture.open(), await fixture.open(), await fixture.open()]
    for (const [left, { stream }] of readers.entries()) {
      stream.close({ kind: 'lifetime' })
      stream.close({ kind: 'lifetime' })
      expect([fixture.streams.size, fixture.closed]).toEqual([2 - left, left + 1])
      for (const { stream: other } of readers.slice(left + 1)) other.write(frame(`${left}`))
    }
    await until('what they were sent', () => readers.every(({ client }, at) => client.events.length === at))
    for (const { client } of readers) client.close()
  })
})

describe('a slow reader', () => {
  const large = frame('x'.repeat(9_990))

  /** Writes until the socket takes nothing more. */
  async function block(stream: EventStream): Promise<void> {
    await until('a full socket', () => {
      for (let n = 0; n < 100 && stream.isReady; n++) stream.write(large)
      return !stream.isReady
    })
  }

  test('SUB-65 what it has not taken is counted, waited for and then sent in order', async () => {
    await using fixture = new Fixture({ bufferBytesMax: 10_000_000 })
    const { client, stream } = await fixture.open()
    client.pause()
    await block(stream)
    for (const n of [1, 2, 3]) stream.write(frame('waited', String(n)))
    expect(stream.waitingBytes).toBeGreaterThan(0)
    expect(fixture.streams.waitingBytes).toBe(stream.waitingBytes)
    let isReady = false
    const ready = stream.ready().then(() => {
      isReady = true
    })
    await Promise.resolve()
    expect(isReady).toBe(false)
    client.resume()
    await ready
    await until('what waited', () => client.ids.includes('3'))
    expect(client.events.filter(({ data }) => data === 'waited').map(({ id }) => id)).toEqual(['1', '2', '3'])
    expect([stream.waitingBytes, fixture.streams.waitingBytes]).toEqual([0, 0])
    client.close()
  })

  test('SUB-65 over the limit it is cut, and its memory is free', async () => {
    await using fixture = new Fixture()
    const { client, stream } = await fixture.open()
    client.pause()
    await block(stream)
    for (let n = 0; n < 20; n++) stream.write(large)
    expect(fixture.ended).toMatchObject([{ kind: 'slow' }])
    expect([stream.waitingBytes, fixture.streams.waitingBytes, fixture.streams.size]).toEqual([0, 0, 0])
    await stream.ready()
    client.resume()
    await client.closed
  })
})

describe('the heartbeat', () => {
  test('SUB-85 only a stream that was silent for the whole time gets a comment', async () => {
    await using fixture = new Fixture({}, 20_000)
    const quiet = await fixture.open()
    const busy = await fixture.open()
    const comments = ({ client }: typeof quiet) => client.lines.filter((line) => line === ':').length
    await until('the first bytes', () => [quiet, busy].every((reader) => comments(reader) === 1))
    fixture.now = 10_000
    fixture.streams.beat()
    busy.stream.write(frame('x'))
    fixture.now = 20_000
    fixture.streams.beat()
    await until('the comment', () => comments(quiet) === 2)
    await until('the event', () => busy.client.events.length === 1)
    fixture.now = 30_000
    fixture.streams.beat()
    await until('its comment', () => comments(busy) === 2)
    expect(comments(quiet)).toBe(2)
    for (const { client } of [quiet, busy]) client.close()
  })

  test('SUB-85 comments to many are written in slices, and each gets one, whoever leaves meanwhile', async () => {
    await using fixture = new Fixture({}, 20_000)
    const readers = await Promise.all(Array.from({ length: 300 }, () => StreamClient.open(fixture.url)))
    const comments = (reader: StreamClient) => reader.lines.filter((line) => line === ':').length
    await until('the first bytes', () => readers.every((reader) => comments(reader) === 1))
    fixture.now = 20_000
    fixture.lookMs = 5
    fixture.streams.beat()
    expect(fixture.putOff).toBe(1)
    fixture.opened[0]?.close({ kind: 'lifetime' })
    fixture.opened[299]?.close({ kind: 'lifetime' })
    await until('the comments', () => readers.filter((reader) => comments(reader) === 2).length >= 298)
    expect(fixture.putOff).toBeGreaterThan(1)
    expect(Math.max(...readers.map(comments))).toBe(2)
    for (const reader of readers) reader.close()
  })

  test('SUB-85 zero is never', async () => {
    await using fixture = new Fixture()
    const { client, stream } = await fixture.open()
    fixture.now = 10_000_000
    fixture.streams.beat()
    stream.write(frame('x'))
    await until('the event', () => client.events.length === 1)
    expect(client.lines.filter((line) => line.startsWith(':')).length).toBe(1)
    client.close()
  })
})
