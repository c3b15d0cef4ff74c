import { Database } from 'bun:sqlite'
import { afterEach, describe, expect, test } from 'bun:test'
import { renameSync, truncateSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { compactHistory } from '../../../src/history/compact.ts'
import { pruneHistory } from '../../../src/history/prune.ts'
import { START } from '../../../src/hub/transport.ts'
import type { Notice } from '../../../src/transport/notice.ts'
import { envelope, refusal, unlimited, wholeLog } from '../contract.ts'
import { type SqliteLog, sqliteLogAt, temporaryFolder } from './log.ts'

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

async function open(): Promise<SqliteLog & { path: string; notices: Notice[] }> {
  const folder = temporaryFolder()
  cleanup.push(folder.remove)
  const path = join(folder.path, 'history.db')
  const notices: Notice[] = []
  const log = sqliteLogAt(path, { notify: (notice) => notices.push(notice) })
  await log.transport.open(() => {})
  cleanup.push(() => log.transport.close().catch(() => {}))
  return { ...log, path, notices }
}

const unavailable = { code: 'store-unavailable' }

describe('M5 S12 a log whose file was taken away', () => {
  test('refuses everything with one notice, also to be closed', async () => {
    const { transport, path, notices } = await open()
    await transport.append(envelope('a'))
    unlinkSync(path)
    expect(await refusal(transport.append(envelope('b')))).toMatchObject(unavailable)
    expect(await refusal(transport.check())).toMatchObject(unavailable)
    expect(await refusal(transport.find('a'))).toMatchObject(unavailable)
    expect(await refusal(transport.read(START, START, wholeLog))).toMatchObject(unavailable)
    expect(await refusal(transport.prune())).toMatchObject(unavailable)
    expect(notices).toEqual([{ kind: 'lost', problem: expect.stringContaining('was removed or moved away') }])
    expect(await refusal(transport.close())).toMatchObject(unavailable)
  })

  test('goes on when it is back, and what it refused is not in it', async () => {
    const { transport, path, notices } = await open()
    await transport.append(envelope('a'))
    renameSync(path, `${path}.away`)
    expect(await refusal(transport.append(envelope('b')))).toMatchObject(unavailable)
    renameSync(`${path}.away`, path)
    await transport.check()
    await transport.append(envelope('c'))
    expect(await transport.find('b')).toBeNull()
    expect(await transport.find('c')).not.toBeNull()
    expect(notices).toHaveLength(1)
  })

  test('is not read once the index of its journal was cut, however long that had grown', async () => {
    const { transport, path } = await open()
    const holder = new Database(path, { readwrite: true, create: false })
    cleanup.push(() => holder.close())
    holder.run('BEGIN')
    holder.query('SELECT count(*) FROM entry').get()
    // A reader keeps the journal from starting over, so that its index needs a second part.
    while (Bun.file(`${path}-shm`).size < 65_536) await transport.append(envelope('x', 500_000))
    await transport.find('x')
    holder.run('COMMIT')
    truncateSync(`${path}-shm`, 32_768)
    expect(await refusal(transport.find('x'))).toMatchObject(unavailable)
    expect(await refusal(transport.append(envelope('y')))).toMatchObject(unavailable)
    truncateSync(`${path}-shm`, 65_536)
  }, 30_000)
})

test('M5 what tools do beside a hub is nobody taking the file away', async () => {
  const { transport, path, notices } = await open()
  const pause = async () => {}
  for (let round = 0; round < 8; round++) {
    const appended = Array.from({ length: 300 }, (_, at) =>
      transport.append(envelope(`${round}-${at}`, 4000)),
    )
    await Promise.all(appended)
    const options = { keep: { ...unlimited, maxCount: 20 }, matches: null, now: 0, isDryRun: false, pause }
    await Promise.all([pruneHistory(path, options), compactHistory(path, pause)])
    const tool = new Database(path, { readwrite: true, create: false })
    tool.run('PRAGMA wal_checkpoint(TRUNCATE)')
    tool.run('UPDATE state SET probes = probes + 1')
    tool.close()
    await Promise.all([transport.check(), compactHistory(path, pause), transport.append(envelope('x'))])
  }
  await transport.prune()
  expect(notices).toEqual([])
}, 30_000)
