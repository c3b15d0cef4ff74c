import { afterEach, describe, expect, test } from 'bun:test'
import { type Subscription, subscriptionUpdate } from '../../../src/protocol/subscription.ts'
import { seal } from '../../../src/protocol/update.ts'
import { RedisPresence } from '../../../src/transport/redis/presence.ts'
import type { RedisOptions } from '../../../src/transport/redis/transport.ts'
import { until } from '../../support/binary.ts'
import { location } from '../../support/hub.ts'
import { openCable, RedisServer } from '../../support/redis-server.ts'
import { unlimited } from '../contract.ts'
import { redisLog } from './log.ts'

const cleanup: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

async function startServer() {
  const server = await RedisServer.start()
  cleanup.push(() => server[Symbol.asyncDispose]())
  return server
}

/** A node with a presence, and everything that its tail was told of subscriptions: `subscriber match active`. */
async function openNode(server: RedisServer, more: Partial<RedisOptions> = {}) {
  const { transport } = redisLog(server, { retention: unlimited }, 'presence', more)
  const told: string[] = []
  const presence = new RedisPresence(
    transport,
    (subscriptions, active) =>
      subscriptions.map((one) => seal(subscriptionUpdate(location, one, active), crypto.randomUUID())),
    Date.now,
  )
  await transport.open(
    ({ frame }) => {
      const data = /^data: ?(.*)$/m.exec(new TextDecoder().decode(frame))?.[1] ?? '{}'
      const { subscriber, match, active } = JSON.parse(data)
      told.push(`${subscriber} ${match} ${active}`)
    },
    () => {},
  )
  cleanup.push(() => transport.close())
  const find = async () =>
    (await Array.fromAsync(presence.find({ kind: 'all' })))
      .flat()
      .map(({ subscriber, match }) => `${subscriber} ${match}`)
      .toSorted()
  const join = (subscriber: string, ...matches: readonly string[]) =>
    presence.join(
      subscriber,
      matches.map((match) => subscription(subscriber, match)),
    )
  return { transport, presence, told, find, join }
}

function subscription(subscriber: string, match: string, payload?: unknown): Subscription {
  const one = { matchType: 'exact', match, subscriber }
  return payload === undefined ? one : { ...one, payload }
}

/** A network between a node and its server; the node gives up soon. */
async function cable(server: RedisServer) {
  const { network, options } = await openCable(server, { timeoutMs: 1000 })
  cleanup.push(() => network.dispose())
  return { network, more: { server: options } }
}

/** The lease of the node runs out at once, as if it had been away for that long. */
async function expire(server: RedisServer, node: string) {
  await server.command('ZADD', '{presence}:nodes', '1', node)
}

describe('the presence on a server', () => {
  test('ACT-02 every node finds the subscriptions of all, and is told of each once', async () => {
    const server = await startServer()
    const [one, other] = [await openNode(server), await openNode(server)]
    await one.join('s1', 'a', 'b')
    await other.join('s2', 'a')
    for (const node of [one, other]) expect(await node.find()).toEqual(['s1 a', 's1 b', 's2 a'])
    await one.presence.leave('s1')
    await one.presence.leave('s1')
    for (const { told, find } of [one, other]) {
      await until('all', () => told.length === 5)
      expect(told).toEqual(['s1 a true', 's1 b true', 's2 a true', 's1 a false', 's1 b false'])
      expect(await find()).toEqual(['s2 a'])
    }
  })

  test('ACT-11 a row never stands without a lease, at the end of which others tell its end', async () => {
    const server = await startServer()
    const one = await openNode(server)
    const { node } = one.transport
    await server.command('ZREM', '{presence}:nodes', node)
    await one.join('s1', 'a')
    expect(Number(await server.command('ZSCORE', '{presence}:nodes', node))).toBeGreaterThan(Date.now())
  })

  test('ACT-27 one subscription is found with its payload, and others by their matcher', async () => {
    const server = await startServer()
    const [one, other] = [await openNode(server), await openNode(server)]
    const shown = subscription('s1', 'a', { name: 'ü' })
    await one.presence.join('s1', [shown, subscription('s1', 'b')])
    const found = async (path: Parameters<typeof other.presence.find>[0]) =>
      (await Array.fromAsync(other.presence.find(path))).flat()
    expect(await found({ kind: 'one', matchType: 'exact', match: 'a', subscriber: 's1' })).toEqual([shown])
    expect(await found({ kind: 'one', matchType: 'exact', match: 'a', subscriber: 's2' })).toEqual([])
    expect(await found({ kind: 'matcher', matchType: 'exact', match: 'a' })).toEqual([shown])
  })

  test('thousands of rows come in pages, each once', async () => {
    const server = await startServer()
    const [one, other] = [await openNode(server), await openNode(server)]
    await Promise.all(Array.from({ length: 3000 }, (_, n) => one.join(`s${n}`, 'a')))
    const pages = await Array.fromAsync(other.presence.find({ kind: 'all' }))
    expect(pages.length).toBeGreaterThan(2)
    expect(new Set(pages.flat().map(({ subscriber }) => subscriber)).size).toBe(3000)
    expect(pages.flat()).toHaveLength(3000)
  }, 30_000)

  test('ACT-11 the ends of a dead node are told once, by whoever is there', async () => {
    const server = await startServer()
    const { network, more } = await cable(server)
    const dead = await openNode(server, more)
    const [one, other] = [await openNode(server), await openNode(server)]
    await Promise.all(Array.from({ length: 120 }, (_, n) => dead.join(`s${n}`, 'a')))
    await one.join('alive', 'a')
    await until('all', () => other.told.length === 121)
    await network.refuse()
    await expire(server, dead.transport.node)
    await until('the ends', () => other.told.length === 241)
    expect(other.told.filter((text) => text.endsWith('false')).length).toBe(120)
    expect(new Set(other.told).size).toBe(241)
    expect(await one.find()).toEqual(['alive a'])
    expect(one.presence.reaped + other.presence.reaped).toBe(120)
  }, 30_000)

  test('a node that was taken for dead begins again what was ended', async () => {
    const server = await startServer()
    const { network, more } = await cable(server)
    const [one, other] = [await openNode(server, more), await openNode(server)]
    await one.join('s1', 'a')
    await until('it', () => other.told.length === 1)
    await network.refuse()
    await expire(server, one.transport.node)
    await until('the end', () => other.told.length === 2)
    await network.recover()
    await until('the beginning', () => other.told.length === 3)
    expect(other.told).toEqual(['s1 a true', 's1 a false', 's1 a true'])
    expect(await other.find()).toEqual(['s1 a'])
  }, 30_000)

  test('after FLUSHALL every node tells its subscriptions again', async () => {
    const server = await startServer()
    const [one, other] = [await openNode(server), await openNode(server)]
    await one.join('s1', 'a')
    await other.join('s2', 'b')
    await server.command('FLUSHALL')
    await until('both', async () => (await other.find().catch(() => [])).length === 2)
    expect(await one.find()).toEqual(['s1 a', 's2 b'])
  }, 30_000)

  test('joins and leaves of a time without the server are made up for', async () => {
    const server = await startServer()
    const more = { server: server.options({ timeoutMs: 500 }) }
    const [one, other] = [await openNode(server, more), await openNode(server)]
    await one.join('stays', 'a')
    await one.join('leaves', 'a')
    await until('both', () => other.told.length === 2)
    server.pause()
    const meanwhile = [one.presence.leave('leaves'), one.join('joins', 'b')]
    await until('it gave up', () => !one.transport.figures.isUp)
    server.resume()
    await Promise.all(meanwhile)
    await until('it is so', async () => (await other.find().catch(() => [])).join() === 'joins b,stays a')
    await until('it was told', () => other.told.length >= 4)
    expect(other.told.slice(2).toSorted()).toEqual(['joins b true', 'leaves a false'])
  }, 30_000)

  test('closing leaves no row behind, nor the node', async () => {
    const server = await startServer()
    const [one, other] = [await openNode(server), await openNode(server)]
    await one.join('s1', 'a')
    await one.presence.leave('s1')
    await one.transport.close()
    expect(await server.command('ZCARD', '{presence}:nodes')).toBe(1)
    expect(await other.find()).toEqual([])
  })
})
