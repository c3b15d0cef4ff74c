import { expect, test } from 'bun:test'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../support/binary.ts'
import { temporaryFolder } from '../support/certificates.ts'
import { freePort } from '../support/ports.ts'
import { bareEnv, runCommand, startCommand } from '../support/run-command.ts'
import { openTerminal } from '../support/terminal.ts'

/** From a fresh folder to the first event, with the commands that `init` names. */

test('init, check, serve, token, publish, subscribe', async () => {
  const folder = await temporaryFolder()
  const env = { PATH: bareEnv['PATH'] ?? '', CINNABAR_ADMIN_LISTEN: '' }
  const run = (...words: string[]) => runCommand(words, folder.path, new Blob(), env)
  try {
    const origin = `http://127.0.0.1:${freePort()}`
    const made = await run('init', '--public-url', origin)
    expect([made.code, made.err]).toEqual([0, ''])
    const named = made.out.split('\n').flatMap((line) => /^ {2}cinnabar (.*)$/.exec(line)?.[1] ?? [])
    expect(named).toEqual(['check', 'serve', "token --publish '*'"])
    expect(await run('check')).toMatchObject({ code: 0, out: expect.stringContaining('is valid') })
    await using hub = startCommand(['serve'], folder.path, env)
    await until('the hub', () => hub.err().includes('"listening"'))
    expect(hub.err()).toContain(`"file":"${join(folder.path, 'cinnabar.toml')}"`)
    for (const role of ['publish', 'subscribe']) {
      const token = await run('token', `--${role}`, '*')
      await writeFile(join(folder.path, `${role}.token`), token.out)
    }
    await using reader = startCommand(
      ['subscribe', '--hub', origin, '--token-file', 'subscribe.token', '--verbose'],
      folder.path,
      env,
    )
    await until('the reader', () => reader.err().includes('connected'))
    const published = await run(
      ...['publish', 'https://example.com/1', '--data', 'hello', '--private'],
      ...['--hub', origin, '--token-file', 'publish.token'],
    )
    expect([published.code, published.err]).toEqual([0, ''])
    await until('the event', () => reader.out().includes('data: hello'))
    const before = await readFile(join(folder.path, 'publisher.key'), 'utf8')
    expect(await run('init', '--public-url', origin)).toMatchObject({ code: 1 })
    expect(await readFile(join(folder.path, 'publisher.key'), 'utf8')).toBe(before)
    expect(await hub.stop()).toBe(0)
  } finally {
    await folder.dispose()
  }
}, 20_000)

test('on a terminal init asks, one question after the other', async () => {
  const folder = await temporaryFolder()
  try {
    await using terminal = openTerminal('"$C" init', { directory: folder.path })
    for (const [question, answer] of [
      ['The origin that clients use', 'https://hub.example.com'],
      ['Origins of the pages', 'https://www.example.com'],
      ['The address of the proxy', ''],
      ['without a token?', 'n'],
    ] as const) {
      await until(question, () => terminal.screen().includes(question))
      terminal.type(`${answer}\n`)
    }
    expect(await terminal.exited).toBe(0)
    const text = await readFile(join(folder.path, 'cinnabar.toml'), 'utf8')
    expect(text).toContain('\npublic_urls = ["https://hub.example.com"]\n')
    expect(text).toContain('\ncors_origins = ["https://www.example.com"]\n')
    expect(text).toContain('\ntrusted = ["127.0.0.1", "::1"]\n')
    expect(text).toContain('\n# anonymous = true\n')
  } finally {
    await folder.dispose()
  }
}, 20_000)
