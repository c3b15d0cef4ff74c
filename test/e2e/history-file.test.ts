import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { linkSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningHub, startHub } from '../support/binary.ts'
import { catchUp } from '../support/catch-up.ts'
import { publish } from '../support/publisher.ts'
import { type CommandEnd, runCommand } from '../support/run-command.ts'

/** The file of the history, its names, and whom it belongs to. */

setDefaultTimeout(20_000)

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'cinnabar-file-'))
  cleanup.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

async function start(directory: string): Promise<RunningHub> {
  const hub = await startHub({ directory, flags: ['--hub-anonymous'] })
  cleanup.push(() => hub.stop('SIGKILL'))
  return hub
}

/** A hub that is expected to end by itself. */
function serve(directory: string): Promise<CommandEnd> {
  return runCommand(['serve', '--listen', '127.0.0.1:0', '--admin-listen', ''], directory)
}

async function keptIds(hub: RunningHub): Promise<readonly string[]> {
  const reader = await catchUp(hub, 'earliest')
  reader.close()
  return reader.ids
}

describe('a second hub', () => {
  const ways: readonly (readonly [how: string, otherOf: (home: string) => string])[] = [
    [
      'through a symbolic link',
      (home) => {
        const other = folder()
        symlinkSync(join(home, 'cinnabar.db'), join(other, 'cinnabar.db'))
        return other
      },
    ],
    [
      'through a hard link',
      (home) => {
        const other = folder()
        linkSync(join(home, 'cinnabar.db'), join(other, 'cinnabar.db'))
        return other
      },
    ],
    [
      'after the file of the lock was deleted',
      (home) => {
        unlinkSync(join(home, 'cinnabar.db.lock'))
        return home
      },
    ],
  ]
  for (const [how, otherOf] of ways) {
    test(`S13 on the same file ${how} is refused with 1, and the first loses nothing`, async () => {
      const home = folder()
      const hub = await start(home)
      const sent = [await publish(hub.url, { topic: 'a' })]
      const other = otherOf(home)
      const { code, err } = await serve(other)
      expect([code, err]).toEqual([1, expect.stringContaining('another hub is running')])
      sent.push(await publish(hub.url, { topic: 'a' }))
      await hub.stop('SIGKILL')
      expect(await keptIds(await start(home))).toEqual(sent)
    })
  }
})

describe('a new history', () => {
  test('S9 leaves files and links of names that it may use as they are', async () => {
    const home = folder()
    const precious = join(folder(), 'precious')
    await Bun.write(precious, 'precious')
    symlinkSync(precious, join(home, 'cinnabar.db.new'))
    const hub = await start(home)
    await publish(hub.url, { topic: 'a' })
    expect(await hub.stop('SIGTERM')).toBe(0)
    expect(await Bun.file(precious).text()).toBe('precious')
    expect(readdirSync(home).toSorted()).toEqual(['cinnabar.db', 'cinnabar.db.lock', 'cinnabar.db.new'])
  })

  test('S9 after a start that was killed half way does not touch the history that was moved away', async () => {
    const home = folder()
    const hub = await start(home)
    const sent = await publish(hub.url, { topic: 'a' })
    expect(await hub.stop('SIGTERM')).toBe(0)
    const moved = folder()
    // The second name that a kill between two steps of an older version leaves.
    linkSync(join(home, 'cinnabar.db'), join(home, 'cinnabar.db.new'))
    linkSync(join(home, 'cinnabar.db'), join(moved, 'cinnabar.db'))
    unlinkSync(join(home, 'cinnabar.db'))
    const fresh = await start(home)
    expect(await keptIds(fresh)).toEqual([])
    await fresh.stop('SIGTERM')
    expect(await keptIds(await start(moved))).toEqual([sent])
  })

  test('is for its owner alone, as exports are, with its journal', async () => {
    const home = folder()
    const hub = await start(home)
    await publish(hub.url, { topic: 'a', private: 'on' })
    for (const name of ['cinnabar.db', 'cinnabar.db-wal', 'cinnabar.db-shm']) {
      expect(statSync(join(home, name)).mode & 0o777).toBe(0o600)
    }
  })
})
