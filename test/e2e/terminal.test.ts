import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { bareEnv, runCommand } from '../support/run-command.ts'
import { openTerminal } from '../support/terminal.ts'

/** The commands on a terminal, with a person in front of it. */

let hub: RunningHub
beforeAll(async () => {
  hub = await startHub({ flags: ['--hub-anonymous'] })
})
afterAll(() => hub.dispose())

const obeyed = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/

describe('S16 escape sequences in published data', () => {
  const fields = { topic: 'a', data: '\x1b]0;owned\x07\u009b2J\u202e' }

  async function subscriber(line: string) {
    const connected = await metric(hub, 'mercure_subscribers_total')
    const terminal = openTerminal(`"$C" subscribe --limit 1 --hub ${hub.url} ${line}`)
    await until('the subscriber', async () => (await metric(hub, 'mercure_subscribers_total')) > connected)
    await publish(hub.url, fields)
    expect(await terminal.exited).toBe(0)
    const screen = terminal.screen()
    await terminal[Symbol.asyncDispose]()
    return screen
  }

  test('are shown on the terminal of subscribe, not sent to it', async () => {
    const screen = await subscriber('')
    expect(screen).toContain('data: \\u001b]0;owned\\u0007\\u009b2J\\u202e')
    expect(screen).not.toMatch(obeyed)
  })

  test('are escaped by subscribe --json', async () => {
    const screen = await subscriber('--json')
    expect(JSON.parse(screen.slice(screen.indexOf('{'), screen.indexOf('}') + 1)).data).toBe(fields.data)
    expect(screen).not.toMatch(obeyed)
  })

  test('go through a pipe byte for byte', async () => {
    const bytes = Buffer.from(fields.data).toString('hex')
    expect(await subscriber("| od -An -v -tx1 | tr -d ' \\n'")).toContain(bytes)
  })

  test('are shown by history export', async () => {
    await publish(hub.url, fields)
    await using terminal = openTerminal('"$C" history export', { directory: hub.directory })
    expect(await terminal.exited).toBe(0)
    expect(terminal.screen()).toContain('\\u009b')
    expect(terminal.screen()).not.toMatch(obeyed)
  })

  test('leave a history as they were: an export is imported with them', async () => {
    await publish(hub.url, fields)
    const { out } = await runCommand(['history', 'export'], hub.directory)
    const other = Bun.spawnSync(['mktemp', '-d']).stdout.toString().trim()
    expect((await runCommand(['history', 'import', '-'], other, new Blob([out]))).code).toBe(0)
    expect((await runCommand(['history', 'export'], other)).out).toBe(out)
    expect(JSON.parse(out.split('\n')[0] ?? '').event).toContain('\x1b]0;owned\x07\u009b2J\u202e')
    await Bun.$`rm -r ${other}`
  })

  test('are shown by token explain', async () => {
    const issuer = { id: 'me', subscriber: { key: 'x'.repeat(32), algorithm: 'HS256' } }
    const env = { ...bareEnv, CINNABAR_ISSUERS: JSON.stringify([issuer]) }
    const words = ['token', '--aud', 'urn:h', '--subscribe', 'a', '--payload', '{"a":"\u009b"}']
    const { out } = await runCommand(words, hub.directory, new Blob(), env)
    await using terminal = openTerminal(`"$C" token explain --aud urn:h ${out.trim()}`, { env })
    expect(await terminal.exited).toBe(0)
    expect(terminal.screen()).toContain('grants exact a, with the payload {"a":"\\u009b"}')
    expect(terminal.screen()).not.toMatch(obeyed)
  })

  test('in what a strange hub answers are shown by publish', async () => {
    using strange = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => new Response('\x1b[2Jid\u009b'),
    })
    await using terminal = openTerminal(`"$C" publish t --data x --hub ${strange.url}`)
    expect(await terminal.exited).toBe(0)
    expect(terminal.screen()).toBe('\\u001b[2Jid\\u009b\r\n')
  })
})
