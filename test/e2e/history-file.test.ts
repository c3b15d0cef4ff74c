import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binaryPath, type RunningHub, startHub } from '../support/binary.ts'
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

const NOBODY = 65_534

const asNobody = ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups', binaryPath()]

function mayBeNobody(): boolean {
  if (process.getuid?.() !== 0 || Bun.which('setpriv') === null) return false
  return Bun.spawnSync([...asNobody, 'version']).exitCode === 0
}

/** It takes root to be somebody else. */
const otherUser = test.skipIf(!mayBeNobody())

describe('a hub that runs as another user than the history belongs to', () => {
  /** A folder of nobody's with a history that one of its hubs has made. */
  async function madeByNobody(): Promise<string> {
    const home = folder()
    chownSync(home, NOBODY, NOBODY)
    const hub = nobody(home)
    await logged(hub, 'listening')
    hub.kill('SIGTERM')
    expect(await hub.exited).toBe(0)
    expect(statSync(join(home, 'cinnabar.db')).uid).toBe(NOBODY)
    return home
  }

  function nobody(home: string) {
    const child = Bun.spawn(
      [...asNobody, 'serve', '--listen', '127.0.0.1:0', '--admin-listen', '', '--log-format', 'json'],
      {
        cwd: home,
        env: { PATH: process.env['PATH'] ?? '' },
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: 15_000,
      },
    )
    cleanup.push(() => child.kill('SIGKILL'))
    return child
  }

  async function logged({ stderr }: ReturnType<typeof nobody>, text: string): Promise<string> {
    let log = ''
    for await (const chunk of stderr.pipeThrough(new TextDecoderStream())) {
      log += chunk
      if (log.includes(text)) break
    }
    return log
  }

  const mine = (path: string) => {
    if (!existsSync(path)) writeFileSync(path, '')
    chownSync(path, 0, 0)
    chmodSync(path, 0o644)
  }
  const cases: readonly (readonly [what: string, spoil: (home: string) => void, reason: string])[] = [
    ['a history of root', (home) => mine(join(home, 'cinnabar.db')), 'cinnabar.db belongs to user 0'],
    [
      'a history of root that nobody else may read',
      (home) => {
        mine(join(home, 'cinnabar.db'))
        chmodSync(join(home, 'cinnabar.db'), 0o600)
      },
      'cinnabar.db belongs to user 0',
    ],
    ['a journal of root', (home) => mine(join(home, 'cinnabar.db-wal')), 'cinnabar.db-wal belongs to user 0'],
    ['an index of root', (home) => mine(join(home, 'cinnabar.db-shm')), 'cinnabar.db-shm belongs to user 0'],
    ['a lock of root', (home) => mine(join(home, 'cinnabar.db.lock')), 'cinnabar.db.lock belongs to user 0'],
    ['a folder of root', (home) => chownSync(home, 0, 0), 'belongs to user 0'],
    [
      'a folder of root without a history',
      (home) => {
        chownSync(home, 0, 0)
        for (const name of readdirSync(home)) unlinkSync(join(home, name))
      },
      'belongs to user 0',
    ],
    [
      'a history of its own that is write-protected',
      (home) => chmodSync(join(home, 'cinnabar.db'), 0o444),
      'change its mode',
    ],
  ]
  for (const [what, spoil, reason] of cases) {
    otherUser(`M11 is refused at the start with the reason and what to do: ${what}`, async () => {
      const home = await madeByNobody()
      spoil(home)
      const before = readdirSync(home)
      const hub = nobody(home)
      const [code, log] = await Promise.all([hub.exited, logged(hub, 'never there')])
      expect([code, log]).toEqual([1, expect.stringContaining(reason)])
      expect(log).toContain('must exist and be writable for this user')
      expect(log).not.toContain('listening')
      expect(readdirSync(home)).toEqual(before)
    })
  }

  otherUser('M11 is refused while a hub of root runs on the file', async () => {
    const home = folder()
    chownSync(home, NOBODY, NOBODY)
    const first = await start(home)
    const hub = nobody(home)
    expect(await hub.exited).toBe(1)
    await publish(first.url, { topic: 'a' })
    expect(await first.stop('SIGTERM')).toBe(0)
  })

  otherUser('M11 starts where everything is its own, also after a kill', async () => {
    const home = await madeByNobody()
    const first = nobody(home)
    await logged(first, 'listening')
    first.kill('SIGKILL')
    await first.exited
    const second = nobody(home)
    expect(await logged(second, 'listening')).toContain('listening')
  })
})
