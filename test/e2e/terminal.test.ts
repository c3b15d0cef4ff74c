import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { publish, publisherToken } from '../support/publisher.ts'
import { bareEnv, runCommand, startCommand } from '../support/run-command.ts'
import { openTerminal } from '../support/terminal.ts'
import { tokenFor } from '../support/tokens.ts'

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

describe('subscribe', () => {
  const line = () => `"$C" subscribe --hub ${hub.url}`

  test('says on a terminal that it is connected, and nothing of it in a pipe', async () => {
    await using terminal = openTerminal(line())
    await until('the line', () => terminal.screen().includes(`connected to ${hub.url}`))
    const connected = await metric(hub, 'mercure_subscribers_total')
    await using quiet = openTerminal(`${line()} 2>/tmp/quiet.$$; cat /tmp/quiet.$$; rm /tmp/quiet.$$`)
    await until('the subscriber', async () => (await metric(hub, 'mercure_subscribers_total')) > connected)
    expect(quiet.screen()).toBe('')
  })

  test('says that its id is unknown, wherever its errors go', async () => {
    const running = startCommand(['subscribe', '--hub', hub.url, '--last-event-id', 'urn:nobody'], '/tmp')
    await until('the line', () => running.err().includes('\n'))
    expect(running.err()).toBe(
      'cinnabar subscribe: the hub does not know the event "urn:nobody": updates may be missing\n',
    )
    expect(await running.stop('SIGINT')).toBe(0)
  })

  test('and publish give the reason of the hub', async () => {
    const stranger = await tokenFor({ publish: ['*'], issuer: 'https://stranger.example' })
    const refused = async (words: readonly string[]) =>
      (await runCommand([...words, '--hub', hub.url], '/tmp')).err.replace(/^cinnabar \w+: /, '')
    expect(await refused(['subscribe', '{', '--urlpattern', '{'])).toBe(
      'the hub answers 400: a matcher is not valid\n',
    )
    expect(await refused(['publish', 't', '--data', 'x'])).toStartWith(
      'the hub answers 401: a token is required; give one with --token, --token-file or CINNABAR_TOKEN',
    )
    expect(await refused(['publish', 't', '--data', 'x', '--token', stranger])).toBe(
      'the hub answers 401 invalid_token: the token was not accepted; cinnabar token explain TOKEN says what is wrong with one\n',
    )
    const elsewhere = ['publish', 't', '--data', 'x', '--hub', `${hub.origin}/elsewhere`]
    expect((await runCommand(elsewhere, '/tmp')).err).toContain(
      '404: not found; give the URL of the hub with --hub',
    )
  })
})

describe('a progress bar stays on one line', () => {
  test.each([
    [40, 'xterm'],
    [25, 'xterm'],
    [10, 'xterm'],
    [200, 'xterm'],
    [40, 'dumb'],
    [10, 'dumb'],
  ])('of %d columns under TERM=%s', async (columns, TERM) => {
    const env = { CINNABAR_TOKEN: await publisherToken(), TERM }
    const run = `"$C" bench publish --publishers 1 --duration 300ms --warmup 0 --hub ${hub.url} >/dev/null`
    await using terminal = openTerminal(run, { columns, env })
    expect(await terminal.exited).toBe(0)
    const shown = terminal.screen()
    expect(shown).not.toContain('\n')
    if (TERM === 'dumb') expect(shown).not.toMatch(/[^\r -~]/)
    const pieces = shown.split(/\r(?:\x1b\[K)?/).filter((piece) => piece !== '')
    expect(pieces.length).toBeGreaterThan(1)
    for (const piece of pieces) expect(piece.length).toBeLessThan(columns)
    // The bar is gone when the run is over.
    expect(shown).toEndWith(TERM === 'dumb' ? ' \r' : '\r\x1b[K')
  })
})

test('the log of a hub is for people on a terminal, and JSON in a file though it was started on one', async () => {
  const serve = '"$C" serve --hub-anonymous --listen nowhere.invalid:0 --transport memory --admin-listen ""'
  const onTerminal = openTerminal(serve)
  expect(await onTerminal.exited).toBe(1)
  expect(onTerminal.screen()).toContain('\nlisten: there is no host nowhere.invalid\r\n')
  const inFile = openTerminal(`L=$(mktemp); ${serve} 2>$L; cat $L; rm $L`)
  expect(await inFile.exited).toBe(0)
  const [, last = ''] = inFile.screen().split('\r\n')
  expect(JSON.parse(last)).toMatchObject({
    level: 'error',
    message: 'listen: there is no host nowhere.invalid',
  })
  for (const terminal of [onTerminal, inFile]) await terminal[Symbol.asyncDispose]()
})
