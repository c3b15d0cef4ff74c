import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { StreamClient } from '../support/stream-client.ts'

const news = 'https://example.com/news'
const bulk = 'https://example.com/bulk'
const readers = 2000
const publications = 100

describe('fan-out to thousands', () => {
  let hub: RunningHub
  let crowd: StreamClient[]
  beforeAll(async () => {
    hub = await startHub({ flags: ['--hub-anonymous', '--limits-subscriber-buffer=256KiB'] })
    crowd = await openAll(`${hub.url}?match=${news}`, readers)
  }, 60_000)
  afterAll(async () => {
    for (const reader of crowd) reader.close()
    await hub.dispose()
  })

  test('SUB-60 SUB-63 each of 2,000 subscribers gets 100 updates in order, and none twice', async () => {
    expect(await metric(hub, 'mercure_subscribers_connected')).toBe(readers)
    const ids: string[] = []
    // One at a time and then all at once: dispatched alone, and together.
    for (let n = 0; n < publications / 2; n++) ids.push(await publish(hub.url, { topic: news, data: `${n}` }))
    const rest = Array.from({ length: publications / 2 }, (_, n) =>
      publish(hub.url, { topic: news, data: `${n}` }),
    )
    const atOnce = new Set(await Promise.all(rest))
    await until('all deliveries', () => crowd.every(({ events }) => events.length >= publications), 60_000)
    const [first] = crowd
    const order = first?.ids ?? []
    expect(order.slice(0, publications / 2)).toEqual(ids)
    expect(new Set(order.slice(publications / 2))).toEqual(atOnce)
    expect(crowd.filter((reader) => reader.ids.join() !== order.join())).toEqual([])
  }, 120_000)

  test('SUB-65 REC-05 a reader that stops reading is cut, the others get everything, and it comes back without a gap', async () => {
    const slow = await StreamClient.open(`${hub.url}?match=${news}&match=${bulk}`)
    const quick = await openAll(`${hub.url}?match=${news}&match=${bulk}`, 10)
    const before = crowd.map(({ events }) => events.length)
    const ids = [await publish(hub.url, { topic: bulk, data: 'before' })]
    await until('the first update', () => slow.events.length === 1)
    slow.pause()
    const data = 'x'.repeat(64 * 1024)
    // The kernel takes about 4 MB for a reader that does not read, then the hub its 256 KiB.
    while ((await metric(hub, 'cinnabar_slow_readers_total')) === 0 && ids.length < 500) {
      ids.push(await publish(hub.url, { topic: bulk, data }))
      ids.push(await publish(hub.url, { topic: news, data: 'meanwhile' }))
    }
    expect(await metric(hub, 'cinnabar_slow_readers_total')).toBe(1)
    expect(await metric(hub, 'cinnabar_subscriber_buffer_bytes')).toBe(0)
    slow.resume()
    await slow.closed
    const missed = ids.slice(ids.indexOf(slow.ids.at(-1) ?? '') + 1)
    expect(missed.length).toBeGreaterThan(0)

    const back = await StreamClient.open(`${hub.url}?match=${news}&match=${bulk}`, {
      'Last-Event-ID': slow.ids.at(-1) ?? '',
    })
    await until('the replay', () => back.events.length >= missed.length)
    const last = await publish(hub.url, { topic: bulk, data: 'after' })
    await until('the next update', () => back.ids.at(-1) === last)
    expect([...slow.ids, ...back.ids]).toEqual([...ids, last])

    await until('the others', () => quick.every((reader) => reader.ids.at(-1) === last))
    for (const reader of quick) expect(reader.ids).toEqual([...ids, last])
    const meanwhile = (ids.length - 1) / 2
    const got = () => crowd.map(({ events }, index) => events.length - (before[index] ?? 0))
    await until('the crowd', () => got().every((count) => count >= meanwhile), 60_000)
    expect(new Set(got())).toEqual(new Set([meanwhile]))
    expect(crowd.some(({ isClosed }) => isClosed)).toBe(false)
    for (const reader of [...quick, back]) reader.close()
    await until('all leave', async () => (await metric(hub, 'mercure_subscribers_connected')) === readers)
  }, 120_000)
})

/** So many readers, a hundred at a time. */
async function openAll(url: string, count: number): Promise<StreamClient[]> {
  const opened: StreamClient[] = []
  while (opened.length < count) {
    const batch = Array.from({ length: Math.min(100, count - opened.length) }, () => StreamClient.open(url))
    opened.push(...(await Promise.all(batch)))
  }
  return opened
}
