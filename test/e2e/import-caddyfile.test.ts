import { afterEach, describe, expect, test } from 'bun:test'
import { statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { directives } from '../../src/cli/caddyfile/hub-block.ts'
import { readContainerNames } from '../../src/config/borrowed/container.ts'
import { names } from '../../src/config/names.ts'
import { startHub, until } from '../support/binary.ts'
import { temporaryFolder } from '../support/certificates.ts'
import { publish } from '../support/publisher.ts'
import { bareEnv, runCommand } from '../support/run-command.ts'
import { StreamClient } from '../support/stream-client.ts'
import { forge } from '../support/tokens.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

async function folder(): Promise<string> {
  const made = await temporaryFolder()
  cleanup.push(() => made.dispose())
  return made.path
}

const secret = '!ChangeThisMercureHubJWTSecretKey!'
const caddyfile = `
{$SERVER_NAME:localhost} {
	mercure {
		publisher_jwt {env.MERCURE_PUBLISHER_JWT_KEY} {env.MERCURE_PUBLISHER_JWT_ALG}
		subscriber_jwt {env.MERCURE_SUBSCRIBER_JWT_KEY}
		transport bolt {
			path mercure.db
			size 1000
		}
		{$MERCURE_EXTRA_DIRECTIVES}
	}
	respond "Not Found" 404
}
`
const variables = {
  SERVER_NAME: ':80',
  MERCURE_PUBLISHER_JWT_KEY: secret,
  MERCURE_SUBSCRIBER_JWT_KEY: secret,
  MERCURE_EXTRA_DIRECTIVES: 'anonymous\nsubscriptions',
}

describe('the Caddyfile of another hub', () => {
  test('becomes a configuration that is valid, with which the clients of that hub go on', async () => {
    const directory = await folder()
    await writeFile(join(directory, 'Caddyfile'), caddyfile)
    const words = ['import', 'caddyfile', 'Caddyfile', '--output', 'made.toml']
    const made = await runCommand(words, directory, new Blob(), { ...bareEnv, ...variables })
    expect(made).toEqual({ code: 0, out: '', err: '' })
    expect(statSync(join(directory, 'made.toml')).mode & 0o777).toBe(0o600)
    expect(await Bun.file(join(directory, 'made.toml')).text()).not.toContain(secret)
    expect(await runCommand(['check', '--config', 'made.toml'], directory)).toMatchObject({ code: 0 })
    const again = await runCommand(words, directory, new Blob(), { ...bareEnv, ...variables })
    expect([again.code, again.err]).toMatchObject([1, expect.stringContaining('made.toml cannot be written')])

    const hub = await startHub({
      directory,
      flags: ['--config', 'made.toml'],
      env: { MERCURE_PUBLISHER_JWT_KEY: secret, MERCURE_SUBSCRIBER_JWT_KEY: secret },
      hasIssuers: false,
      hasAudience: false,
    })
    cleanup.push(() => hub.dispose())
    const token = forge(
      { alg: 'HS256', typ: 'JWT' },
      { mercure: { publish: ['*'], subscribe: ['*'] } },
      secret,
    )
    const reader = await StreamClient.open(`${hub.url}?topic=*`, { Authorization: `Bearer ${token}` })
    cleanup.push(() => reader.close())
    const id = await publish(hub.url, { topic: 'books', data: 'one', private: 'on' }, token)
    await until('the update', () => reader.ids.includes(id))
  })

  test('that is not understood is listed, and what was understood is written', async () => {
    const directory = await folder()
    const lines = new Blob(['anonymous\nnonsense\n'])
    const { code, out, err } = await runCommand(
      ['import', 'caddyfile', '--directives', '-'],
      directory,
      lines,
    )
    expect([code, err]).toEqual([1, 'line 2: nonsense is not known here\n'])
    expect(out).toContain('anonymous = true')
  })
})

describe('docs/moving-in.md', async () => {
  const page = await Bun.file(new URL('../../docs/moving-in.md', import.meta.url)).text()
  const table = /^## Directives\n(.*?)^## /ms.exec(page)?.[1] ?? ''
  const rows = [...table.matchAll(/^\| (?!directive)(.*?) \|(.*?)\|(.*?)\|$/gm)]
  const codes = (text: string | undefined) =>
    [...(text ?? '').matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '')

  test('names every directive that the command knows, and no other', () => {
    const named = rows.flatMap(([, directive]) => codes(directive))
    expect(named.sort()).toEqual(Object.keys(directives).sort())
  })

  test('names settings that there are', () => {
    const keys = new Set(['issuers[]', ...names.map(({ key }) => key)])
    const named = rows.flatMap(([, , setting]) => codes(setting)).filter((code) => code !== 'algorithm')
    expect(named.filter((code) => !keys.has(code))).toEqual([])
  })

  test('names each variable of the image as the hub takes it: read, or refused with the setting that is named', () => {
    const section = /^## The environment of its image\n(.*?)^## /ms.exec(page)?.[1] ?? ''
    const all = [...section.matchAll(/^\| (`.*?) \|(.*?)\|.*\|$/gm)]
    const keys = new Set(['hub.*', 'issuers[]', ...names.map(({ key }) => key)])
    const unknown = all.flatMap(([, , setting]) => codes(setting)).filter((code) => !keys.has(code))
    expect(unknown).toEqual([])
    const around = { isLegacy: null, hasIssuers: false, hasTls: false }
    const isRefused = (name: string) => {
      const { givens, problems } = readContainerNames(
        { [name]: name === 'SERVER_NAME' ? ':80' : secret },
        around,
      )
      // The hint of a name that was only guessed by its first letters says nothing of a setting.
      expect(problems.map(({ message }) => message).join()).not.toContain('serve --help')
      return givens.length === 0 && problems.some(({ message }) => message.includes('name of another hub'))
    }
    const named = all.flatMap(([, name]) => codes(name))
    const isRead = (name: string) =>
      /^(MERCURE_(PUBLISHER|SUBSCRIBER)_JWT_(KEY|ALG)|MERCURE_TRUSTED_ISSUERS|SERVER_NAME)$/.test(name)
    expect(named.filter((name) => isRefused(name) === isRead(name))).toEqual([])
    expect(named.filter(isRead)).toHaveLength(6)
  })

  test('its lines of PHP publish a private update with a token of 1.0', async () => {
    const php = /^```php[^\n]*\n(.*?)^```$/ms.exec(page)?.[1] ?? ''
    const audience = 'https://hub.example.com/.well-known/mercure'
    const issuer = { id: 'https://app.example.com', publisher: { key: secret, algorithm: 'HS256' } }
    const flags = ['--issuers', JSON.stringify([{ ...issuer, subscriber: issuer.publisher }])]
    const hub = await startHub({
      flags: [...flags, '--hub-resource-identifier', audience],
      hasIssuers: false,
      hasAudience: false,
    })
    cleanup.push(() => hub.dispose())
    const claims = ['--iss', issuer.id, '--aud', audience, '--key', secret, '--alg', 'HS256']
    const minted = async (...rights: string[]) =>
      (await runCommand(['token', ...claims, ...rights], hub.directory)).out.trim()
    const subscriber = await minted('--subscribe', 'https://example.com/books/1')
    const reader = await StreamClient.open(
      `${hub.url}?match=${encodeURIComponent('https://example.com/books/1')}`,
      {
        Authorization: `Bearer ${subscriber}`,
      },
    )
    cleanup.push(() => reader.close())
    const libraries = ['Mercure', 'HttpClient'].map(
      (name) => `require '/usr/share/php/Symfony/Component/${name}/autoload.php';\n`,
    )
    const child = Bun.spawn(['php', '-d', 'error_reporting=E_ALL & ~E_DEPRECATED'], {
      stdin: new Blob([`<?php\n${php.replace(/\n\$hub/, `\n${libraries.join('')}$hub`)}`]),
      stdout: 'pipe',
      stderr: 'inherit',
      env: {
        PATH: process.env['PATH'] ?? '',
        MERCURE_URL: hub.url,
        MERCURE_TOKEN: await minted('--publish', 'https://example.com/books/1'),
      },
    })
    const id = await new Response(child.stdout).text()
    await until('the update', () => reader.ids.includes(id))
    expect(reader.events.at(-1)?.data).toBe('{"status": "available"}')
  })
})
