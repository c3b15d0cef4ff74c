import { expect, test } from 'bun:test'
import { drain } from '../../src/serve/drain.ts'
import { MemoryTransport } from '../../src/transport/memory/transport.ts'
import { HubFixture } from '../support/hub.ts'

/** A log that stores when it is told to, as a writer on a thread of its own does. */
class HeldTransport extends MemoryTransport {
  readonly #held = Promise.withResolvers<void>()

  constructor() {
    super({ retention: { maxCount: null, maxAgeMs: null, maxBytes: null }, clock: () => 0 })
  }

  release(): void {
    this.#held.resolve()
  }

  override async append(...envelope: Parameters<MemoryTransport['append']>): Promise<void> {
    await this.#held.promise
    await super.append(...envelope)
  }
}

/** A hub that is told to stop while a publication is on its way into the log. */
async function stopping() {
  const transport = new HeldTransport()
  const fixture = new HubFixture(transport)
  await fixture.hub.open()
  const { sink } = await fixture.subscribe([['exact', 'a']])
  const published = fixture.publish({ topics: ['a'], data: 'x' })
  fixture.hub.stop()
  return { transport, fixture, sink, published }
}

test('SUB-91 a stream gets what is on its way into the log before it ends', async () => {
  const { transport, fixture, sink, published } = await stopping()
  const drained = drain(fixture.hub, 60_000)
  await fixture.settle()
  expect(sink.closedWith).toBeNull()
  transport.release()
  const id = await published
  await fixture.settle()
  await drained
  expect(sink.ids).toEqual([id])
  expect(sink.closedWith).toEqual({ kind: 'shutdown' })
})

test.each([0, 30])(
  'SUB-91 a log that does not answer holds the end up for %p ms, no longer',
  async (drainMs) => {
    const { transport, fixture, sink, published } = await stopping()
    await drain(fixture.hub, drainMs)
    expect(sink.closedWith).toEqual({ kind: 'shutdown' })
    transport.release()
    await published
  },
)

test('whoever waits for room when the hub stops is told so', async () => {
  const transport = new HeldTransport()
  transport.release()
  const fixture = new HubFixture(transport, { pendingBytes: 0 })
  await fixture.hub.open()
  await fixture.publish({ topics: ['a'], data: 'x' })
  const waiting = fixture.publish({ topics: ['a'], data: 'y' }).catch((error) => error)
  fixture.hub.stop()
  await fixture.settle()
  expect(await waiting).toMatchObject({ code: 'shutting-down' })
})
