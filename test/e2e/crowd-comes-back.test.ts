import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { metric, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { StreamClient } from '../support/stream-client.ts'

/** A restart of a hub with a crowd of readers, who come back as an event source does. */

const SIZE = 10_000
const DRAIN_MS = 10_000
/** The time for a hub to end beside its drain, on a machine that also runs the crowd. */
const BESIDE_MS = 5000

const filesMax = Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])

test.skipIf(!(filesMax > SIZE + 500))(
  'SUB-91 10,000 streams end within the drain, spread over it, and come back spread out without missing an update (skipped where this process may not open as many files)',
  async () => {
    const hub = await startHub({ flags: ['--hub-anonymous', '--shutdown-drain', `${DRAIN_MS}ms`] })
    const readers: ReturningReader[] = []
    try {
      while (readers.length < SIZE) {
        const some = Array.from({ length: 100 }, () => new ReturningReader(`${hub.url}?match=a`))
        await Promise.all(some.map((reader) => reader.open()))
        readers.push(...some)
      }
      const sent = [await publish(hub.url, { topic: 'a' })]
      await until('the first update', () => readers.every(({ ids }) => ids.length === 1), 60_000)

      const start = performance.now()
      expect(await hub.stop('SIGTERM')).toBe(0)
      expect(performance.now() - start).toBeLessThan(DRAIN_MS + BESIDE_MS)
      const ends = readers.map(({ endedAt }) => endedAt)
      expect(Math.max(...ends)).toBeLessThan(start + DRAIN_MS + BESIDE_MS)
      expectSpread(ends, DRAIN_MS)
      const retries = readers.map(({ retryMs }) => retryMs)
      expect(Math.min(...retries)).toBeGreaterThanOrEqual(500)
      expect(Math.max(...retries)).toBeLessThanOrEqual(3000)
      expectSpread(retries, 2500)

      // A list that is named twice has both: the new hub listens where the readers know the old one.
      const again = await startHub({
        directory: hub.directory,
        flags: ['--hub-anonymous', '--listen', new URL(hub.origin).host],
      })
      try {
        sent.push(await publish(again.url, { topic: 'a' }))
        await until('the second update', () => readers.every(({ ids }) => ids.length === 2), 60_000)
        expect(readers.every(({ ids }) => ids[0] === sent[0] && ids[1] === sent[1])).toBe(true)
        expect(await metric(again, 'mercure_subscribers_connected')).toBe(SIZE)
        const returns = readers.map(({ openedAt }) => openedAt)
        expectSpread(returns, 2500)
      } finally {
        for (const reader of readers) reader.stop()
        await again.stop('SIGKILL')
      }
    } finally {
      for (const reader of readers) reader.stop()
      await hub.dispose()
    }
  },
  180_000,
)

/** Of what is spread evenly over this time, a tenth of the time has a tenth: no tenth may have four times as much. */
function expectSpread(times: readonly number[], overMs: number): void {
  const tenths = new Map<number, number>()
  for (const time of times) {
    const tenth = Math.floor((time * 10) / overMs)
    tenths.set(tenth, (tenths.get(tenth) ?? 0) + 1)
  }
  expect(Math.max(...tenths.values())).toBeLessThan((4 * times.length) / 10)
  expect(tenths.size).toBeGreaterThanOrEqual(8)
}

/** Comes back to its URL after the time that the hub has asked for last, with the last id that it has. */
class ReturningReader {
  readonly #url: string
  #client: StreamClient | null = null
  #isStopped = false
  #idsBefore: readonly string[] = []
  retryMs = 0
  openedAt = 0
  endedAt = 0

  constructor(url: string) {
    this.#url = url
  }

  /** Resolves when it is answered, and comes back by itself from then on. */
  async open(): Promise<void> {
    this.#idsBefore = this.ids
    const last = this.#idsBefore.at(-1)
    this.#client = null
    const client = await StreamClient.open(this.#url, last === undefined ? {} : { 'Last-Event-ID': last })
    this.openedAt = performance.now()
    this.#client = client
    void client.closed.then(() => this.#end(client))
  }

  /** Of all updates so far, over all connections. */
  get ids(): readonly string[] {
    return [...this.#idsBefore, ...(this.#client?.ids ?? [])]
  }

  stop(): void {
    this.#isStopped = true
    this.#client?.close()
  }

  #end({ lines }: StreamClient): void {
    this.endedAt = performance.now()
    const retry = lines.findLast((line) => line.startsWith('retry: '))
    if (retry !== undefined) this.retryMs = Number(retry.slice('retry: '.length))
    this.#comeBack()
  }

  #comeBack(): void {
    setTimeout(() => {
      if (!this.#isStopped) this.open().catch(() => this.#comeBack())
    }, this.retryMs)
  }
}
