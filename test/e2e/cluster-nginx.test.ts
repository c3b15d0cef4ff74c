import { expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { Follower } from '../support/follower.ts'
import { gatewayProgram, startClusterNginx } from '../support/gateway.ts'
import { freePort } from '../support/ports.ts'
import { post } from '../support/publisher.ts'
import { RedisServer } from '../support/redis-server.ts'

/**
 * Three hubs behind nginx with the configuration of `deploy/cluster`: one is killed, one is told to stop, one comes up.
 * The big size, 5,000 streams, is for those who name it; it needs 15,000 descriptors.
 */
const streams = Number(process.env['CINNABAR_TEST_STREAMS'] ?? 150)
const perSecond = 200
const publishers = 20

test.skipIf(gatewayProgram('nginx') === null)(
  `${streams} readers behind nginx have no gap while hubs die, stop and come`,
  async () => {
    await using stack = new AsyncDisposableStack()
    const server = stack.use(await RedisServer.start())
    const flags = [
      '--transport',
      'redis',
      '--redis-url',
      server.url,
      '--hub-anonymous',
      '--shutdown-drain',
      '2s',
    ]
    const start = async (): Promise<RunningHub> => stack.use(await startHub({ flags }))
    const hubs = await Promise.all([start(), start(), start()])
    const spare = freePort()
    const folder = await mkdtemp(join(tmpdir(), 'cinnabar-nginx-'))
    stack.defer(() => rm(folder, { recursive: true, force: true }))
    const port = freePort()
    const places = [...hubs.map(({ origin }) => new URL(origin).host), `127.0.0.1:${spare}`]
    const nginx = await startClusterNginx({ port, hubs: places, folder })
    stack.defer(() => nginx.dispose())
    const url = `${nginx.origin}/.well-known/mercure`

    const accepted = Array.from({ length: streams }, (): string[] => [])
    const topic = (at: number) => `topic-${at}`
    // Everybody has a cursor from the beginning.
    for (let at = 0; at < streams; at++) {
      await publish(url, topic(at), `first-${at}`)
      accepted[at]?.push(`first-${at}`)
    }
    const followers: Follower[] = []
    for (let at = 0; at < streams; at++) followers.push(new Follower(`${url}?match=${topic(at)}`))
    stack.defer(async () => await Promise.all(followers.map((one) => one.stop())).then(() => {}))
    await until('all streams', () => followers.every(({ isOpen }) => isOpen), 60_000)

    let isOver = false
    let number = 0
    const refused: number[] = []
    const load = Array.from({ length: publishers }, async () => {
      while (!isOver) {
        const at = number % streams
        const id = `e${++number}`
        const status = (await post(url, { topic: topic(at), data: id, id }).catch(() => null))?.status ?? 0
        if (status === 200) accepted[at]?.push(id)
        else refused.push(status)
        // A pace, not a wait.
        await Bun.sleep((1000 * publishers) / perSecond)
      }
    })
    const goesOn = async () => {
      const before = number
      await until('updates', () => number > before + 2 * perSecond, 60_000)
    }
    await goesOn()
    const [killed, stopped] = hubs
    await killed?.stop('SIGKILL')
    await goesOn()
    expect(await stopped?.stop('SIGTERM')).toBe(0)
    await goesOn()
    stack.use(await startHub({ flags: [...flags, '--listen', `127.0.0.1:${spare}`] }))
    await goesOn()
    isOver = true
    await Promise.all(load)
    for (let at = 0; at < streams; at++) {
      await publish(url, topic(at), `last-${at}`)
      accepted[at]?.push(`last-${at}`)
    }
    await until(
      'the last update of each reader',
      () => followers.every(({ last }, at) => last === `last-${at}`),
      60_000,
    )
    for (const [at, { received, losses }] of followers.entries()) {
      expect(losses).toBe(0)
      expect(new Set(received).size).toBe(received.length)
      // Publications without an answer may be there as well.
      const known = new Set(accepted[at])
      expect(received.filter((id) => known.has(id)).toSorted()).toEqual([...known].toSorted())
    }
    expect(followers.some(({ connections }) => connections > 1)).toBe(true)
    expect(refused.length).toBeLessThan(number / 10)
  },
  300_000,
)

/** Publishes until it is accepted: nginx may not have noticed yet that a hub is gone. */
async function publish(url: string, topic: string, id: string): Promise<void> {
  await until(
    'an update to be accepted',
    async () => (await post(url, { topic, data: id, id }).catch(() => null))?.status === 200,
  )
}
