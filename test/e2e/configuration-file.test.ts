import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startHub, until } from '../support/binary.ts'
import { temporaryFolder } from '../support/certificates.ts'
import { runCommand } from '../support/run-command.ts'

/** The configuration file as operators write it, by mistake as well. */

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let file: string
beforeEach(async () => {
  folder = await temporaryFolder()
  file = join(folder.path, 'hub.toml')
})
afterEach(() => folder.dispose())

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
    expect(out).toContain('redis.url = ***')
    expect(out).toContain('jwks_uri = https://***@id.example/keys')
    expect(out).not.toContain('hunter2')
  })
})
