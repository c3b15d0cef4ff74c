import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Load } from '../../src/bench/client/load.ts'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { catchUp } from '../support/catch-up.ts'
import { post, publish, publisherToken } from '../support/publisher.ts'
import { runCommand } from '../support/run-command.ts'
import { mayMount, mountSmall, takeRoom, unmount } from '../support/small-file-system.ts'
import { StreamClient } from '../support/stream-client.ts'

const cleanup: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

setDefaultTimeout(20_000)

const PAGE_BYTES = 8192
const data = 'x'.repeat(1000)

async function start(directory: string, flags: readonly string[] = []): Promise<RunningHub> {
  const hub = await startHub({ directory, flags: ['--hub-anonymous', '--hub-heartbeat', '1s', ...flags] })
  cleanup.push(() => hub.stop('SIGKILL'))
  return hub
}

async function readiness(hub: RunningHub): Promise<number> {
  return (await fetch(`${hub.adminUrl}/readyz`)).status
}

async function replayedIds(hub: RunningHub): Promise<readonly string[]> {
  const reader = await catchUp(hub, 'earliest')
  reader.close()
  return reader.ids
}

/** The tests of full and read-only file systems need the right to mount one. */
const mountable = test.skipIf(!mayMount())

function smallFileSystem(): string {
  const path = mountSmall()
  if (path === null) throw new Error('no file system can be mounted')
  cleanup.push(() => unmount(path))
  return path
}

describe('a full disk (skipped where no file system may be mounted)', () => {
  mountable(
    'PUB-53 refuses publications with 503, keeps readers, and goes on by itself when there is room',
    async () => {
      const directory = smallFileSystem()
      const hub = await start(directory)
      const accepted: string[] = []
      for (let number = 0; number < 50; number++) accepted.push(await publish(hub.url, { topic: 'a', data }))
      const live = await StreamClient.open(`${hub.url}?match=*`)
      await until('a refusal, and nothing left even for a probe', async () => {
        // A checkpoint may give a little room back at any time.
        takeRoom(directory)
        const answer = await post(hub.url, { topic: 'a', data })
        if (answer.status === 200) accepted.push(await answer.text())
        if (answer.status === 200 || (await readiness(hub)) === 200) return false
        expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '30'])
        return true
      })
      expect((await fetch(`${hub.origin}/healthz`)).status).toBe(200)
      // Who was connected stays, and the past can be read: no room is needed for that.
      const beats = live.lines.length
      await until('a heartbeat', () => live.lines.length > beats)
      expect(live.isClosed).toBe(false)
      expect(await replayedIds(hub)).toEqual(accepted)
      rmSync(join(directory, 'ballast'))
      await until('readiness', async () => (await readiness(hub)) === 200)
      accepted.push(await publish(hub.url, { topic: 'a', data }))
      await until('live delivery', () => live.ids.at(-1) === accepted.at(-1))
      expect(live.ids).toEqual(accepted.slice(50))
      await hub.stop('SIGKILL')
      const again = await start(directory)
      expect(await replayedIds(again)).toEqual(accepted)
      expect(await again.stop('SIGTERM')).toBe(0)
    },
  )

  mountable(
    'PUB-53 is survived by a restart: the past can be read, and publications go on when there is room',
    async () => {
      const directory = smallFileSystem()
      const hub = await start(directory)
      const accepted: string[] = []
      for (let number = 0; number < 50; number++) accepted.push(await publish(hub.url, { topic: 'a', data }))
      await hub.stop('SIGKILL')
      takeRoom(directory)
      const again = await start(directory)
      expect(await readiness(again)).toBe(503)
      expect(await replayedIds(again)).toEqual(accepted)
      rmSync(join(directory, 'ballast'))
      await until('readiness', async () => (await readiness(again)) === 200)
      accepted.push(await publish(again.url, { topic: 'a', data }))
      expect(await replayedIds(again)).toEqual(accepted)
    },
  )

  mountable('ends with a prune and a compaction, once there is the little room that they need', async () => {
    const directory = smallFileSystem()
    const reserve = join(directory, 'reserve')
    // The hub first needs as much as its journal holds, to bring that into the file.
    await Bun.write(reserve, new Uint8Array(4 << 20))
    const hub = await start(directory)
    const load = await Load.open(hub.url, await publisherToken(), 10)
    const refusal = await load.publish(20_000, () => `topic=a&data=${data}`).catch((error) => error)
    expect(refusal).toMatchObject({ message: expect.stringContaining('answers 503') })
    load.close()
    takeRoom(directory)
    const history = (...words: string[]) => runCommand(['history', ...words], directory)
    const refused = await history('prune', '--keep-count', '100')
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('no space left')])
    rmSync(reserve)
    expect((await history('prune', '--keep-count', '100')).code).toBe(0)
    expect((await history('compact')).code).toBe(0)
    await until('readiness', async () => (await readiness(hub)) === 200)
    await publish(hub.url, { topic: 'a', data })
    expect(await replayedIds(hub)).toHaveLength(101)
    expect(Bun.file(join(directory, 'cinnabar.db')).size).toBeLessThan(1 << 20)
  })

  /** A hub that has stored so many updates of a kilobyte on a small file system, and how it ended. */
  async function stored(count: number, end: 'stopped' | 'killed' | 'idle'): Promise<RunningHub> {
    const hub = await start(smallFileSystem())
    const load = await Load.open(hub.url, await publisherToken(), 10)
    await load.publish(count, () => `topic=a&data=${data}`)
    load.close()
    if (end === 'stopped') expect(await hub.stop('SIGTERM')).toBe(0)
    if (end === 'killed') await hub.stop('SIGKILL')
    if (end === 'idle') {
      await until('an empty journal', () => Bun.file(join(hub.directory, 'cinnabar.db-wal')).size === 0)
    }
    return hub
  }

  function elsewhere(): string {
    const path = mkdtempSync(join(tmpdir(), 'cinnabar-elsewhere-'))
    cleanup.push(() => rmSync(path, { recursive: true, force: true }))
    return path
  }

  const history = ({ directory }: RunningHub, ...words: string[]) =>
    runCommand(['history', ...words], directory)

  for (const end of ['stopped', 'idle', 'killed'] as const) {
    mountable(`M12 with half a mebibyte free is pruned and compacted; its hub is ${end}`, async () => {
      const hub = await stored(5000, end)
      const path = join(hub.directory, 'cinnabar.db')
      const before = Bun.file(path).size
      takeRoom(hub.directory, 512 << 10)
      const pruned = await history(hub, 'prune', '--keep-count', '100')
      expect([pruned.code, pruned.err]).toEqual([0, ''])
      const compacted = await history(hub, 'compact')
      expect([compacted.code, compacted.err]).toEqual([0, ''])
      await until('a small file', () => Bun.file(path).size < before / 10)
      const running = end === 'idle' ? hub : await start(hub.directory)
      await publish(running.url, { topic: 'a', data })
      expect(await replayedIds(running)).toHaveLength(101)
    })

    mountable(`M12 with nothing free says what to do, and that is enough; its hub is ${end}`, async () => {
      const hub = await stored(5000, end)
      takeRoom(hub.directory)
      const refused = await history(hub, 'prune', '--keep-count', '100')
      expect(refused.code).toBe(1)
      expect(refused.err).toContain('no space left for the history file cinnabar.db: its disk has 0 KiB free')
      expect(refused.err).toContain('cinnabar history compact --to FILE')
      const kib = Number(/make (\d+) KiB of room on that disk and prune again/.exec(refused.err)?.[1])
      const ballast = join(hub.directory, 'ballast')
      truncateSync(ballast, Bun.file(ballast).size - kib * 1024)
      const pruned = await history(hub, 'prune', '--keep-count', '100')
      expect([pruned.code, pruned.err]).toEqual([0, ''])
      expect((await history(hub, 'compact')).code).toBe(0)
    })

    mountable(
      `M12 with nothing free is copied to another disk, where a hub goes on; its hub is ${end}`,
      async () => {
        const hub = await stored(2000, end)
        takeRoom(hub.directory)
        const copy = join(elsewhere(), 'copy.db')
        const copied = await history(hub, 'compact', '--to', copy)
        expect([copied.code, copied.err]).toEqual([0, ''])
        expect(copied.out).toContain('copied to')
        expect(statSync(copy).mode & 0o777).toBe(0o600)
        const again = await history(hub, 'compact', '--to', copy)
        expect([again.code, again.err]).toEqual([1, expect.stringContaining('cannot be made: EEXIST')])
        expect(JSON.parse((await history(hub, 'stats', '--json')).out)).toMatchObject({ rows: 2000 })
        if (end === 'idle') await hub.stop('SIGTERM')
        const moved = await startHub({
          directory: elsewhere(),
          flags: ['--hub-anonymous', '--sqlite-path', copy],
        })
        cleanup.push(() => moved.stop('SIGKILL'))
        await publish(moved.url, { topic: 'a', data })
        expect(await replayedIds(moved)).toHaveLength(2001)
        expect(await moved.stop('SIGTERM')).toBe(0)
      },
    )
  }

  mountable('M12 that has no room to write the file anew takes free pages off it', async () => {
    const hub = await stored(5000, 'stopped')
    takeRoom(hub.directory, 512 << 10)
    const before = Bun.file(join(hub.directory, 'cinnabar.db')).size
    expect((await history(hub, 'prune', '--keep-count', '3000')).code).toBe(0)
    const compacted = await history(hub, 'compact')
    expect([compacted.code, compacted.err]).toEqual([0, ''])
    expect(compacted.out).toContain('compacted within the room that there was')
    expect(Bun.file(join(hub.directory, 'cinnabar.db')).size).toBeLessThan(0.7 * before)
    expect(await replayedIds(await start(hub.directory))).toHaveLength(3000)
  })

  mountable('M12 a copy for which there is no room leaves nothing behind', async () => {
    const hub = await stored(2000, 'stopped')
    const target = smallFileSystem()
    takeRoom(target, 512 << 10)
    const { code, err } = await history(hub, 'compact', '--to', join(target, 'copy.db'))
    expect([code, err]).toEqual([1, expect.stringContaining('no space left for')])
    expect(readdirSync(target)).toEqual(['ballast'])
    const missing = await history(hub, 'compact', '--to', join(target, 'missing', 'copy.db'))
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('cannot be made: ENOENT')])
  })
})

describe('a directory that cannot be written', () => {
  mountable('is refused at the start with 1 and a message that says what to do', async () => {
    const directory = smallFileSystem()
    const remount = (how: string) => Bun.spawnSync(['mount', '-o', `remount,${how}`, directory]).exitCode
    const serve = ['serve', '--listen', '127.0.0.1:0', '--admin-listen', '']
    expect(remount('ro')).toBe(0)
    const empty = await runCommand(serve, directory)
    expect([empty.code, empty.err]).toEqual([1, expect.stringContaining('must exist and be writable')])
    expect(remount('rw')).toBe(0)
    const hub = await start(directory)
    await publish(hub.url, { topic: 'a', data })
    await hub.stop('SIGTERM')
    expect(remount('ro')).toBe(0)
    const { code, err } = await runCommand(serve, directory)
    expect([code, err]).toEqual([1, expect.stringContaining('must exist and be writable')])
    const stats = await runCommand(['history', 'stats'], directory)
    expect([stats.code, stats.err]).toEqual([1, expect.stringContaining('cannot be opened')])
  })
})

describe('a damaged file', () => {
  async function filled(directory: string, flags: readonly string[] = []): Promise<RunningHub> {
    const hub = await start(directory, flags)
    const load = await Load.open(hub.url, await publisherToken(), 20)
    await load.publish(3000, (number) => `topic=a&data=${data}${number}`)
    load.close()
    return hub
  }

  async function folder(): Promise<string> {
    const path = await mkdtemp(join(tmpdir(), 'cinnabar-faults-'))
    cleanup.push(() => rm(path, { recursive: true, force: true }))
    return path
  }

  /** Writes nonsense over pages of the file, from the first page given to the end. */
  function overwrite(path: string, firstPage: number): void {
    const bytes = Bun.file(path).size - firstPage * PAGE_BYTES
    const file = openSync(path, 'r+')
    writeSync(file, Buffer.alloc(bytes, 0x5a), 0, bytes, firstPage * PAGE_BYTES)
    fsyncSync(file)
    closeSync(file)
  }

  test('is refused at the start with 1 and a message that names it', async () => {
    const hub = await filled(await folder())
    expect(await hub.stop('SIGTERM')).toBe(0)
    overwrite(join(hub.directory, 'cinnabar.db'), 10)
    const serve = ['serve', '--listen', '127.0.0.1:0', '--admin-listen', '']
    const { code, err } = await runCommand(serve, hub.directory)
    expect([code, err]).toEqual([1, expect.stringContaining('the history file cinnabar.db is damaged')])
    for (const words of [['stats'], ['compact'], ['export'], ['prune', '--keep-count', '1']]) {
      const tool = await runCommand(['history', ...words], hub.directory)
      expect([tool.code, tool.err]).toEqual([1, expect.stringContaining('cinnabar.db is damaged')])
    }
  })

  /** Public and secret updates in turn, and the numbers of the public ones. */
  async function mixed(directory: string): Promise<{ hub: RunningHub; public: readonly string[] }> {
    const hub = await start(directory)
    for (let number = 0; number < 200; number++) {
      const isPrivate = number % 2 === 1
      const text = `${isPrivate ? 'secret' : 'public'} ${number} `.repeat(number % 9 === 0 ? 2000 : 40)
      await publish(hub.url, { topic: 'a', data: text, ...(isPrivate ? { private: 'on' } : {}) })
    }
    const reader = await catchUp(hub, 'earliest')
    reader.close()
    return { hub, public: reader.events.map(({ data }) => data) }
  }

  function copyPages(path: string, every: number): void {
    const bytes = readFileSync(path)
    for (let page = 20; page + 1 < bytes.length / PAGE_BYTES; page += every) {
      bytes.copyWithin((page + 1) * PAGE_BYTES, page * PAGE_BYTES, (page + 1) * PAGE_BYTES)
    }
    const file = openSync(path, 'r+')
    writeSync(file, bytes)
    closeSync(file)
  }

  for (const isRunning of [false, true]) {
    const when = isRunning ? 'while the hub runs' : 'before the hub starts'
    test(`S10 one page over another ${when}: anonymous readers get public updates as they were, to the damage`, async () => {
      const made = await mixed(await folder())
      const path = join(made.hub.directory, 'cinnabar.db')
      if (!isRunning) expect(await made.hub.stop('SIGTERM')).toBe(0)
      else await until('an empty journal', () => Bun.file(`${path}-wal`).size === 0)
      copyPages(path, 30)
      // The hub that ran has what it read a moment ago in its cache.
      if (isRunning) await made.hub.stop('SIGKILL')
      const hub = await start(made.hub.directory)
      for (let attempt = 0; attempt < 3; attempt++) {
        const reader = await StreamClient.open(`${hub.url}?match=*`, { 'Last-Event-ID': 'earliest' })
        await until('the end of the stream', () => reader.hasEnded)
        reader.close()
        const seen = reader.events.map(({ data }) => data)
        expect(seen).toEqual(made.public.slice(0, seen.length))
        expect(seen.length).toBeLessThan(made.public.length)
      }
      expect(hub.log().match(/replays end early/g)).toHaveLength(1)
      expect((await fetch(`${hub.origin}/healthz`)).status).toBe(200)
      expect(await hub.stop('SIGTERM')).toBe(0)
    })
  }

  test('while the hub runs makes it unready, and it neither ends nor lets its readers go', async () => {
    const hub = await filled(await folder(), ['--history-max-count', '3000'])
    const path = join(hub.directory, 'cinnabar.db')
    const live = await StreamClient.open(`${hub.url}?match=*`)
    // Every page is in the file and not in the journal.
    await until('an empty journal', () => Bun.file(`${path}-wal`).size === 0)
    overwrite(path, 10)
    const refusals: number[] = []
    await until('a publication that needs a damaged page', async () => {
      const { status } = await post(hub.url, { topic: 'a', data })
      if (status !== 200) refusals.push(status)
      return refusals.length > 0
    })
    expect(refusals).toEqual([500])
    expect(await readiness(hub)).toBe(503)
    expect((await fetch(`${hub.origin}/healthz`)).status).toBe(200)
    // The past cannot be read either: whoever asks for it is told to come back.
    const late = await fetch(`${hub.url}?match=*`, { headers: { 'Last-Event-ID': 'earliest' } })
    expect([200, 503]).toContain(late.status)
    await late.text()
    expect(await metric(hub, 'mercure_subscribers_connected')).toBe(1)
    expect(live.isClosed).toBe(false)
    live.close()
    expect(await hub.stop('SIGTERM')).toBe(0)
  })
})
