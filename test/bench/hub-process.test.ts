import { describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HubProcess, parseListening } from '../../src/bench/client/hub-process.ts'
import { startLocalHub } from '../../src/bench/client/local-hub.ts'

const line = (fields: Readonly<Record<string, unknown>>) =>
  JSON.stringify({ time: '2026-01-01T00:00:00.000Z', level: 'info', message: 'listening', ...fields })

describe('the line that says where a hub listens', () => {
  test('names the hub listeners in order, and the admin listener', () => {
    const addresses = 'http://127.0.0.1:1 unix:/run/hub.sock'
    expect(parseListening(line({ addresses, admin: 'http://127.0.0.1:2', transport: 'local' }))).toEqual({
      hub: 'http://127.0.0.1:1',
      hubs: ['http://127.0.0.1:1', 'unix:/run/hub.sock'],
      admin: 'http://127.0.0.1:2',
    })
  })

  test('without an admin listener, or from before it had a field of its own, it names none', () => {
    const addresses = 'http://127.0.0.1:1'
    expect(parseListening(line({ addresses, admin: null }))).toMatchObject({ hub: addresses, admin: null })
    expect(parseListening(line({ addresses }))).toMatchObject({ hub: addresses, admin: null })
  })

  test('is no other line', () => {
    expect(parseListening(line({ message: 'certificate renewed' }))).toBeNull()
    expect(parseListening(line({}))).toBeNull()
    expect(parseListening('cut off: "message":"listening"')).toBeNull()
    expect(parseListening('')).toBeNull()
  })
})

/** A program that writes these pieces to its standard error, and goes on or ends. */
function program(pieces: readonly string[], end: string): readonly string[] {
  const writes = pieces.map((piece) => `process.stderr.write(${JSON.stringify(piece)});await Bun.sleep(1);`)
  return [process.execPath, '-e', `${writes.join('')}${end}`]
}

describe('a process of a hub', () => {
  test('is found in whatever pieces its log comes, and ends by the signal', async () => {
    const text = `{"message":"x","long":"${'y'.repeat(2000)}"}\n${line({ addresses: 'http://a:1' })}\n`
    const pieces = [text.slice(0, 1500), text.slice(1500, 2100), text.slice(2100)]
    let log = ''
    const hub = new HubProcess({
      command: program(pieces, 'setInterval(() => {}, 1000)'),
      env: {},
      onOutput: (piece) => {
        log += piece
      },
    })
    expect(await hub.addresses()).toMatchObject({ hub: 'http://a:1' })
    expect(await hub.stop('SIGTERM')).toBe(143)
    expect(log).toBe(text)
    expect(await hub.ending()).toStartWith('ended by SIGTERM: {"time"')
    expect(await hub.stop()).toBe(143)
  })

  test('that ends before it listens says so with its last line', async () => {
    const hub = new HubProcess({ command: program(['one\n', 'two'], 'process.exit(3)'), env: {} })
    await expect(hub.addresses()).rejects.toThrow('it did not start, ended by 3: two')
  })

  test('that does not listen in time is told', async () => {
    const hub = new HubProcess({ command: program([], 'setInterval(() => {}, 1000)'), env: {} })
    await expect(hub.addresses(1)).rejects.toThrow('it does not listen after 0.001 s')
    await hub.stop()
  })
})

test('a hub that does not start leaves no process, and its whole log is why', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'cinnabar-test-'))
  try {
    const executable = join(directory, 'hub')
    await Bun.write(executable, '#!/bin/sh\necho first >&2\necho second >&2\nexit 78\n')
    await Bun.$`chmod +x ${executable}`
    const starting = startLocalHub({ executable, flags: [], directory })
    await expect(starting).rejects.toThrow('ended by 78: second\nfirst\nsecond')
    expect(await readdir(directory)).toEqual(['hub'])
    await expect(
      startLocalHub({ executable: join(directory, 'none'), flags: [], directory }),
    ).rejects.toThrow('none is missing: run sh scripts/build.sh')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
