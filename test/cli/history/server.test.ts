import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { runHistory } from '../../../src/cli/history/command.ts'
import { commandIo } from '../../support/command-io.ts'
import { RedisServer } from '../../support/redis-server.ts'
import { envelope, readAll, unlimited } from '../../transport/contract.ts'
import { redisLog } from '../../transport/redis/log.ts'
import { temporaryFolder } from '../../transport/sqlite/log.ts'

const server = await RedisServer.start()
const folder = temporaryFolder()
let logs = 0
let prefix = 'history-0'

afterEach(() => {
  prefix = `history-${++logs}`
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  rmSync(folder.path, { recursive: true })
})

async function on(name: string, words: readonly string[] = [], stdin = '') {
  const { io, out, err } = commandIo({ stdin: async () => stdin })
  const place = ['--transport', 'redis', '--redis-url', server.url, '--redis-prefix', prefix]
  const code = await runHistory([name, ...place, ...words], io)
  return { code, out: out(), err: err() }
}

function entryLine(id: string, at: number, topic = 'https://example.com/1'): string {
  return JSON.stringify({ id, topics: [topic], private: false, at, event: `id: ${id}\ndata: ${id}\n\n` })
}

/** A while ago, so that the usual age keeps them. */
const start = Date.now() - 60_000
const lines = (count: number) =>
  Array.from({ length: count }, (_, n) => entryLine(`e${n}`, start + Math.floor(n / 3), `t${n % 2}`))
const text = (some: readonly string[]) => `${some.join('\n')}\n`

async function exported(words: readonly string[] = []): Promise<readonly string[]> {
  const file = join(folder.path, `${crypto.randomUUID()}.jsonl`)
  const { code, err } = await on('export', ['--output', file, ...words])
  expect([code, err]).toEqual([0, expect.stringContaining('exported')])
  return (await Bun.file(file).text()).split('\n').slice(0, -1)
}

describe('cinnabar history on a server', () => {
  test('lines that were imported are exported as they were, ids, order and times', async () => {
    const all = lines(1000)
    expect(await on('import', ['-'], text(all))).toEqual({
      code: 0,
      out: 'imported 1,000 entries\n',
      err: '',
    })
    expect(await exported()).toEqual(all)
    expect(await exported(['--after', 'e997'])).toEqual(all.slice(998))
    const more = [entryLine('later', start + 5000)]
    expect((await on('import', ['-'], text(more))).code).toBe(0)
    expect(await exported(['--after', 'e999'])).toEqual(more)
  }, 30_000)

  test('a hub that starts on it has the past, and goes on after it', async () => {
    await on('import', ['-'], text(lines(10)))
    const { transport } = redisLog(server, { retention: unlimited }, prefix)
    const head = await transport.open(
      () => {},
      () => {},
    )
    expect(head.id).toBe('e9')
    await transport.append(envelope('next'))
    const stored = await readAll(transport, head.position + 1)
    expect(stored.map(({ id }) => id)).toEqual([...Array.from({ length: 10 }, (_, n) => `e${n}`), 'next'])
    const refused = await on('import', ['-'], text(lines(1)))
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('hubs are running on the log')])
    await transport.close()
  })

  test('an entry older than the one before it ends the import', async () => {
    const { code, err } = await on('import', ['-'], text([entryLine('b', start), entryLine('a', start - 1)]))
    expect([code, err]).toEqual([1, expect.stringContaining('line 2 is older than the entry before it')])
  })

  test('stats say what it holds and what takes most of it', async () => {
    await on('import', ['-'], text(lines(9)))
    const { out } = await on('stats', ['--json'])
    expect(JSON.parse(out)).toMatchObject({
      server: `127.0.0.1:${server.port}`,
      rows: 9,
      nodes: 0,
      oldest: { id: 'e0', at: new Date(start).toISOString() },
      newest: { id: 'e8', at: new Date(start + 2).toISOString() },
      topicCount: 2,
      topicsByRows: [
        { topic: 't0', rows: 5 },
        { topic: 't1', rows: 4 },
      ],
    })
    expect((await on('stats')).out).toContain('no hub is running on it')
  })

  test('prune drops what is over the limits, beside a hub: of the front, or of a topic', async () => {
    await on('import', ['-'], text(lines(12)))
    const { transport } = redisLog(server, { retention: unlimited }, prefix)
    const head = await transport.open(
      () => {},
      () => {},
    )
    const kept = async () => (await readAll(transport, head.position)).map(({ id }) => id)
    expect((await on('prune', ['--keep-count', '8', '--dry-run'])).out).toStartWith('would drop 4 entries')
    expect((await on('prune', ['--keep-count', '8'])).out).toStartWith('dropped 4 entries')
    expect(await kept()).toEqual(['e4', 'e5', 'e6', 'e7', 'e8', 'e9', 'e10', 'e11'])
    expect(await transport.find('e3')).toBeNull()
    expect((await on('prune', ['--topic', 't0'])).out).toStartWith('dropped 4 entries')
    expect(await kept()).toEqual(['e5', 'e7', 'e9', 'e11'])
    // A reader that comes back with the id of one of these misses nothing.
    expect(await transport.find('e6')).not.toBeNull()
    expect(await transport.stats()).toMatchObject({ rows: 4, dropped: 8, places: 4 })
    await transport.prune()
    await transport.check()
    await transport.close()
  })

  test('compact has nothing to do, and what is for a file is refused', async () => {
    await on('import', ['-'], text(lines(1)))
    expect(await on('compact')).toMatchObject({ code: 0, out: expect.stringContaining('nothing to do') })
    expect((await on('export', ['--salvage'])).code).toBe(2)
    expect((await on('import', ['x.db', '--from', 'bolt'])).code).toBe(2)
  })

  test('a log that is not there, and a server that is not there, are named', async () => {
    const none = await on('stats')
    expect([none.code, none.err]).toEqual([1, expect.stringContaining('there is no log')])
    const away = await on('stats', ['--redis-url', 'redis://127.0.0.1:1'])
    expect([away.code, away.err]).toEqual([1, expect.stringContaining('127.0.0.1:1')])
  })
})
