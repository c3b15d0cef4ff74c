import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { until } from '../support/binary.ts'
import { makeCertificate, temporaryFolder } from '../support/certificates.ts'
import { Cluster, subscriptionsOf, Watcher } from '../support/cluster.ts'
import { freePort } from '../support/ports.ts'
import { knowsTls, RedisServer, startSentinel } from '../support/redis-server.ts'
import { runCommand } from '../support/run-command.ts'
import { StreamClient } from '../support/stream-client.ts'

/** The table of faults of docs/cluster.md, row by row: three hubs, publishers on all, readers that change nodes. */

const TIMEOUT = 120_000

describe('three hubs on one log', () => {
  test(
    'a hub that is killed: its readers go on elsewhere, and nothing is lost or repeated',
    async () => {
      await using cluster = await Cluster.open()
      await cluster.kill(1)
      await cluster.goesOn()
      await cluster.revive(1)
      await cluster.goesOn()
      expect((await cluster.finish()).length).toBe(0)
    },
    TIMEOUT,
  )

  test(
    'a server that is killed and comes back with its journal: publishers wait, readers notice nothing',
    async () => {
      await using cluster = await Cluster.open({ server: { isDurable: true } })
      for (let round = 0; round < 2; round++) {
        await cluster.server.kill()
        await cluster.server.run()
        await cluster.goesOn()
      }
      // Only a reader whose last update was under way at that moment may be told.
      expect((await cluster.finish()).length).toBeLessThan(cluster.readers.length)
      expect([...cluster.refusals.keys()]).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'a server that is away for long: 503 after the timeout, streams stay open, then all goes on',
    async () => {
      await using cluster = await Cluster.open({
        server: { isDurable: true },
        flags: ['--redis-timeout', '1s'],
      })
      const [hub] = cluster.hubs
      const stays = await StreamClient.open(`${hub?.url}?match=updates`)
      await cluster.server.kill()
      await until('refusals', () => (cluster.refusals.get(503) ?? 0) > 10)
      const ready = async () => (await fetch(`${hub?.origin}/readyz`)).status
      const alive = async () => (await fetch(`${hub?.origin}/healthz`)).status
      expect([await ready(), await alive()]).toEqual([503, 200])
      await cluster.server.run()
      await cluster.goesOn()
      // The others may have found the server before this one.
      await until('ready again', async () => (await ready()) === 200)
      const before = stays.ids.length
      await until('an update on the stream', () => stays.ids.length > before)
      expect(stays.isClosed).toBe(false)
      stays.close()
      expect((await cluster.finish()).length).toBeLessThan(cluster.readers.length)
      expect([...cluster.refusals.keys()]).toEqual([503])
    },
    TIMEOUT,
  )

  test(
    'a server that is stopped for a while: publishers wait',
    async () => {
      await using cluster = await Cluster.open()
      cluster.server.pause()
      // The length of the fault, within redis.timeout: publishers wait.
      await Bun.sleep(2000)
      cluster.server.resume()
      await cluster.goesOn()
      expect((await cluster.finish()).length).toBe(0)
      expect([...cluster.refusals.keys()]).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'connections that are killed again and again: nobody notices',
    async () => {
      await using cluster = await Cluster.open()
      for (let round = 0; round < 10; round++) {
        await cluster.server.command('CLIENT', 'KILL', 'TYPE', 'normal')
        await cluster.goesOn(10)
      }
      expect((await cluster.finish()).length).toBe(0)
      expect(cluster.readers.map(({ refusals }) => refusals)).toEqual(cluster.readers.map(() => 0))
      expect([...cluster.refusals.keys()]).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'an answer that is lost after its batch was stored: it is sent again and stored once',
    async () => {
      await using cluster = await Cluster.open({ hasNetworks: true })
      for (let round = 0; round < 6; round++) {
        for (const network of cluster.networks) network.mute()
        const stored = Number(await cluster.server.command('ZCARD', '{cinnabar}:order'))
        await until('batches without answer', async () => {
          return Number(await cluster.server.command('ZCARD', '{cinnabar}:order')) > stored
        })
        for (const network of cluster.networks) network.cut()
        await cluster.goesOn(20)
      }
      expect((await cluster.finish()).length).toBe(0)
      expect([...cluster.refusals.keys()]).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'a black hole, a reset and an absence: publishers wait, and nothing is lost or repeated',
    async () => {
      await using cluster = await Cluster.open({ hasNetworks: true })
      // How long each fault lasts, within redis.timeout.
      for (const network of cluster.networks) network.stall()
      await Bun.sleep(1000)
      for (const network of cluster.networks) await network.refuse()
      await Bun.sleep(100)
      for (const network of cluster.networks) await network.recover()
      await cluster.goesOn()
      expect((await cluster.finish()).length).toBe(0)
      expect([...cluster.refusals.keys()]).toEqual([])
    },
    TIMEOUT,
  )

  test(
    'a hub that is stopped for a while: its publisher waits, and all is there afterwards',
    async () => {
      await using cluster = await Cluster.open()
      cluster.stop(2)
      // The length of the fault, within its lease.
      await Bun.sleep(3000)
      cluster.continue(2)
      await cluster.goesOn()
      expect((await cluster.finish()).length).toBe(0)
    },
    TIMEOUT,
  )

  test(
    'FLUSHALL: the history is gone, everybody is told, and all goes on',
    async () => {
      await using cluster = await Cluster.open()
      await cluster.server.command('FLUSHALL')
      await until('everybody is told', () => cluster.readers.every(({ losses }) => losses > 0))
      await cluster.goesOn()
      expect((await cluster.finish()).length).toBe(cluster.readers.length)
    },
    TIMEOUT,
  )

  test(
    'a server whose memory is full: updates are refused, readers notice nothing, and it recovers',
    async () => {
      await using cluster = await Cluster.open()
      await cluster.server.command('CONFIG', 'SET', 'maxmemory', '1')
      await until('refusals', () => [...cluster.refusals.values()].some((count) => count > 10))
      await cluster.server.command('CONFIG', 'SET', 'maxmemory', '0')
      await cluster.goesOn()
      expect((await cluster.finish()).length).toBe(0)
      expect([...cluster.refusals.keys()]).toEqual([503])
    },
    TIMEOUT,
  )
})

describe('three hubs, and a server that is replaced by its replica', () => {
  /** A server with a replica, and a Sentinel that decides. */
  async function watched(more: readonly string[] = []) {
    const stack = new AsyncDisposableStack()
    const made: { replica: RedisServer; sentinel: RedisServer }[] = []
    const place = async (server: RedisServer) => {
      const follows = ['--replicaof', '127.0.0.1', String(server.port)]
      const replica = stack.use(await RedisServer.start({ args: follows }))
      await until('it follows', async () =>
        String(await server.command('INFO', 'replication')).includes('state=online'),
      )
      const sentinel = stack.use(await startSentinel(server.port))
      await until('it knows the replica', async () =>
        String(await sentinel.command('SENTINEL', 'REPLICAS', 'cinnabar')).includes(String(replica.port)),
      )
      made.push({ replica, sentinel })
      return ['--redis-sentinels', sentinel.url, '--redis-sentinel-name', 'cinnabar', ...more]
    }
    const cluster = stack.use(await Cluster.open({ place }))
    const { replica, sentinel } = made[0] ?? expect.unreachable()
    return { cluster, replica, sentinel, [Symbol.asyncDispose]: () => stack.disposeAsync() }
  }

  test(
    'a failover: publishers wait, and what was accepted is there for every reader that is not told',
    async () => {
      await using scene = await watched()
      const { cluster } = scene
      await cluster.server.kill()
      await cluster.goesOn(100)
      await cluster.finish()
    },
    TIMEOUT,
  )

  test(
    'a failover to a replica that was behind: every reader is told',
    async () => {
      await using scene = await watched()
      const { cluster, replica } = scene
      replica.pause()
      // More than the network holds on its way, so that what comes after it is not there yet.
      await cluster.server.command('SET', 'large', 'x'.repeat(64 << 20))
      await cluster.goesOn(30)
      await cluster.server.kill()
      replica.resume()
      await cluster.goesOn(50)
      expect((await cluster.finish()).length).toBe(cluster.readers.length)
    },
    TIMEOUT,
  )

  test(
    'a switch while the old primary still takes updates: every reader has all, or is told',
    async () => {
      await using scene = await watched()
      const { cluster, sentinel } = scene
      await sentinel.command('SENTINEL', 'FAILOVER', 'cinnabar')
      // The old primary cuts connections when it becomes a replica.
      const role = async () => String(await cluster.server.command('INFO', 'replication').catch(() => ''))
      await until('another primary', async () => (await role()).includes('role:slave'))
      await cluster.goesOn(50)
      await cluster.finish()
    },
    TIMEOUT,
  )
})

describe('the executable', () => {
  test.skipIf(!knowsTls())(
    'reaches a server by TLS (where it was built with it), as a user whose password is in a file',
    async () => {
      const folder = await temporaryFolder()
      const { certFile, flags } = await makeCertificate(folder.path, 'server', ['DNS:localhost'])
      const tlsPort = freePort()
      const passwordFile = join(folder.path, 'password')
      await Bun.write(passwordFile, 'secret\n')
      const args = [...flags, '--tls-port', String(tlsPort), '--tls-auth-clients', 'no']
      const place = async (server: RedisServer) => {
        await server.command(
          'ACL',
          'SETUSER',
          'hub',
          'on',
          '>secret',
          '~{cinnabar}:*',
          '+@all',
          '-@dangerous',
          '+info',
        )
        const who = ['--redis-username', 'hub', '--redis-password-file', passwordFile]
        return ['--redis-url', `rediss://localhost:${tlsPort}`, '--redis-ca-file', certFile, ...who]
      }
      await using cluster = await Cluster.open({ server: { args }, place, hubs: 2 })
      await cluster.goesOn(20)
      expect((await cluster.finish()).length).toBe(0)
      await folder.dispose()
    },
    TIMEOUT,
  )

  test(
    'refuses a server that drops keys, and one that is not there, in one line each',
    async () => {
      await using server = await RedisServer.start({
        args: ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'],
      })
      const refused = async (url: string) => {
        const flags = ['--transport', 'redis', '--redis-url', url, '--hub-anonymous', '--log-format=json']
        const { code, err } = await runCommand(['serve', ...flags], '/tmp')
        const lines = err
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
        return [code, lines.filter(({ level }) => level === 'error').map(({ message }) => message)]
      }
      expect(await refused(server.url)).toEqual([
        1,
        [expect.stringContaining('maxmemory-policy allkeys-lru')],
      ])
      expect(await refused('redis://127.0.0.1:1')).toEqual([1, [expect.stringContaining('127.0.0.1:1')]])
    },
    TIMEOUT,
  )
})

describe('who is subscribed, on three hubs', () => {
  test(
    'ACT-02 each subscription begins and ends once, and the hubs agree, while readers come and go',
    async () => {
      await using cluster = await Cluster.open()
      const watcher = new Watcher(() => cluster.pick())
      await cluster.goesOn(100)
      await cluster.finish()
      await until('they agree', async () => {
        const lists = await Promise.all(cluster.hubs.map(subscriptionsOf))
        return lists.every((list) => list.join() === watcher.activeIds.join())
      })
      await watcher.reader.stop()
      expect([watcher.wrong, watcher.reader.losses]).toEqual([[], 0])
    },
    TIMEOUT,
  )

  test(
    'ACT-11 of two hubs that die at once every subscription is ended, exactly once, within its time',
    async () => {
      await using cluster = await Cluster.open()
      const watcher = new Watcher(() => cluster.hubs[0] ?? cluster.pick())
      await cluster.goesOn(50)
      const start = performance.now()
      await Promise.all([cluster.kill(1), cluster.kill(2)])
      await cluster.finish()
      const [hub] = cluster.hubs
      await until(
        'only those of the watcher are left',
        async () =>
          hub !== undefined && watcher.activeIds.length <= 1 && (await subscriptionsOf(hub)).length <= 1,
        30_000,
      )
      expect(performance.now() - start).toBeLessThan(20_000)
      await watcher.reader.stop()
      expect([watcher.wrong, watcher.reader.losses]).toEqual([[], 0])
    },
    TIMEOUT,
  )

  test(
    'a hub that is cut off for longer than its lease: its subscriptions end and begin again',
    async () => {
      await using cluster = await Cluster.open({ hasNetworks: true, flags: ['--redis-timeout', '2s'] })
      const watcher = new Watcher(() => cluster.hubs[0] ?? cluster.pick())
      const stays = await StreamClient.open(`${cluster.hubs[2]?.url}?match=stays`)
      const own = () => [...watcher.active].filter(([id]) => id.includes('/stays/'))
      await until('it begins', () => own().some(([, active]) => active))
      await cluster.networks[2]?.refuse()
      await until('it ends', () => own().every(([, active]) => !active), 30_000)
      await cluster.networks[2]?.recover()
      await until('it begins again', () => own().some(([, active]) => active))
      expect(own()).toHaveLength(1)
      stays.close()
      await until('it ends for good', () => own().every(([, active]) => !active))
      await cluster.finish()
      await watcher.reader.stop()
      expect([watcher.wrong, watcher.reader.losses]).toEqual([[], 0])
    },
    TIMEOUT,
  )
})
