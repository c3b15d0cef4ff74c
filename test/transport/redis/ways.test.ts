import { afterEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Entry, Head } from '../../../src/hub/transport.ts'
import { examineServer } from '../../../src/transport/redis/examine.ts'
import { parseServerUrl, type ServerOptions } from '../../../src/transport/redis/server.ts'
import { until } from '../../support/binary.ts'
import { makeCertificate, temporaryFolder } from '../../support/certificates.ts'
import { freePort } from '../../support/ports.ts'
import {
  knowsTls,
  RedisServer,
  type RedisServerOptions,
  serverOptions,
  startSentinel,
} from '../../support/redis-server.ts'
import { envelope, ids, refusal, unlimited } from '../contract.ts'
import { redisLog } from './log.ts'

/** The ways to a server: encrypted, as a user, through a file, and where Sentinels say that it is. */

const cleanup: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

async function startServer(options: RedisServerOptions = {}) {
  const server = await RedisServer.start(options)
  cleanup.push(() => server[Symbol.asyncDispose]())
  return server
}

async function open(server: RedisServer, options: ServerOptions, prefix = 'a') {
  const { transport } = redisLog(server, { retention: unlimited }, prefix, { server: options })
  const seen: Entry[] = []
  const lost: Head[] = []
  await transport.open(
    (entry) => seen.push(entry),
    (head) => lost.push(head),
  )
  cleanup.push(() => transport.close())
  return { transport, seen, lost }
}

describe.skipIf(!knowsTls())('TLS, where the server was built with it', () => {
  async function startTls() {
    const folder = await temporaryFolder()
    cleanup.push(() => folder.dispose())
    const { certFile, flags } = await makeCertificate(folder.path, 'server', ['DNS:localhost'])
    const tlsPort = freePort()
    const args = [...flags, '--tls-port', String(tlsPort), '--tls-auth-clients', 'no']
    const server = await startServer({ args })
    const authority = await Bun.file(certFile).text()
    return { server, authority, url: `rediss://localhost:${tlsPort}` }
  }

  test('a server is believed with the certificate of the settings, and refused without', async () => {
    const { server, authority, url } = await startTls()
    const { transport, seen } = await open(server, serverOptions(url, { ca: authority }))
    await transport.append(envelope('a'))
    expect(ids(seen)).toEqual(['a'])
    expect(String(await refusal(open(server, serverOptions(url))))).toMatch(/certificate/i)
  })

  test('a server with the name of another is refused', async () => {
    const { server, authority, url } = await startTls()
    const options = serverOptions(url.replace('localhost', '127.0.0.1'), { ca: authority })
    expect(String(await refusal(open(server, options)))).toMatch(/127\.0\.0\.1|altname|host/i)
  })
})

describe('users', () => {
  test('a user with no more rights than are documented is enough, and its password is needed', async () => {
    const server = await startServer()
    const page = await Bun.file(new URL('../../../docs/cluster.md', import.meta.url)).text()
    const rule = /^ACL SETUSER cinnabar on >PASSWORD ~\{cinnabar\}:\* (.+)$/m.exec(page)?.[1] ?? ''
    await server.command('ACL', 'SETUSER', 'hub', 'on', '>secret', '~{a}:*', ...rule.split(' '))
    const options = server.options({ username: 'hub', password: 'secret' })
    const { transport, seen } = await open(server, options)
    await transport.append(envelope('1'))
    expect(await transport.find('1')).toBe(seen[0]?.position ?? null)
    await transport.prune()
    const wrong = await refusal(open(server, { ...options, password: 'hunter2' }))
    expect(String(wrong)).toContain('WRONGPASS')
    expect(String(wrong)).not.toContain('hunter2')
    // Another log is not for this user.
    expect(String(await refusal(open(server, options, 'b')))).toContain('permission')
  })

  test('a password in the URL is one', async () => {
    const server = await startServer({ args: ['--requirepass', 'p@ss/word'] })
    const url = server.url.replace('//', `//:${encodeURIComponent('p@ss/word')}@`)
    const { transport } = await open(server, serverOptions(url))
    await transport.append(envelope('1'))
    expect(String(await refusal(open(server, server.options())))).toContain('NOAUTH')
  })
})

test('a server in a Unix socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cinnabar-socket-'))
  cleanup.push(async () => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'redis.sock')
  const server = await startServer({ args: ['--unixsocket', path] })
  const { transport, seen } = await open(server, serverOptions(`unix://${path}`))
  await transport.append(envelope('1'))
  expect(ids(seen)).toEqual(['1'])
})

test.each([
  ['redis://h', { kind: 'tcp', host: 'h', port: 6379, isTls: false }],
  ['rediss://u:p@h:1/2', { kind: 'tcp', host: 'h', port: 1, isTls: true }],
  ['redis://[::1]:7', { kind: 'tcp', host: '::1', port: 7, isTls: false }],
  ['unix:/run/redis.sock', { kind: 'unix', path: '/run/redis.sock' }],
  ['redis+unix:///run/a%20b.sock?db=3', { kind: 'unix', path: '/run/a b.sock' }],
] as const)('%s is a place', (url, place) => {
  expect(parseServerUrl(url).place).toEqual(place)
})

test('a server of a cluster that has not the slot says which one has', async () => {
  const args = ['--cluster-enabled', 'yes']
  const [owner, other] = [await startServer({ args }), await startServer({ args })]
  await owner.command('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await other.command('CLUSTER', 'MEET', '127.0.0.1', String(owner.port))
  await until('they know each other', async () => {
    const infos = await Promise.all([owner, other].map((one) => one.command('CLUSTER', 'INFO')))
    return infos.every((info) => String(info).includes('cluster_state:ok'))
  })
  const { transport, seen } = await open(other, other.options())
  await transport.append(envelope('1'))
  expect(ids(seen)).toEqual(['1'])
  expect(Number(await owner.command('ZCARD', '{a}:order'))).toBe(1)
}, 30_000)

describe('Sentinels', () => {
  async function watched() {
    const primary = await startServer()
    const replica = await startServer({ args: ['--replicaof', '127.0.0.1', String(primary.port)] })
    await until('it follows', async () =>
      String(await primary.command('INFO', 'replication')).includes('state=online'),
    )
    const sentinel = await startSentinel(primary.port)
    cleanup.push(() => sentinel[Symbol.asyncDispose]())
    await until('it knows the replica', async () => {
      return String(await sentinel.command('SENTINEL', 'REPLICAS', 'cinnabar')).includes(String(replica.port))
    })
    const unreachable = { kind: 'tcp', host: '127.0.0.1', port: 1, isTls: false } as const
    const options = primary.options({ sentinels: [unreachable, sentinel.options().place] })
    return { primary, replica, sentinel, options }
  }

  test('the log moves with the primary, and appends wait for it', async () => {
    const { primary, replica, options } = await watched()
    const [one, other] = [await open(primary, options), await open(primary, options)]
    await one.transport.append(envelope('before'))
    await until('the replica has it', async () => Number(await replica.command('ZCARD', '{a}:order')) === 1)
    await primary.kill()
    const sent = one.transport.append(envelope('after'))
    await sent
    await until('it', () => other.seen.length === 2)
    for (const { seen, lost } of [one, other]) expect([ids(seen), lost]).toEqual([['before', 'after'], []])
    expect(Number(await replica.command('ZCARD', '{a}:order'))).toBe(2)
  }, 40_000)

  test('a server that the Sentinels do not know is named in the refusal', async () => {
    const { primary, options } = await watched()
    const refused = await refusal(open(primary, { ...options, sentinelName: 'other' }))
    expect(String(refused)).toContain('no Sentinel knows the primary')
  }, 40_000)
})

describe('before a log is opened', () => {
  const examine = (server: RedisServer, bytes: number | null = null) => examineServer(server.options(), bytes)

  test('a server without a journal is warned of, and one with it is not', async () => {
    const [plain, durable] = [await startServer(), await startServer({ isDurable: true })]
    expect(await examine(plain)).toMatchObject({
      problems: [],
      warnings: [expect.stringContaining('no journal')],
      server: expect.stringMatching(/^(Redis|Valkey) \d/),
    })
    expect(await examine(durable)).toMatchObject({ problems: [], warnings: [] })
  })

  test('a server that drops any key is refused, and one that drops some or has little memory is warned of', async () => {
    const server = await startServer({ isDurable: true })
    await server.command('CONFIG', 'SET', 'maxmemory', '100mb')
    expect((await examine(server, 256 << 20)).warnings).toEqual([expect.stringContaining('maxmemory')])
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'volatile-lru')
    expect((await examine(server)).warnings).toEqual([expect.stringContaining('volatile-lru')])
    await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    expect((await examine(server)).problems).toEqual([expect.stringContaining('allkeys-lru')])
  })

  test('a server that is not there is named with the reason', async () => {
    const server = await startServer()
    await server.kill()
    expect(String(await refusal(examine(server)))).toContain(`127.0.0.1:${server.port}`)
  })
})
