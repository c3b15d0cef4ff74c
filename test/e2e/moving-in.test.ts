import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventSourcePolyfill } from 'event-source-polyfill'
import { binaryPath, type RunningHub, startHub, until } from '../support/binary.ts'
import { copyBolt, holdFile, readBoltUpdates } from '../support/bolt.ts'
import { writeBolt } from '../support/bolt-writer.ts'
import { publish } from '../support/publisher.ts'
import { bareEnv, runCommand } from '../support/run-command.ts'
import { StreamClient } from '../support/stream-client.ts'
import { forge, secretOf, tokenFor } from '../support/tokens.ts'

/** The history of another hub, imported, served, and resumed from. */

setDefaultTimeout(30_000)

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'cinnabar-moving-'))
  cleanup.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

const oldToken = (role: 'publisher' | 'subscriber') =>
  forge(
    { alg: 'HS256', typ: 'JWT' },
    { mercure: { publish: ['*'], subscribe: ['*'] } },
    secretOf(`issuer-a/${role}`),
  )

/** The most memory that was resident in the process, in bytes; 0 once it has ended. */
async function highWaterMark(pid: number): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`)
    .text()
    .catch(() => '')
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
}

/** Everything that the hub has after the id, private updates included, up to a publication of now. */
async function readOn(hub: RunningHub, lastEventId: string): Promise<StreamClient> {
  const token = await tokenFor({ subscribe: ['*'] })
  const reader = await StreamClient.open(`${hub.url}?match=*`, {
    Authorization: `Bearer ${token}`,
    'Last-Event-ID': lastEventId,
  })
  cleanup.push(() => reader.close())
  const last = await publish(hub.url, { topic: 'https://example.com/last', data: 'last' })
  await until('the last update', () => reader.ids.includes(last))
  expect(reader.ids.at(-1)).toBe(last)
  return reader
}

describe('the history of another hub', () => {
  test('is served in its order, and its clients go on with their last ids', async () => {
    const directory = folder()
    const name = 'v1.0-unlimited'
    copyBolt(name, join(directory, 'mercure.db'))
    const updates = await readBoltUpdates(name)
    expect(await runCommand(['history', 'import', '--from', 'bolt', 'mercure.db'], directory)).toMatchObject({
      code: 0,
      out: expect.stringContaining('imported 5,025 entries\n'),
      err: '',
    })
    const hub = await startHub({ directory, flags: ['--history-max-age', 'unlimited'] })
    cleanup.push(() => hub.stop('SIGKILL'))
    const whole = await readOn(hub, 'earliest')
    expect(whole.ids.slice(0, -1)).toEqual(updates.map(({ id }) => id))
    expect(whole.events.slice(0, -1).map(({ data }) => data)).toEqual(
      updates.map(({ data }) => (data ?? '').replace(/\r\n|\r/g, '\n')),
    )
    const middle = updates[4000]
    const rest = await readOn(hub, middle?.id ?? '')
    expect(rest.headers.get('mercure-last-event-id')).toBe(middle?.id ?? '')
    // The first reader's last publication came after the import.
    expect(rest.ids.slice(0, -2)).toEqual(updates.slice(4001).map(({ id }) => id))
  })

  test('LEG-17 LEG-25 a polyfill that was connected to that hub goes on with its last id, without gap or double', async () => {
    const directory = folder()
    const name = 'v0.24.2'
    copyBolt(name, join(directory, 'mercure.db'))
    expect(await runCommand(['history', 'import', '--from', 'bolt', 'mercure.db'], directory)).toMatchObject({
      code: 0,
    })
    const legacy = ['--hub-legacy', '8', '--hub-legacy-issuer', 'https://a.example']
    const hub = await startHub({ directory, flags: [...legacy, '--history-max-age', 'unlimited'] })
    cleanup.push(() => hub.stop('SIGKILL'))
    // The reader stays, and would get what comes next as well.
    const events = [...(await readOn(hub, 'earliest')).events]
    const middle = Math.floor(events.length / 2)
    const from = events[middle]?.id ?? ''
    const received: string[] = []
    const query = `topic=*&lastEventId=${encodeURIComponent(from)}`
    const source = new EventSourcePolyfill(`${hub.url}?${query}`, {
      headers: { Authorization: `Bearer ${oldToken('subscriber')}` },
    })
    cleanup.push(() => source.close())
    for (const type of new Set(events.map((event) => event.type))) {
      source.addEventListener(type, (event) => {
        if (event instanceof MessageEvent || 'lastEventId' in event) received.push(String(event.lastEventId))
      })
    }
    const last = await publish(hub.url, { topic: 'https://example.com/last' }, oldToken('publisher'))
    await until('the last update', () => received.includes(last))
    expect(received).toEqual([...events.slice(middle + 1).map(({ id }) => id), last])
  })

  test('is not imported while that hub runs, nor while this one does', async () => {
    const directory = folder()
    const bolt = copyBolt('v1.0-one', join(directory, 'mercure.db'))
    const words = ['history', 'import', '--from', 'bolt', 'mercure.db']
    const holder = await holdFile(bolt)
    cleanup.push(holder.release)
    expect(await runCommand(words, directory)).toMatchObject({
      code: 1,
      err: expect.stringContaining('is in use by another program: stop that hub'),
    })
    expect(existsSync(join(directory, 'cinnabar.db'))).toBe(false)
    await holder.release()
    const hub = await startHub({ directory })
    cleanup.push(() => hub.stop('SIGKILL'))
    expect(await runCommand(words, directory)).toMatchObject({ code: 1, out: '' })
    await hub.stop()
    expect(await runCommand(words, directory)).toMatchObject({ code: 0, out: 'imported 1 entry\n' })
  })

  // CI imports a small file in the same way; docs name the variable for a large one.
  const mebibytes = Number(process.env['BOLT_FILE_MIB'] ?? 24)
  test(`of ${mebibytes} MiB is imported in bounded memory`, async () => {
    const directory = folder()
    const path = join(directory, 'mercure.db')
    const data = 'x'.repeat(900)
    const updates = function* () {
      for (let number = 1; number <= mebibytes * 1024; number++) {
        const id = `urn:uuid:${String(number).padStart(36, '0')}`
        const update = {
          Data: data,
          ID: id,
          Type: '',
          Retry: 0,
          Topics: [`https://example.com/${number % 1000}`],
        }
        yield [id, JSON.stringify({ ...update, Private: number % 2 === 0, Debug: false })] as const
      }
    }
    const count = writeBolt(path, updates())
    expect(statSync(path).size).toBeGreaterThan(mebibytes * 1024 * 1024)
    const limits = ['count', 'age', 'bytes'].flatMap((limit) => [`--history-max-${limit}`, 'unlimited'])
    const child = Bun.spawn([binaryPath(), 'history', 'import', '--from', 'bolt', 'mercure.db', ...limits], {
      cwd: directory,
      env: bareEnv,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let most = 0
    // The high-water mark only grows, and it is gone with the process.
    await until(
      'the end of the import',
      async () => {
        most = Math.max(most, await highWaterMark(child.pid))
        return child.exitCode !== null
      },
      500_000,
    )
    const out = await new Response(child.stdout).text()
    expect([await child.exited, out]).toEqual([0, `imported ${count.toLocaleString('en-US')} entries\n`])
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThan(200 * 1024 * 1024)
  }, 600_000)
})
