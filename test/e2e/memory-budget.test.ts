import { afterEach, describe, expect, test } from 'bun:test'
import { CrowdReader, openCrowd } from '../../src/bench/client/crowd.ts'
import { Load } from '../../src/bench/client/load.ts'
import { metric, type RunningHub, residentBytes, startHub, until } from '../support/binary.ts'
import { post, publisherToken } from '../support/publisher.ts'

const topic = 'https://example.com/news'
const limit = 256 * 1024 * 1024
/** 100,000 take two minutes. */
const replayed = Number(process.env['REPLAYED_UPDATES'] ?? 20_000)
const limited = ['--hub-anonymous', '--limits-memory=256MiB']

describe('the memory budget', () => {
  let hub: RunningHub
  let crowd: readonly CrowdReader[] = []
  let load: Load | null = null
  let peak: Peak | null = null
  afterEach(async () => {
    for (const reader of crowd) reader.stop()
    load?.close()
    await peak?.stop()
    await hub.dispose()
  })

  test('SUB-65 REC-05 5,000 subscribers of whom 500 stall, at full speed: under the limit, and nobody misses anything', async () => {
    // Ten minutes: the stalled are to be the hub's affair and not the kernel's.
    hub = await startHub({ flags: [...limited, '--hub-heartbeat=10m'] })
    peak = new Peak(hub.pid)
    const order: number[] = []
    crowd = await openCrowd(5000, (index) => new CrowdReader(urlOf(hub), null, index === 0 ? order : null))
    for (const reader of crowd.slice(4500)) reader.pause()
    load = await Load.open(hub.url, await publisherToken(), 50)
    // Rejects when a publication is not accepted.
    const published = await publishFor(load, 15_000, 1024)
    await until('the readers', () => crowd.slice(0, 4500).every(({ count }) => count >= published), 120_000)
    for (const reader of crowd) reader.resume()
    await until('those that stalled', () => crowd.every(({ count }) => count >= published), 120_000)
    expect(order.toSorted((a, b) => a - b)).toEqual(Array.from({ length: published }, (_, number) => number))
    expectSame(crowd, published)
    expect(await peak.bytes()).toBeLessThan(limit * 1.1)
    await until('no shedding', async () => (await metric(hub, 'cinnabar_shedding_step')) === 0)
  }, 300_000)

  test(`1,000 subscribers that replay ${replayed} updates each at once stay under the limit, and get all of them`, async () => {
    hub = await startHub({ flags: limited })
    load = await Load.open(hub.url, await publisherToken(), 50)
    await load.publish(replayed, (number) => form(number, 200))
    peak = new Peak(hub.pid)
    crowd = await openCrowd(1000, () => new CrowdReader(urlOf(hub), 'earliest'))
    // Some take nothing for a while: what was read for them waits meanwhile.
    for (const reader of crowd.slice(900)) reader.pause()
    await until('the others', () => crowd.slice(0, 900).every(({ count }) => count >= replayed), 300_000)
    for (const reader of crowd) reader.resume()
    await until('all of them', () => crowd.every(({ count }) => count >= replayed), 300_000)
    expectSame(crowd, replayed)
    expect(await peak.bytes()).toBeLessThan(limit * 1.1)
    await until('no shedding', async () => (await metric(hub, 'cinnabar_shedding_step')) === 0)
  }, 700_000)

  test('above the limit new connections get 503 with Retry-After, and publications 200', async () => {
    hub = await startHub({ flags: ['--hub-anonymous', '--limits-memory=32MiB'] })
    await until('the last step', async () => (await metric(hub, 'cinnabar_shedding_step')) === 4)
    const refused = await fetch(urlOf(hub))
    expect(refused.status).toBe(503)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    for (let number = 0; number < 20; number++) {
      expect((await post(hub.url, { topic, data: 'x'.repeat(1024) })).status).toBe(200)
    }
    const episodes = hub
      .log()
      .split('\n')
      .filter((line) => line.includes('above its budget'))
    expect(episodes.length).toBe(1)
  }, 60_000)
})

/** The most resident memory that a process had, looked at every tenth of a second. */
class Peak {
  readonly #pid: number
  readonly #timer: ReturnType<typeof setInterval>
  #looks: Promise<number>[] = []

  constructor(pid: number) {
    this.#pid = pid
    this.#timer = setInterval(() => this.#looks.push(residentBytes(this.#pid)), 100)
  }

  async bytes(): Promise<number> {
    this.#looks.push(residentBytes(this.#pid))
    return Math.max(...(await Promise.all(this.#looks)))
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#looks)
  }
}

function urlOf(hub: RunningHub): string {
  return `${hub.url}?match=${topic}`
}

function form(number: number, dataBytes: number): string {
  return `topic=${encodeURIComponent(topic)}&id=n${number}&data=${'x'.repeat(dataBytes)}`
}

/** Publishes as fast as the hub answers. Resolves with how many were accepted: all. */
async function publishFor(load: Load, ms: number, dataBytes: number): Promise<number> {
  const end = performance.now() + ms
  let published = 0
  while (performance.now() < end) {
    await load.publish(200, (number) => form(number, dataBytes))
    published += 200
  }
  return published
}

/** Each got every update once, and all in the same order, over however many connections. */
function expectSame(crowd: readonly CrowdReader[], count: number): void {
  expect(new Set(crowd.map((reader) => reader.count))).toEqual(new Set([count]))
  expect(new Set(crowd.map(({ digest }) => digest)).size).toBe(1)
}
