import { Database } from 'bun:sqlite'
import { afterEach, describe, expect, test } from 'bun:test'
import { linkSync, lstatSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { compactHistory } from '../../../src/history/compact.ts'
import { importHistory } from '../../../src/history/import.ts'
import { historyStats } from '../../../src/history/stats.ts'
import { realPath } from '../../../src/transport/sqlite/file/real-path.ts'
import { isHistoryHeld, lockHistory } from '../../../src/transport/sqlite/lock.ts'
import { openHistory } from '../../../src/transport/sqlite/schema.ts'
import { envelope, refusal } from '../contract.ts'
import { type SqliteLog, sqliteLogAt, startChild, temporaryFolder } from './log.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

function folder(): string {
  const { path, remove } = temporaryFolder()
  cleanup.push(remove)
  return path
}

async function open(path: string): Promise<SqliteLog> {
  const log = sqliteLogAt(path)
  await log.transport.open(() => {})
  // One whose name was removed cannot be closed.
  cleanup.push(() => log.transport.close().catch(() => {}))
  return log
}

/** Other names of the file at `path`, as another hub may have been given them. */
const names: Readonly<Record<string, (path: string, directory: string) => string>> = {
  'a symbolic link': (path, directory) => {
    symlinkSync(path, join(directory, 'link.db'))
    return join(directory, 'link.db')
  },
  'a chain of symbolic links, one of them relative': (path, directory) => {
    symlinkSync(path, join(directory, 'first.db'))
    symlinkSync('first.db', join(directory, 'second.db'))
    return join(directory, 'second.db')
  },
  'a link to its directory': (path, directory) => {
    symlinkSync(join(path, '..'), join(directory, 'linked'))
    return join(directory, 'linked', 'history.db')
  },
  'a hard link': (path, directory) => {
    linkSync(path, join(directory, 'hard.db'))
    return join(directory, 'hard.db')
  },
  'its own name after the file of the lock was removed': (path) => {
    unlinkSync(`${path}.lock`)
    return path
  },
  'its own name after the file of the lock was replaced': (path) => {
    renameSync(`${path}.lock`, `${path}.lock-before`)
    new Database(`${path}.lock`).close()
    return path
  },
}

for (const [how, nameOf] of Object.entries(names)) {
  describe(`S13 a history that a hub has open, through ${how}`, () => {
    test('is refused to another hub of this process', async () => {
      const [home, elsewhere] = [folder(), folder()]
      const { transport } = await open(join(home, 'history.db'))
      await transport.append(envelope('a'))
      const other = nameOf(join(home, 'history.db'), elsewhere)
      expect(await refusal(open(other))).toMatchObject({
        message: expect.stringContaining('another hub is running'),
      })
    })

    test('is refused to a hub of another process, and to tools that would be alone', async () => {
      const [home, elsewhere] = [folder(), folder()]
      const path = join(home, 'history.db')
      const child = await startChild(path, 'a')
      cleanup.push(() => child.process.kill('SIGKILL'))
      const other = nameOf(path, elsewhere)
      const running = { message: expect.stringContaining('another hub is running') }
      expect(await refusal(open(other))).toMatchObject(running)
      expect(await refusal(importHistory(other, []))).toMatchObject(running)
      expect(isHistoryHeld(other)).toBe(true)
      child.process.kill('SIGKILL')
      await child.process.exited
      expect(isHistoryHeld(other)).toBe(false)
    })
  })
}

test('S13 a hub whose file has only another name left keeps it locked, until it has ended', async () => {
  const [home, elsewhere] = [folder(), folder()]
  await open(join(home, 'history.db'))
  linkSync(join(home, 'history.db'), join(elsewhere, 'hard.db'))
  unlinkSync(join(home, 'history.db'))
  expect(await refusal(open(join(elsewhere, 'hard.db')))).toMatchObject({
    message: expect.stringContaining('another hub is running'),
  })
})

test('S13 a tool that looks whether a hub is running keeps none from starting and takes no lock of it away', async () => {
  const path = join(folder(), 'history.db')
  const { transport } = await open(path)
  await transport.append(envelope('a'))
  for (let look = 0; look < 5; look++) {
    expect(await historyStats(path, 1)).toMatchObject({ isRunning: true, rows: 1 })
    expect(await compactHistory(path, async () => {})).toMatchObject({ way: 'beside' })
  }
  await transport.append(envelope('b'))
  await transport.close()
  expect(await historyStats(path, 1)).toMatchObject({ isRunning: false, rows: 2 })
  await open(path)
})

test('S13 the journal and the lock are beside the file, whatever name it is opened by', async () => {
  const [home, elsewhere] = [folder(), folder()]
  mkdirSync(join(home, 'data'))
  symlinkSync(join(home, 'data', 'history.db'), join(elsewhere, 'link.db'))
  const { transport } = await open(join(elsewhere, 'link.db'))
  await transport.append(envelope('a', 1000))
  const { fileBytes } = await transport.stats()
  const sizes = ['history.db', 'history.db-wal'].map((name) => Bun.file(join(home, 'data', name)).size)
  expect(fileBytes).toBe(sizes.reduce((sum, bytes) => sum + bytes, 0))
  const files = await Array.fromAsync(new Bun.Glob('*').scan({ cwd: elsewhere, onlyFiles: false }))
  expect(files).toEqual(['link.db'])
})

test('a path that leads nowhere is left as it is, and a circle of links too', () => {
  const directory = realPath(folder())
  symlinkSync('b', join(directory, 'a'))
  symlinkSync('a', join(directory, 'b'))
  expect(realPath(join(directory, 'a'))).toBe(join(directory, 'a'))
  expect(realPath(join(directory, 'missing', 'x.db'))).toBe(join(directory, 'missing', 'x.db'))
  expect(realPath(join(directory, 'new.db'))).toBe(join(directory, 'new.db'))
})

test('what was locked can be locked again when it was closed, also when opening failed', async () => {
  const path = join(folder(), 'history.db')
  lockHistory(path).close()
  const database = openHistory(path)
  database.run('PRAGMA user_version = 99')
  database.close(true)
  expect(await refusal(open(path))).toMatchObject({ message: expect.stringContaining('newer version') })
  lockHistory(path).close()
  expect(lstatSync(`${path}.lock`).isFile()).toBe(true)
  rmSync(path)
})
