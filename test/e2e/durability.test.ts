import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Load, openPublisher } from '../../src/bench/client/load.ts'
import { binaryPath, type RunningHub, startHub, until } from '../support/binary.ts'
import { catchUp } from '../support/catch-up.ts'
import type { ReceivedEvent } from '../support/event-stream.ts'
import { publish, publisherToken } from '../support/publisher.ts'
import { bareEnv } from '../support/run-command.ts'
import { StreamClient } from '../support/stream-client.ts'

const topic = 'https://example.com/accounts/1'
const rounds = 30
const publishers = 20

const started: RunningHub[] = []
afterAll(async () => {
  for (const hub of started) await hub.dispose()
})

/** A hub on the history of this folder. It ends with the tests, however they end. */
async function start(directory: string, maxCount = '1000000'): Promise<RunningHub> {
  const hub = await startHub({ directory, flags: ['--hub-anonymous', '--history-max-count', maxCount] })
  started.push(hub)
  return hub
}

describe('nothing that was acknowledged is lost', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cinnabar-durability-'))
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  test('PUB-53 REC-05 REC-18 a hub that is killed again and again replays every acknowledged update', async () => {
    const seed = Math.floor(Math.random() * 2 ** 32)
    console.log(`kills at random moments: seed ${seed}`)
    const random = generator(seed)
    const acknowledged = new Map<string, string>()
    // One reader that comes back after each kill with the last id it has seen.
    const received: ReceivedEvent[] = []
    let hub = await start(directory)
    for (let round = 0; round < rounds; round++) {
      const lifetimeMs = 50 + 350 * random()
      const staysMs = lifetimeMs * random()
      const reader = await comeBack(hub, received)
      const running = await startPublishers(hub, round, acknowledged)
      // It leaves at some moment, so that there is something to replay: after the kill, or under load.
      await passed(staysMs)
      const again = await reconnect(hub, reader, received, round % 2 === 1)
      await passed(lifetimeMs - staysMs)
      await hub.stop('SIGKILL')
      await Promise.all(running)
      await again?.closed
      received.push(...(again?.events ?? []))
      hub = await start(directory)
    }
    received.push(...(await comeBack(hub, received)).events)
    const whole = await catchUp(hub, 'earliest')
    await hub.stop('SIGKILL')
    for (const events of [received, whole.events]) expectEvery(acknowledged, events)
    expect(acknowledged.size).toBeGreaterThan(rounds * publishers)
    console.log(`${acknowledged.size} acknowledged, ${whole.events.length} stored`)
  }, 120_000)

  test('PUB-53 a hub that is told to stop under load loses nothing and ends with 0', async () => {
    const acknowledged = new Map<string, string>()
    const own = join(directory, 'terminated')
    await Bun.write(join(own, '.keep'), '')
    const hub = await start(own)
    const running = await startPublishers(hub, 0, acknowledged)
    await until('publications', () => acknowledged.size > 500)
    expect(await hub.stop('SIGTERM')).toBe(0)
    await Promise.all(running)
    const again = await start(own)
    const { events } = await catchUp(again, 'earliest')
    await again.stop('SIGKILL')
    expectEvery(acknowledged, events)
  })
})

describe('a history that cannot be trusted', () => {
  let directory: string
  let whole: Uint8Array
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cinnabar-damage-'))
    const hub = await start(directory)
    const load = await Load.open(hub.url, await publisherToken(), 20)
    await load.publish(3000, (number) => `topic=a&data=${'.'.repeat(1024)}${number}`)
    load.close()
    expect(await hub.stop('SIGTERM')).toBe(0)
    whole = await Bun.file(join(directory, 'cinnabar.db')).bytes()
  })
  afterAll(() => rm(directory, { recursive: true, force: true }))

  const pageBytes = 8192
  const damaged = 'the history file cinnabar.db is damaged'
  const foreign = 'cinnabar.db is not a history file of this hub'
  const refused: readonly (readonly [
    what: string,
    message: string,
    spoil: (file: Uint8Array) => Uint8Array,
  ])[] = [
    ['lost its second half', damaged, (file) => file.subarray(0, file.length / 2)],
    ['lost its last page', damaged, (file) => file.subarray(0, file.length - pageBytes)],
    ['has nonsense for its tables', damaged, (file) => nonsense(file, 100, pageBytes)],
    ['has nonsense for its second half', damaged, (file) => nonsense(file, file.length / 2, file.length)],
    ['is text', foreign, () => Buffer.from('[listen]\naddress = "127.0.0.1"\n'.repeat(100))],
    ['is zeros', foreign, () => new Uint8Array(100 * pageBytes)],
    ['is from a newer version', 'written by a newer version', (file) => withVersion(file, 99)],
  ]
  for (const [what, message, spoil] of refused) {
    test(`a file that ${what} is refused with 1 and a message, and is left as it is`, async () => {
      const own = join(directory, what)
      const spoiled = Buffer.from(spoil(whole))
      await Bun.write(join(own, 'cinnabar.db'), spoiled)
      const { code, errors } = await serve(own)
      expect(errors).toContain(message)
      expect(code).toBe(1)
      expect(Buffer.compare(await Bun.file(join(own, 'cinnabar.db')).bytes(), spoiled)).toBe(0)
    })
  }

  test('a file that another running hub has is refused with 1, and the other goes on', async () => {
    const own = join(directory, 'shared')
    await Bun.write(join(own, 'cinnabar.db'), whole)
    const hub = await start(own)
    const { code, errors } = await serve(own)
    expect(errors).toContain('another hub is running on the history file cinnabar.db')
    expect(code).toBe(1)
    await publish(hub.url, { topic: 'a', data: 'still here' })
    expect(await hub.stop('SIGTERM')).toBe(0)
  })

  test('damage that only shows later makes the hub say that it is not ready, once it could not store', async () => {
    const own = join(directory, 'later')
    await Bun.write(join(own, 'cinnabar.db'), nonsense(whole, whole.length / 2, (whole.length / 4) * 3))
    const hub = await start(own, '3000')
    const isReady = async () => (await fetch(`${hub.adminUrl}/readyz`)).status === 200
    expect(await isReady()).toBe(true)
    const load = await Load.open(hub.url, await publisherToken(), 1)
    // Sooner or later an update needs one of the damaged pages.
    await expect(load.publish(3000, (number) => `topic=a&data=${number}`)).rejects.toThrow('answers 500')
    load.close()
    expect(await isReady()).toBe(false)
    await hub.stop('SIGTERM')
  })
})

/** The hub's exit code and error output, on a folder where it cannot start. */
async function serve(directory: string): Promise<{ code: number; errors: string }> {
  const listen = ['--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0']
  const child = Bun.spawn([binaryPath(), 'serve', ...listen, '--hub-anonymous'], {
    cwd: directory,
    env: bareEnv,
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: 10_000,
  })
  return { errors: await new Response(child.stderr).text(), code: await child.exited }
}

function nonsense(file: Uint8Array, from: number, to: number): Uint8Array {
  return file.map((byte, index) => (index >= from && index < to ? (index * 7919) & 255 : byte))
}

/** `user_version` is 4 bytes at 60 of an SQLite file. */
function withVersion(file: Uint8Array, version: number): Uint8Array {
  const changed = Buffer.from(file)
  changed.writeUInt32BE(version, 60)
  return changed
}

/** Publishers that post as fast as they are answered, until their hub is gone or refuses. */
async function startPublishers(
  hub: RunningHub,
  round: number,
  acknowledged: Map<string, string>,
): Promise<Promise<void>[]> {
  const token = await publisherToken()
  const all = await Promise.all(Array.from({ length: publishers }, () => openPublisher(hub.url, token)))
  return all.map(async (publisher, index) => {
    for (let number = 0; ; number++) {
      const data = `${round}/${index}/${number}`
      const answer = await publisher.post(`topic=${encodeURIComponent(topic)}&data=${data}`).catch(() => null)
      if (answer?.status !== 200) return publisher.close()
      acknowledged.set(answer.body, data)
    }
  })
}

/** A reader that goes on where `received` ends, when it has caught up. */
async function comeBack(hub: RunningHub, received: readonly ReceivedEvent[]): Promise<StreamClient> {
  const lastEventId = received.at(-1)?.id ?? 'earliest'
  const reader = await catchUp(hub, lastEventId)
  expect(reader.headers.get('mercure-last-event-id')).toBe(lastEventId)
  return reader
}

/** The reader leaves with what it has received, and may come back at once, into the middle of the load. */
async function reconnect(
  hub: RunningHub,
  reader: StreamClient,
  received: ReceivedEvent[],
  isBack: boolean,
): Promise<StreamClient | null> {
  reader.close()
  await reader.closed
  received.push(...reader.events)
  if (!isBack) return null
  return await StreamClient.open(`${hub.url}?match=*`, { 'Last-Event-ID': received.at(-1)?.id ?? 'earliest' })
}

/** Every acknowledged update is there, each update at most once, and in the order of its publisher. */
function expectEvery(acknowledged: ReadonlyMap<string, string>, events: readonly ReceivedEvent[]): void {
  const byId = new Map(events.map(({ id, data }) => [id, data]))
  expect(byId.size).toBe(events.length)
  const lost = [...acknowledged].filter(([id, data]) => byId.get(id) !== data)
  expect(lost).toEqual([])
  const latest = new Map<string, number>()
  const disordered = events.filter(({ data }) => {
    const [round, publisher, number] = data.split('/')
    const name = `${round}/${publisher}`
    const isLater = Number(number) > (latest.get(name) ?? -1)
    latest.set(name, Number(number))
    return !isLater
  })
  expect(disordered).toEqual([])
}

/** The kill is meant to come at any moment of the hub's life, so here time itself is the condition. */
function passed(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Numbers in [0, 1) that a seed repeats (mulberry32). */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
