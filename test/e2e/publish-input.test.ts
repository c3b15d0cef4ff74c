import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { binaryPath, metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { publisherToken } from '../support/publisher.ts'
import { bareEnv } from '../support/run-command.ts'
import { StreamClient } from '../support/stream-client.ts'
import { openTerminal } from '../support/terminal.ts'

/** Where `cinnabar publish` takes the data from, by how it is called. */

let hub: RunningHub
let env: Record<string, string>
beforeAll(async () => {
  hub = await startHub({ flags: ['--hub-anonymous', '--transport', 'memory'] })
  env = { ...bareEnv, C: binaryPath(), H: hub.url, CINNABAR_TOKEN: await publisherToken() }
})
afterAll(() => hub.dispose())

/** Runs a line of the shell and resolves with the data of all events that it has published. */
async function published(line: string): Promise<readonly string[]> {
  const reader = await StreamClient.open(`${hub.url}?match=t`)
  const before = await metric(hub, 'mercure_updates_total')
  const child = Bun.spawn(['sh', '-c', line], { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect([await child.exited, err]).toEqual([0, ''])
  const count = (await metric(hub, 'mercure_updates_total')) - before
  await until('the events', () => reader.events.length === count)
  expect(reader.ids).toEqual(out.trim().split('\n'))
  reader.close()
  return reader.events.map(({ data }) => data)
}

const publish = '"$C" publish t --hub "$H"'

describe('M13 publish', () => {
  test.each([
    ['reads the data from a pipe', `echo x | ${publish}`, 'x\n'],
    [
      'reads all of it, with its blanks and without a line break to add',
      `printf ' a\\n\\n b' | ${publish}`,
      ' a\n\n b',
    ],
    ['reads it from a file', `F=$(mktemp); printf é > $F; ${publish} < $F; rm $F`, 'é'],
    ['reads a slow pipe to its end', `{ printf a; sleep 0.3; printf b; } | ${publish}`, 'ab'],
    ['reads the pipe with -', `echo x | ${publish} --data -`, 'x\n'],
    ['takes the data that is given before a pipe', `echo x | ${publish} --data y`, 'y'],
    ['takes the empty data that is given before a pipe', `echo x | ${publish} --data ''`, ''],
    ['publishes no data from an empty pipe', `true | ${publish}`, ''],
    ['publishes no data from /dev/null', `${publish} < /dev/null`, ''],
    ['publishes no data when the standard input is closed', `${publish} <&-`, ''],
    ['reads a large pipe', `head -c 900000 /dev/zero | tr '\\0' x | ${publish}`, 'x'.repeat(900_000)],
  ])('%s', async (_, line, data) => {
    expect(await published(line)).toEqual([data])
  })

  test('leaves the lines of a loop alone when the data is given', async () => {
    const loop = `printf '1\\n2\\n3\\n' | while read -r line; do ${publish} --data "$line"; done`
    expect(await published(loop)).toEqual(['1', '2', '3'])
  })

  test('does not wait for a pipe that never ends when the data is given', async () => {
    const child = Bun.spawn([binaryPath(), 'publish', 't', '--hub', hub.url, '--data', 'y'], {
      env,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    expect(await child.exited).toBe(0)
    expect(await new Response(child.stdout).text()).toStartWith('urn:uuid:')
    child.stdin.end()
  })

  test('publishes no data on a terminal, without waiting', async () => {
    const before = await metric(hub, 'mercure_updates_total')
    await using terminal = openTerminal(publish, { env })
    expect(await terminal.exited).toBe(0)
    expect(await metric(hub, 'mercure_updates_total')).toBe(before + 1)
    expect(terminal.screen()).toMatch(/^urn:uuid:\S+\r\n$/)
  })

  test('reads a terminal with -', async () => {
    const reader = await StreamClient.open(`${hub.url}?match=t`)
    await using terminal = openTerminal(`${publish} --data -`, { env })
    terminal.type('typed\n\x04')
    expect(await terminal.exited).toBe(0)
    await until('the event', () => reader.events.length === 1)
    expect(reader.events[0]?.data).toBe('typed\n')
    reader.close()
  })

  test('says what it waits for when the pipe does not end', async () => {
    const child = Bun.spawn([binaryPath(), 'publish', 't', '--hub', hub.url], {
      env,
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    let err = ''
    for await (const chunk of child.stderr) {
      err += new TextDecoder().decode(chunk)
      if (err.includes('\n')) break
    }
    expect(err).toContain('waiting for the end of the standard input; --data TEXT')
    child.stdin.end()
    expect(await child.exited).toBe(0)
  })
})
