import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startHub, until } from '../support/binary.ts'
import { temporaryFolder } from '../support/certificates.ts'
import { bareEnv, runCommand, startCommand } from '../support/run-command.ts'
import { secretOf } from '../support/tokens.ts'

/** The configuration file as operators write it, by mistake as well. */

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let file: string
beforeEach(async () => {
  folder = await temporaryFolder()
  file = join(folder.path, 'hub.toml')
})
afterEach(() => folder.dispose())

describe('the file in the working folder', () => {
  const found = { PATH: bareEnv['PATH'] ?? '' }
  const run = (words: string) => runCommand(words.split(' '), folder.path, new Blob(), found)

  test('is found by every command that reads settings, and named with its lines', async () => {
    const key = secretOf('a')
    const role = `{ key = "${key}", algorithm = "HS256" }`
    const hub = '[hub]\npublic_urls = ["https://hub.example"]\n'
    await writeFile(join(folder.path, 'cinnabar.toml'), `${hub}[[issuers]]\nid = "me"\npublisher = ${role}\n`)
    expect((await run('check')).out).toContain('It was read from cinnabar.toml.')
    expect((await run('config')).out).toContain('# file (hub.public_urls (cinnabar.toml:2))')
    const { out: token } = await run('token --publish a')
    expect(await run(`token explain ${token.trim()}`)).toMatchObject({ code: 0 })
    expect((await run('history stats')).err).toContain('cinnabar.db')
    expect((await run('check --config=')).err).toContain('no one may publish or subscribe')
  })

  test('is what a hub runs with, is named in the log, and is missed at SIGHUP', async () => {
    file = join(folder.path, 'cinnabar.toml')
    await writeFile(file, '[hub]\nanonymous = true\n')
    const flags = ['--listen', '127.0.0.1:0', '--admin-listen', '', '--transport', 'memory']
    await using hub = startCommand(['serve', ...flags], folder.path, found)
    await until('the hub', () => hub.err().includes('"listening"'))
    expect(hub.err()).toContain(`"message":"configuration read","file":"${file}"`)
    await rename(file, `${file}.away`)
    process.kill(hub.pid, 'SIGHUP')
    await until('the refusal', () => hub.err().includes('"configuration refused"'))
    expect(hub.err()).toContain('cinnabar.toml: cannot be read: ENOENT')
    expect(await hub.stop()).toBe(0)
  })

  test('a folder of that name is a mistake, not nothing', async () => {
    await mkdir(join(folder.path, 'cinnabar.toml'))
    expect(await run('check')).toMatchObject({ code: 78, err: 'cinnabar.toml: cannot be read: EISDIR\n' })
  })
})

const unquoted = '[[issuers]]\nid = "https://a.example"\npublisher = { key = hunter2, algorithm = "HS256" }\n'

describe('S15 an unquoted secret in the file', () => {
  test.each(['serve', 'check', 'config', 'token', 'health', 'history stats'])(
    'is named by its line and never printed by %s',
    async (command) => {
      await writeFile(file, unquoted)
      const words = [...command.split(' '), ...(command === 'token' ? ['--publish', 'a'] : [])]
      const { code, out, err } = await runCommand([...words, '--config', file], folder.path)
      expect(code).toBe(78)
      expect(err).toContain('hub.toml: is not TOML in line 3: a text stands without quotes')
      expect(out + err).not.toContain('hunter2')
    },
  )

  test('is named by its line and never logged at SIGHUP, and the hub goes on', async () => {
    await writeFile(file, '[hub]\nanonymous = true\n')
    await using hub = await startHub({ flags: ['--config', file, '--transport', 'memory'] })
    await writeFile(file, unquoted)
    process.kill(hub.pid, 'SIGHUP')
    await until('the refusal', () => hub.log().includes('configuration refused'))
    expect(hub.log()).toContain('is not TOML in line 3: a text stands without quotes')
    expect(hub.log()).not.toContain('hunter2')
    expect((await fetch(`${hub.origin}/readyz`)).status).toBe(200)
  })

  test('config hides the passwords in URLs', async () => {
    const subscriber = '{ jwks_uri = "https://me:hunter2@id.example/keys" }'
    const issuer = `[[issuers]]\nid = "https://a.example"\nsubscriber = ${subscriber}\n`
    await writeFile(file, `[redis]\nurl = "redis://me:hunter2@cache.example"\n${issuer}`)
    const { code, out, err } = await runCommand(['config', '--config', file], folder.path)
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('# redis.url = "***"')
    expect(out).toContain('# subscriber.jwks_uri = "https://***@id.example/keys"')
    expect(out).not.toContain('hunter2')
  })

  test('what config prints is a file that check accepts, and that says the same', async () => {
    const key = join(folder.path, 'publisher.key')
    await writeFile(key, secretOf('publisher'))
    const issuer = `[[issuers]]\nid = "https://a.example"\npublisher = { key_file = "${key}", algorithm = "HS256" }\n`
    await writeFile(
      file,
      `[hub]\npublic_urls = ["https://hub.example"]\n[history]\nmax_age = "2h"\n${issuer}`,
    )
    const other = join(folder.path, 'other.toml')
    const first = await runCommand(['config', '--config', file], folder.path)
    await writeFile(other, first.out)
    expect(await runCommand(['check', '--config', other], folder.path)).toMatchObject({ code: 0 })
    const second = await runCommand(['config', '--config', other], folder.path)
    const values = (text: string) => text.replaceAll(/ {2}# .*$/gm, '')
    expect(values(second.out)).toBe(values(first.out))
    const json = await runCommand(['config', '--json', '--config', file], folder.path)
    expect(JSON.parse(json.out)).toMatchObject({ 'history.max_age': { value: '2h', origin: 'file' } })
  })
})
