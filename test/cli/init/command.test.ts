import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCheck } from '../../../src/cli/check.ts'
import { runInit } from '../../../src/cli/init/command.ts'
import type { CommandIo } from '../../../src/command/command.ts'
import { load, type Settings } from '../../../src/config/load.ts'
import { commandIo } from '../../support/command-io.ts'
import { temporaryFolder } from '../../transport/sqlite/log.ts'

let folder: string
let file: string
let remove: () => void
beforeEach(() => {
  const made = temporaryFolder()
  folder = made.path
  file = join(folder, 'hub.toml')
  remove = made.remove
})
afterEach(() => remove())

const readFile = (path: string) => readFileSync(path, 'utf8')

async function init(words: readonly string[], parts: Partial<CommandIo> = {}) {
  let seed = 0
  const random = (bytes: number) => new Uint8Array(bytes).fill(++seed)
  const { io, out, err } = commandIo({ readFile, random, isInputTerminal: () => false, ...parts })
  const code = await runInit([file, ...words], io)
  return { code, out: out(), err: err() }
}

function settings(): Settings {
  const devKeys = { publisher: '', subscriber: '' }
  const loaded = load({ argv: ['--config', file], env: {}, devKeys, isTerminal: false, readFile })
  return loaded.ok ? loaded.settings : expect.unreachable(JSON.stringify(loaded.problems))
}

function rights(name: string): string {
  return (statSync(join(folder, name)).mode & 0o777).toString(8)
}

describe('cinnabar init --keys', () => {
  const configuration = (publisher: string, subscriber = publisher) => `
    [[issuers]]
    id = "https://app.example"
    publisher = { key_file = "${join(folder, 'a.key')}", algorithm = "${publisher}" }
    subscriber = { key_file = "b.key", algorithm = "${subscriber}" }
  `
  const exists = (path: string) => readdirSync(folder).some((name) => join(folder, name) === path)

  test('makes the keys that a configuration names, and leaves those that are there and the file itself', async () => {
    const text = configuration('HS256')
    writeFileSync(file, text)
    writeFileSync(join(folder, 'b.key'), 'kept')
    const { code, out, err } = await init(['--keys'], { exists })
    expect([code, err]).toEqual([0, ''])
    expect(out).toBe(`wrote ${join(folder, 'a.key')} (0600)\n`)
    expect(rights('a.key')).toBe('600')
    expect([readFile(file), readFile(join(folder, 'b.key'))]).toEqual([text, 'kept'])
    expect(readFile(join(folder, 'a.key')).trim().length).toBeGreaterThanOrEqual(64)
    expect(await init(['--keys'], { exists })).toMatchObject({
      code: 0,
      out: expect.stringContaining('is there'),
    })
  })

  test('in a folder that hands its group on, the group may read them', async () => {
    writeFileSync(file, configuration('HS512'))
    chmodSync(folder, 0o2750)
    expect((await init(['--keys'], { exists })).code).toBe(0)
    expect([rights('a.key'), rights('b.key')]).toEqual(['640', '640'])
  })

  test('makes none where one of them is a public key, or the file is none', async () => {
    writeFileSync(file, configuration('HS256', 'RS256'))
    expect(await init(['--keys'], { exists })).toMatchObject({
      code: 1,
      err: expect.stringContaining('public key'),
    })
    writeFileSync(file, 'not TOML')
    expect(await init(['--keys'], { exists })).toMatchObject({
      code: 1,
      err: expect.stringContaining('is not TOML'),
    })
    expect(readdirSync(folder)).toEqual(['hub.toml'])
  })
})

describe('cinnabar init', () => {
  test('writes a valid configuration and two different keys for their owner alone', async () => {
    const { code, out, err } = await init(['--public-url=https://hub.example'])
    expect([code, err]).toEqual([0, ''])
    expect(readdirSync(folder).sort()).toEqual(['hub.toml', 'publisher.key', 'subscriber.key'])
    expect(['publisher.key', 'subscriber.key', 'hub.toml'].map(rights)).toEqual(['600', '600', '644'])
    const [issuer] = settings().issuers
    expect(issuer?.publisher?.key).toHaveLength(43)
    expect(issuer?.publisher?.key).not.toBe(issuer?.subscriber?.key)
    expect(out).not.toContain(issuer?.publisher?.key)
    const check = commandIo({ readFile, isTerminal: false })
    expect(await runCheck(['--config', file], check.io)).toBe(0)
    for (const command of ['check', 'serve', 'token'])
      expect(out).toContain(`\n  cinnabar ${command} --config ${file}`)
  })

  test('puts everything that was said into it', async () => {
    const words = [
      '--public-url=https://hub.example:8443/',
      '--cors-origin=https://www.example',
      '--cors-origin=https://app.example',
      '--proxy=10.0.0.0/8',
      '--anonymous',
      '--listen=0.0.0.0:8080',
      '--history=/srv/history.db',
    ]
    expect(await init(words)).toMatchObject({ code: 0, err: '' })
    expect(settings()).toMatchObject({
      listen: [{ kind: 'tcp', host: '0.0.0.0', port: 8080 }],
      hub: { publicUrls: ['https://hub.example:8443'], anonymous: true },
      proxy: { fields: 'x-forwarded' },
      sqlite: { path: '/srv/history.db' },
    })
    expect(settings().issuers[0]?.id).toBe('https://www.example')
    expect(settings().hub.corsOrigins).toHaveLength(2)
    expect(settings().proxy.trusted).toHaveLength(1)
  })

  test.each([
    [['--public-url=https://hub.example'], '127.0.0.1', 3000, 2],
    [['--public-url=http://localhost:8080'], 'localhost', 8080, 0],
    [['--public-url=http://hub.example'], '0.0.0.0', 80, 0],
    [['--public-url=https://hub.example', '--cert-file=c', '--key-file=k'], '0.0.0.0', 443, 0],
  ])('with %j listens on %s:%d and trusts %d proxies', async (words, host, port, proxies) => {
    expect(await init(words)).toMatchObject({ code: 0, err: '' })
    expect(settings().listen).toEqual([{ kind: 'tcp', host, port }])
    expect(settings().proxy.trusted).toHaveLength(proxies)
    expect(settings().tls.certFile).toBe(words.length > 1 ? 'c' : null)
  })

  test('asks on a terminal for what no option says', async () => {
    const answers = ['https://hub.example', 'https://www.example, https://app.example', '', 'yes']
    const ask = () => answers.shift() ?? null
    const terminal = { ask, isTerminal: true, isInputTerminal: () => true }
    expect(await init([], terminal)).toMatchObject({ code: 0, err: '' })
    expect(settings().hub).toMatchObject({ publicUrls: ['https://hub.example'], anonymous: true })
    expect(settings().hub.corsOrigins).toHaveLength(2)
    expect(answers).toEqual([])
  })

  test.each(['hub.toml', 'publisher.key', 'subscriber.key'])(
    'replaces no %s and writes nothing beside it',
    async (name) => {
      writeFileSync(join(folder, name), 'mine')
      const { code, err } = await init(['--public-url=https://hub.example'])
      expect([code, err]).toEqual([1, expect.stringContaining(join(folder, name))])
      expect(readdirSync(folder)).toEqual([name])
      expect(readFile(join(folder, name))).toBe('mine')
    },
  )

  test('follows no link', async () => {
    symlinkSync(join(folder, 'elsewhere'), join(folder, 'publisher.key'))
    expect((await init(['--public-url=https://hub.example'])).code).toBe(1)
    expect(readdirSync(folder)).toEqual(['publisher.key'])
  })

  test('gives the keys to a group, which may only read them', async () => {
    const gid = process.getegid?.() ?? 0
    const groups = {
      readFile: (path: string) => (path === '/etc/group' ? `a:x:1:\nhubs:x:${gid}:\n` : readFile(path)),
    }
    expect(await init(['--public-url=https://hub.example', '--group=hubs'], groups)).toMatchObject({
      code: 0,
    })
    expect([rights('publisher.key'), rights('subscriber.key')]).toEqual(['640', '640'])
    expect(statSync(join(folder, 'publisher.key')).gid).toBe(gid)
  })

  test.each([
    [[], 2, '--public-url is needed'],
    [['--public-url=hub.example'], 2, 'is no origin'],
    [['--public-url=https://hub.example/path'], 2, 'is no origin'],
    [['--public-url=https://hub.example', '--cert-file=c'], 2, 'go together'],
    [['--public-url=https://hub.example', '--cors-origin=www'], 1, 'nothing is written: hub.cors_origins: '],
    [['--public-url=https://hub.example', '--proxy=x'], 1, 'nothing is written: proxy.trusted: '],
    [['--public-url=https://hub.example', '--group=nobody-here'], 1, 'there is no group "nobody-here"'],
  ])('with %j writes nothing', async (words, code, message) => {
    const end = await init(words)
    expect<number>(end.code).toBe(code)
    expect(end.err).toContain(message)
    expect(readdirSync(folder)).toEqual([])
  })
})
