import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { copyBolt, holdFile, readBoltUpdates } from '../support/bolt.ts'
import { publish } from '../support/publisher.ts'
import { runCommand } from '../support/run-command.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'

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
})
