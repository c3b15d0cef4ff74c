import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CrowdReader, openCrowd } from '../../src/bench/client/crowd.ts'
import { Load } from '../../src/bench/client/load.ts'
import { binaryPath, metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { temporaryFolder } from '../support/certificates.ts'
import { post, publish, publisherToken } from '../support/publisher.ts'
import { rawRequest } from '../support/raw-request.ts'
import { bareEnv } from '../support/run-command.ts'
import { StreamClient } from '../support/stream-client.ts'
import { secretOf, tokenFor } from '../support/tokens.ts'

/** SIGHUP: configuration and keys are read again, and no stream is cut. */

const path = '/.well-known/mercure'
let folder: Awaited<ReturnType<typeof temporaryFolder>>
let file: string
let hub: RunningHub | null = null
beforeEach(async () => {
  folder = await temporaryFolder()
  file = join(folder.path, 'cinnabar.toml')
})
afterEach(async () => {
  await hub?.dispose()
  hub = null
  await folder.dispose()
})

/** One issuer, with the keys of the test tokens unless another label is given. */
function issuer(label = 'issuer-a'): string {
  const role = (name: string) => `${name} = { key = "${secretOf(`${label}/${name}`)}", algorithm = "HS256" }`
  return `[[issuers]]\nid = "https://a.example"\n${role('publisher')}\n${role('subscriber')}\n`
}

async function start(text: string, flags: readonly string[] = []): Promise<RunningHub> {
  await writeFile(file, text)
  hub = await startHub({ flags: ['--config', file, ...flags], hasIssuers: false })
  return hub
}

/** Writes the configuration, asks for it to be read, and resolves with what was logged about it. */
async function reload({ pid, log }: RunningHub, text: string): Promise<string> {
  const before = log().length
  await writeFile(file, text)
  process.kill(pid, 'SIGHUP')
  const since = () => log().slice(before)
  await until('the outcome', () => /"(configuration reloaded|configuration refused)"/.test(since()))
  return since()
}

/** The setting of each line of the log that says that a restart is needed. */
function restarts(log: string): readonly string[] {
  const lines = log.split('\n').filter((line) => line.includes('needs a restart'))
  return lines.map((line) => String(JSON.parse(line).setting)).sort()
}

const memory = 'transport = "memory"\n'
const open = `${memory}[hub]\nanonymous = true\n`

describe('what changes while streams are open', () => {
  test('keys: new tokens are asked for, and a stream that is open keeps its rights', async () => {
    const one = await start(open + issuer())
    const token = await tokenFor({ subscribe: ['*'] })
    const headers = { Authorization: `Bearer ${token}` }
    const reader = await StreamClient.open(`${one.url}?match=a`, headers)
    const anonymous = await StreamClient.open(`${one.url}?match=a`)
    const ids = [await publish(one.url, { topic: 'a', private: 'on' })]
    await until('the first', () => reader.events.length === 1)

    expect(await reload(one, open + issuer('other'))).toContain('configuration reloaded')
    expect((await post(one.url, { topic: 'a' })).status).toBe(401)
    const refused = await StreamClient.open(`${one.url}?match=a`, headers)
    expect(refused.status).toBe(401)
    refused.close()

    await reload(one, open + issuer())
    ids.push(await publish(one.url, { topic: 'a', private: 'on' }))
    await until('the second', () => reader.events.length === 2)
    expect(reader.ids).toEqual(ids)
    expect(anonymous.isClosed).toBe(false)
    expect(anonymous.events).toEqual([])
    for (const each of [reader, anonymous]) each.close()
  })

  test('a key file is read again', async () => {
    const keyFile = join(folder.path, 'publisher.key')
    await writeFile(keyFile, secretOf('issuer-a/publisher'))
    const text = `${open}[[issuers]]\nid = "https://a.example"\npublisher = { key_file = "${keyFile}", algorithm = "HS256" }\n`
    const one = await start(text)
    await publish(one.url, { topic: 'a' })
    await writeFile(keyFile, secretOf('another'))
    await reload(one, text)
    expect((await post(one.url, { topic: 'a' })).status).toBe(401)
  })

  test('GEN-24 roles: without a publisher key the method is not served any more', async () => {
    const one = await start(open + issuer())
    await publish(one.url, { topic: 'a' })
    await reload(one, open)
    const answer = await post(one.url, { topic: 'a' })
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET, HEAD, QUERY, OPTIONS'])
  })

  test('SUB-42 anonymous readers, GEN-15 public URLs and SUB-96 origins', async () => {
    const host = 'hub.example.com'
    const hubTable = (more: string) =>
      `${memory}[hub]\nresource_identifier = "https://${host}${path}"\n${more}`
    const one = await start(hubTable('anonymous = true\n') + issuer())
    const ask = async (origin: string, name = host) => {
      const fields = [
        ['Host', name],
        ['Origin', origin],
      ] as const
      return await rawRequest(one.origin, { target: `${path}?match=a`, fields })
    }
    const app = 'https://app.example.com'
    const before = await ask(app, 'other.example.com')
    expect([before.status, before.headers.get('access-control-allow-origin')]).toEqual([200, null])
    const urls = `cors_origins = ["${app}"]\npublic_urls = ["http://${host}"]\n`
    expect(restarts(await reload(one, hubTable(urls) + issuer()))).toEqual(['hub.public_urls'])
    const after = await ask(app)
    expect([after.status, after.headers.get('access-control-allow-origin')]).toEqual([401, app])
  })

  test('SUB-33 limits: streams that were open before count, and end as before', async () => {
    const limited = (count: number) => `${open}[limits]\nsubscribers = ${count}\npublish_rate = ${count}\n`
    const one = await start(limited(10) + issuer())
    const readers = await Promise.all([1, 2, 3].map(() => StreamClient.open(`${one.url}?match=a`)))
    await reload(one, limited(3) + issuer())
    const fourth = await StreamClient.open(`${one.url}?match=a`)
    expect(fourth.status).toBe(429)
    readers.pop()?.close()
    await until('a place', async () => (await metric(one, 'mercure_subscribers_connected')) === 2)
    readers.push(await StreamClient.open(`${one.url}?match=a`))
    expect(readers.map(({ status }) => status)).toEqual([200, 200, 200])
    for (const reader of [...readers, fourth]) reader.close()
  })

  test('SUB-85 the heartbeat, for open streams as well, and the level of the log', async () => {
    const one = await start(`${memory}[hub]\nanonymous = true\nheartbeat = "1h"\n${issuer()}`)
    const reader = await StreamClient.open(`${one.url}?match=a`)
    const comments = () => reader.lines.filter((line) => line.startsWith(':')).length
    await until('the first bytes', () => comments() === 1)
    const quick = `${memory}[hub]\nanonymous = true\nheartbeat = "200ms"\n[log]\nlevel = "debug"\n`
    await reload(one, quick + issuer())
    await until('a heartbeat', () => comments() > 1)
    const stranger = await tokenFor({ publish: ['*'], issuer: 'https://stranger.example' })
    expect((await post(one.url, { topic: 'a' }, stranger)).status).toBe(401)
    await until('a line of that level', () => one.log().includes('"level":"debug"'))
    reader.close()
  })
})

describe('what a restart is needed for', () => {
  test('is named, line by line, and stays as it was', async () => {
    const one = await start(open + issuer())
    const reader = await StreamClient.open(`${one.url}?match=a`)
    const changed = [
      'transport = "sqlite"\n[hub]\nanonymous = true\nsubscriptions = true\npath = "/elsewhere"\n',
      '[history]\nmax_count = 7\n[log]\nlevel = "info"\n[limits]\nmemory = "1GiB"\n',
    ].join('')
    const log = await reload(one, changed + issuer())
    expect(log).toContain('configuration reloaded')
    expect(restarts(log)).toEqual([
      'history.max_count',
      'hub.path',
      'hub.subscriptions',
      'limits.memory',
      'transport',
    ])
    const id = await publish(one.url, { topic: 'a' })
    await until('the update', () => reader.ids.includes(id))
    reader.close()
  })

  test('nothing is named when nothing has changed', async () => {
    const one = await start(open + issuer())
    expect(restarts(await reload(one, open + issuer()))).toEqual([])
  })
})

describe('a configuration that is broken', () => {
  test('is refused with every problem, and the one before stays', async () => {
    const one = await start(open + issuer())
    const reader = await StreamClient.open(`${one.url}?match=a`)
    const broken = 'transport = "paper"\n[hub]\nheartbeat = "soon"\ncolour = "red"\n'
    const log = await reload(one, broken)
    await until('every problem', () => {
      const text = one.log()
      return ['transport', 'hub.heartbeat', 'hub.colour'].every((name) => text.includes(`"problem":"${name}`))
    })
    expect(log).not.toContain('configuration reloaded')
    const id = await publish(one.url, { topic: 'a' })
    await until('the update', () => reader.ids.includes(id))
    reader.close()
  })

  for (const [title, text] of [
    ['is empty', ''],
    ['holds only comments', '# soon\n'],
    ['holds only line breaks', '\n\n'],
  ] as const) {
    test(`S17 a file that ${title} drops no issuer`, async () => {
      const one = await start(open + issuer())
      expect(await reload(one, text)).toContain('issuers: the file is empty')
      expect((await post(one.url, { topic: 'a' })).status).toBe(200)
      expect(await reload(one, open + issuer())).toContain('configuration reloaded')
    })
  }

  test('with a key that cannot be used it is refused without showing it', async () => {
    const one = await start(open + issuer())
    const weak =
      '[[issuers]]\nid = "https://a.example"\npublisher = { key = "too-short", algorithm = "HS256" }\n'
    const log = await reload(one, open + weak)
    expect(log).toContain('issuers[0].publisher.key')
    expect(log).not.toContain('too-short')
    await publish(one.url, { topic: 'a' })
  })
})

test('many signals at once are answered one after the other, and streams get every update meanwhile', async () => {
  const one = await start(open + issuer())
  const readers = await Promise.all(Array.from({ length: 20 }, () => StreamClient.open(`${one.url}?match=a`)))
  const ids: string[] = []
  for (let n = 0; n < 20; n++) {
    process.kill(one.pid, 'SIGHUP')
    ids.push(await publish(one.url, { topic: 'a', data: String(n) }))
  }
  await until('every update', () => readers.every(({ events }) => events.length === 20))
  for (const reader of readers) {
    expect(reader.ids).toEqual(ids)
    reader.close()
  }
  expect(await one.stop()).toBe(0)
})

test('under load, with another configuration each time, no publication is refused and no event is lost', async () => {
  const configured = (n: number) => `[hub]\nanonymous = true\nheartbeat = "${20 + (n % 2)}s"\n${issuer()}`
  const one = await start(configured(0))
  const orders = Array.from({ length: 200 }, (): number[] => [])
  const readers = await openCrowd(
    orders.length,
    (index) => new CrowdReader(`${one.url}?match=a`, null, orders[index]),
  )
  const load = await Load.open(one.url, await publisherToken(), 10)
  const accepted: number[] = []
  let reloads = 0
  try {
    let isReloading = true
    const publishing = (async () => {
      // It goes on until the last reload is over, and a little longer.
      for (let isLast = false; !isLast; ) {
        isLast = !isReloading
        await load.publish(
          500,
          (number) => `topic=a&id=n${number + 1}&data=x`,
          (number) => accepted.push(number + 1),
        )
      }
    })()
    for (; reloads < 10; reloads++)
      expect(await reload(one, configured(reloads + 1))).toContain('configuration reloaded')
    isReloading = false
    await publishing
    await until('every event', () => orders.every(({ length }) => length === accepted.length))
    const [first = []] = orders
    expect(first.toSorted((left, right) => left - right)).toEqual(
      Array.from({ length: accepted.length }, (_, at) => at + 1),
    )
    for (const order of orders) expect(order).toEqual(first)
    expect(readers.every(({ statuses }) => statuses.get(200) === 1)).toBe(true)
  } finally {
    load.close()
    for (const reader of readers) reader.stop()
  }
})

test('the keys of --dev stay the same', async () => {
  const child = Bun.spawn(
    [
      binaryPath(),
      'serve',
      '--dev',
      '--listen',
      '127.0.0.1:0',
      '--admin-listen',
      '',
      '--transport',
      'memory',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder.path, env: bareEnv },
  )
  let output = ''
  let log = ''
  const read = async (from: ReadableStream<Uint8Array>, add: (text: string) => void) => {
    for await (const chunk of from) add(new TextDecoder().decode(chunk))
  }
  void read(child.stdout, (text) => (output += text))
  void read(child.stderr, (text) => (log += text))
  await until('the paste lines', () => output.includes('data=hello'))
  const url = /Hub: +(\S+)/.exec(output)?.[1] ?? ''
  const token = /Token: +(\S+)/.exec(output)?.[1] ?? ''
  await publish(url, { topic: 'a' }, token)
  child.kill('SIGHUP')
  await until('the reload', () => log.includes('configuration reloaded'))
  await publish(url, { topic: 'a' }, token)
  child.kill()
  expect(await child.exited).toBe(0)
})
