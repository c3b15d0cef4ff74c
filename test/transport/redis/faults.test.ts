import { afterEach, describe, expect, test } from 'bun:test'
import { type Entry, type Head, START, type Transport } from '../../../src/hub/transport.ts'
import type { Notice } from '../../../src/transport/notice.ts'
import { Connection } from '../../../src/transport/redis/connection.ts'
import { APPEND } from '../../../src/transport/redis/scripts/append.ts'
import { KEY_NAMES } from '../../../src/transport/redis/scripts/script.ts'
import type { RedisOptions } from '../../../src/transport/redis/transport.ts'
import { until } from '../../support/binary.ts'
import { openCable, RedisServer, type RedisServerOptions } from '../../support/redis-server.ts'
import { envelope, ids, readAll, refusal, ruleFor, unlimited, wholeLog } from '../contract.ts'
import { tailContract } from '../contract-tail.ts'
import { redisLog } from './log.ts'

/** What becomes of the log of one node, or of two, when something between or behind them fails. */

const cleanup: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

async function startServer(options: RedisServerOptions = {}) {
  const server = await RedisServer.start(options)
  cleanup.push(() => server[Symbol.asyncDispose]())
  return server
}

async function openNode(
  server: RedisServer,
  prefix: string,
  more: Partial<RedisOptions> = {},
  retention = unlimited,
) {
  const { transport } = redisLog(server, { retention }, prefix, more)
  const seen: Entry[] = []
  const lost: Head[] = []
  const head = await transport.open(
    (entry) => seen.push(entry),
    (place) => lost.push(place),
  )
  cleanup.push(() => transport.close())
  return { transport, seen, lost, head }
}

/** A network between a node and its server. */
async function cable(server: RedisServer) {
  const { network: proxy, options } = await openCable(server)
  cleanup.push(() => proxy.dispose())
  return { proxy, options }
}

const within = (server: RedisServer, timeoutMs: number) => ({ server: server.options({ timeoutMs }) })

describe('a server that comes back', () => {
  test('with its journal: what was under way is stored once, and nobody is told of a loss', async () => {
    const server = await startServer({ isDurable: true })
    const nodes = [await openNode(server, 'a'), await openNode(server, 'a')]
    const sent: Promise<void>[] = []
    for (let round = 0; round < 3; round++) {
      for (const [at, { transport }] of nodes.entries()) {
        for (let n = 0; n < 50; n++) sent.push(transport.append(envelope(`${round}-${at}-${n}`)))
      }
      await server.kill()
      await server.run()
    }
    await Promise.all(sent)
    for (const { seen, lost } of nodes) {
      await until('all of them', () => seen.length >= 300)
      expect([seen.length, new Set(ids(seen)).size, lost]).toEqual([300, 300, []])
    }
    expect(ids(nodes[0]?.seen ?? [])).toEqual(ids(nodes[1]?.seen ?? []))
    expect(nodes[0]?.transport.figures.reconnects).toBeGreaterThan(0)
  }, 30_000)

  test('without one: the nodes are told, no position is used again, and no cursor of before is known', async () => {
    const server = await startServer()
    const nodes = [await openNode(server, 'a'), await openNode(server, 'a')] as const
    const [first, second] = nodes
    await first.transport.append(envelope('before'))
    await until('it', () => second.seen.length === 1)
    await server.kill()
    await server.run()
    for (const { lost } of nodes) await until('the loss', () => lost.length > 0)
    await second.transport.append(envelope('after'))
    await until('it', () => first.seen.length === 2)
    for (const { seen, lost, transport } of nodes) {
      expect(lost).toHaveLength(1)
      expect(ids(seen)).toEqual(['before', 'after'])
      expect(seen[1]?.position).toBeGreaterThan(seen[0]?.position ?? START)
      expect(await transport.find('before')).toBeNull()
      expect(await transport.find('after')).toBe(seen[1]?.position ?? null)
      const head = seen[1]?.position ?? START
      expect(await transport.read(seen[0]?.position ?? START, head, wholeLog)).toBe('lost')
    }
  }, 30_000)

  test('with a part of what it had: who has seen the rest proves it, and everybody is told once', async () => {
    const server = await startServer()
    const nodes = [await openNode(server, 'a'), await openNode(server, 'a')] as const
    const [first, second] = nodes
    for (const id of ['1', '2']) await first.transport.append(envelope(id))
    // The state of a backup, or of a replica that was behind.
    await server.command('SAVE')
    await first.transport.append(envelope('3'))
    await until('all', () => second.seen.length === 3)
    await server.kill()
    await server.run()
    for (const { lost } of nodes) await until('the loss', () => lost.length > 0)
    await first.transport.append(envelope('4'))
    await until('it', () => second.seen.length === 4)
    for (const { lost, seen, transport } of nodes) {
      expect(lost).toHaveLength(1)
      expect(await transport.find('2')).toBeNull()
      expect(await transport.find('4')).toBe(seen.at(-1)?.position ?? null)
      expect(ids(await readAll(transport, seen.at(-1)?.position ?? START))).toEqual(['1', '2', '4'])
    }
  }, 30_000)
})

describe('a server that is away', () => {
  test('an append waits, and is refused after the timeout; later ones at once; then all is well again', async () => {
    const server = await startServer({ isDurable: true })
    const notices: Notice[] = []
    const { transport, seen } = await openNode(server, 'a', {
      ...within(server, 1000),
      notify: (notice) => notices.push(notice),
    })
    await server.kill()
    await until('it noticed', () => notices.length > 0)
    const start = performance.now()
    expect(await refusal(transport.append(envelope('late')))).toMatchObject({ code: 'store-unavailable' })
    expect(performance.now() - start).toBeGreaterThan(900)
    const again = performance.now()
    for (const call of [
      () => transport.append(envelope('no')),
      () => transport.find('x'),
      () => transport.check(),
    ])
      expect(await refusal(call())).toMatchObject({ code: 'store-unavailable' })
    expect(performance.now() - again).toBeLessThan(500)
    await server.run()
    await until('it is back', () => notices.some(({ kind }) => kind === 'back'))
    await transport.append(envelope('a'))
    expect(ids(seen)).toEqual(['a'])
    await transport.check()
  }, 30_000)

  test('a server that is stopped for a moment only makes appends wait', async () => {
    const server = await startServer()
    const { transport, seen, lost } = await openNode(server, 'a')
    server.pause()
    const sent = Array.from({ length: 100 }, (_, n) => transport.append(envelope(`${n}`)))
    const isEarly = await Promise.race([
      Promise.all(sent).then(() => true),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 300)),
    ])
    expect(isEarly).toBe(false)
    server.resume()
    await Promise.all(sent)
    expect([ids(seen).length, lost]).toEqual([100, []])
  }, 30_000)

  test('one that is stopped for longer is given up: what was under way is unknown, but never stored twice', async () => {
    const server = await startServer()
    const { transport, seen } = await openNode(server, 'a', within(server, 1000))
    const other = await openNode(server, 'a')
    server.pause()
    expect(await refusal(transport.append(envelope('unknown')))).toMatchObject({ code: 'store-unavailable' })
    server.resume()
    await until('it is up', () => transport.figures.isUp)
    await transport.append(envelope('known'))
    await until('it', () => other.seen.some(({ id }) => id === 'known'))
    const count = (list: readonly Entry[], id: string) => list.filter((one) => one.id === id).length
    expect([count(seen, 'known'), count(other.seen, 'known')]).toEqual([1, 1])
    expect(count(seen, 'unknown')).toBeLessThan(2)
    expect(ids(seen)).toEqual(ids(other.seen))
  }, 30_000)
})

describe('a network that breaks', () => {
  test('connections that are cut again and again lose nothing and repeat nothing', async () => {
    const server = await startServer()
    const { transport, seen, lost } = await openNode(server, 'a')
    let isOver = false
    const cutting = (async () => {
      while (!isOver) {
        await server.command('CLIENT', 'KILL', 'TYPE', 'normal')
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })()
    const sent: Promise<void>[] = []
    for (let n = 0; n < 400; n++) {
      sent.push(transport.append(envelope(`${n}`)))
      if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await Promise.all(sent)
    isOver = true
    await cutting
    expect(ids(seen)).toEqual(Array.from({ length: 400 }, (_, n) => `${n}`))
    expect(lost).toEqual([])
    expect(transport.figures.reconnects).toBeGreaterThan(1)
  }, 30_000)

  test('a black hole that is then reset: the log is found again, and what waited is stored once', async () => {
    const server = await startServer()
    const { proxy, options } = await cable(server)
    const { transport, seen } = await openNode(server, 'a', { server: options })
    await transport.append(envelope('1'))
    proxy.stall()
    const sent = transport.append(envelope('2'))
    await until('it is on its way', () => transport.figures.waitingBytes > 0)
    proxy.cut()
    await proxy.recover()
    await sent
    await transport.append(envelope('3'))
    expect(ids(seen)).toEqual(['1', '2', '3'])
  }, 30_000)

  test('a node that was away for longer than the tail keeps is told', async () => {
    const server = await startServer()
    const { proxy, options } = await cable(server)
    const window = { ms: 0, bytes: 0 }
    const away = await openNode(server, 'a', { server: options, window })
    const other = await openNode(server, 'a', { window })
    await away.transport.append(envelope('1'))
    await proxy.refuse()
    for (const id of ['2', '3', '4']) await other.transport.append(envelope(id))
    await proxy.recover()
    await until('it is told', () => away.lost.length > 0)
    expect(away.lost).toEqual([{ position: other.seen.at(-1)?.position ?? START, id: '4' }])
    const missed = await readAll(away.transport, other.seen.at(-1)?.position ?? START, away.seen[0]?.position)
    expect(ids(missed)).toEqual(['2', '3', '4'])
    await other.transport.append(envelope('5'))
    await until('it', () => away.seen.length === 2)
    expect(ids(away.seen)).toEqual(['1', '5'])
  }, 30_000)
})

tailContract('redis', async () => {
  const server = await startServer()
  const { proxy, options } = await cable(server)
  const window = { ms: 0, bytes: 0 }
  const { transport } = redisLog(server, {}, 'a', { server: options, window })
  cleanup.push(() => transport.close())
  let missed = 0
  let losses = 0
  const heard: Transport = {
    open: (onEntry, onLost) =>
      transport.open(onEntry, (head) => {
        onLost(head)
        losses++
      }),
    append: (one) => transport.append(one),
    find: (id) => transport.find(id),
    read: (after, until, limit) => transport.read(after, until, limit),
    stats: () => transport.stats(),
    check: () => transport.check(),
    close: () => transport.close(),
  }
  const told = async (run: () => Promise<unknown>) => {
    const before = losses
    await run()
    await until('it is told', () => losses > before)
  }
  return {
    transport: heard,
    miss: async (count) => {
      const other = await openNode(server, 'a', { window })
      await proxy.refuse()
      for (let n = 0; n < count; n++) await other.transport.append(envelope(`missed-${++missed}`))
      await told(() => proxy.recover())
    },
    replace: () => told(() => server.command('FLUSHALL')),
  }
})

describe('a node that dies while it sorts', () => {
  test('what it has brought is finished by another', async () => {
    const server = await startServer()
    const { transport, seen } = await openNode(server, 'a')
    const topics = ['x', 'y', 'z']
    const sent = Array.from({ length: 20_000 }, (_, n) => envelope(`${n}`, 10, topics[n % 3]))
    await Promise.all(sent.map((one) => transport.append(one)))
    const { proxy, options } = await cable(server)
    const rules = [ruleFor(['x', 'y'], { maxCount: 1, perTopic: true })]
    const dying = redisLog(server, { retention: { ...unlimited, rules } }, 'a', {
      server: options,
    })
    const sorted = async () => Number(await server.command('HGET', '{a}:meta', 'sortedTo'))
    const opening = refusal(
      dying.transport.open(
        () => {},
        () => {},
      ),
    )
    await until('it sorts', async () => (await sorted()) > 0)
    await proxy.refuse()
    expect(String(await opening)).toContain('redis.url')
    expect(await sorted()).toBeLessThan(20_000)
    const stats = async () => await transport.stats().catch(() => null)
    await until('another goes on', async () => (await stats())?.rows === 2 + 6666)
    expect((await stats())?.rules).toMatchObject([{ rows: 2 }])
    expect(seen).toHaveLength(20_000)
  }, 60_000)
})

test('nothing arrives any more from a session before the last hello', async () => {
  const server = await startServer()
  const { transport, seen } = await openNode(server, 'a')
  await transport.append(envelope('1'))
  const texts = async (...command: readonly string[]) => String(await server.command(...command))
  const log = await texts('HGET', '{a}:meta', 'log')
  const run = await texts('HGET', '{a}:meta', 'run')
  const before = await texts('HGET', '{a}:writers', `session ${transport.node}`)
  await server.command('CLIENT', 'KILL', 'TYPE', 'normal')
  await until('another session', () => transport.figures.reconnects > 0)
  // As if a packet of the connection before had been on its way for so long.
  const connection = await Connection.open(server.options().place, server.options())
  const keys = KEY_NAMES.map((name) => `{a}:${name}`)
  const late = async (session: string) => {
    const batch = ['', log, run, '0', transport.node, '99', '0', session, '0']
    const answer = await connection.script(APPEND, keys, batch, 5000)
    return Array.isArray(answer) ? String(answer[0]) : null
  }
  expect(await late(before)).toBe('HELLO')
  const now = await texts('HGET', '{a}:writers', `session ${transport.node}`)
  expect(await late(now)).toBe('OK')
  connection.destroy()
  expect(ids(seen)).toEqual(['1'])
}, 30_000)

describe('a log that is damaged or replaced', () => {
  test('FLUSHALL: every node is told and goes on in a new log', async () => {
    const server = await startServer()
    const nodes = [await openNode(server, 'a'), await openNode(server, 'a')] as const
    await nodes[0].transport.append(envelope('before'))
    await until('it', () => nodes[1].seen.length === 1)
    await server.command('FLUSHALL')
    for (const { lost } of nodes) await until('the loss', () => lost.length > 0)
    await nodes[1].transport.append(envelope('after'))
    for (const { seen, lost, transport } of nodes) {
      await until('it', () => seen.length === 2)
      expect(lost).toHaveLength(1)
      expect(seen[1]?.position).toBeGreaterThan(seen[0]?.position ?? START)
      expect(await transport.find('before')).toBeNull()
    }
  }, 30_000)

  test('a log of which a part is missing is given up, and everybody is told', async () => {
    const server = await startServer()
    const { transport, lost } = await openNode(server, 'a')
    for (const id of ['1', '2']) await transport.append(envelope(id))
    await server.command('DEL', '{a}:data')
    await until('the loss', () => lost.length > 0)
    await transport.append(envelope('3'))
    expect(await transport.stats()).toMatchObject({ rows: 1 })
  }, 30_000)

  test('a log of a newer version is refused', async () => {
    const server = await startServer()
    await server.command('HSET', '{a}:meta', 'v', '2', 'log', 'x')
    expect(String(await refusal(openNode(server, 'a')))).toContain('of version 2')
  })
})

describe('a server without memory', () => {
  test('refuses updates with store-full, still serves the past, and recovers', async () => {
    const server = await startServer()
    const { transport, seen, lost } = await openNode(server, 'a')
    await transport.append(envelope('1'))
    await server.command('CONFIG', 'SET', 'maxmemory', '1')
    expect(await refusal(transport.append(envelope('2')))).toMatchObject({ code: 'store-full' })
    expect(await transport.find('1')).toBe(seen[0]?.position ?? null)
    await transport.prune()
    await server.command('CONFIG', 'SET', 'maxmemory', '0')
    await transport.append(envelope('3'))
    expect([ids(seen), lost]).toEqual([['1', '3'], []])
    expect(await transport.stats()).toMatchObject({ rows: 2 })
  }, 30_000)
})

describe('replicas', () => {
  async function replicated() {
    const server = await startServer()
    const replica = await startServer({ args: ['--replicaof', '127.0.0.1', String(server.port)] })
    await until('it follows', async () =>
      String(await replica.command('INFO', 'replication')).includes('master_link_status:up'),
    )
    return { server, replica }
  }

  test('an append is over when as many replicas have it as are asked for', async () => {
    const { server, replica } = await replicated()
    const { transport } = await openNode(server, 'a', { replicas: 1 })
    await transport.append(envelope('1'))
    expect(Number(await replica.command('ZCARD', '{a}:order'))).toBe(1)
    await replica.kill()
    const few = await openNode(server, 'a', { ...within(server, 1000), replicas: 1 })
    expect(await refusal(few.transport.append(envelope('2')))).toMatchObject({ code: 'store-unavailable' })
  }, 30_000)

  test('a replica is refused as the server of a log', async () => {
    const { replica } = await replicated()
    expect(String(await refusal(openNode(replica, 'a')))).toContain('replica')
  }, 30_000)
})
