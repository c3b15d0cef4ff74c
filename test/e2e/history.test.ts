import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Load } from '../../src/bench/client/load.ts'
import { binaryPath, metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { catchUp } from '../support/catch-up.ts'
import { publish, publisherToken } from '../support/publisher.ts'
import { bareEnv, type CommandEnd, runCommand } from '../support/run-command.ts'
import { StreamClient } from '../support/stream-client.ts'

setDefaultTimeout(20_000)

const cleanup: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cinnabar-history-'))
  cleanup.push(() => rm(path, { recursive: true, force: true }))
  return path
}

async function start(directory: string): Promise<RunningHub> {
  const hub = await startHub({ directory, flags: ['--hub-anonymous'] })
  cleanup.push(() => hub.dispose())
  return hub
}

function history({ directory }: Pick<RunningHub, 'directory'>, ...words: string[]): Promise<CommandEnd> {
  return runCommand(['history', ...words], directory)
}

/** Publishes so many updates of about a kilobyte, every tenth on another topic. */
async function fill(hub: RunningHub, count: number): Promise<void> {
  const load = await Load.open(hub.url, await publisherToken(), 20)
  await load.publish(count, form)
  load.close()
}

function form(number: number): string {
  return `topic=${number % 10 === 0 ? 'tenth' : 'a'}&data=${'.'.repeat(1000)}${number}`
}

async function replayedIds(hub: RunningHub): Promise<readonly string[]> {
  const reader = await catchUp(hub, 'earliest')
  reader.close()
  return reader.ids
}

describe('beside a running hub that is published to', () => {
  test('REC-16 prune cuts the past; the hub, its live readers and its figures go on exactly', async () => {
    const hub = await start(await folder())
    await fill(hub, 3000)
    const live = await StreamClient.open(`${hub.url}?match=*`)
    const load = await Load.open(hub.url, await publisherToken(), 10)
    let isPruned = false
    let published = 3000
    const publishing = (async () => {
      while (!isPruned) {
        await load.publish(200, form)
        published += 200
      }
    })()
    const byCount = await history(hub, 'prune', '--keep-count', '1000')
    const byTopic = await history(hub, 'prune', '--topic', 'tenth')
    isPruned = true
    await publishing
    load.close()
    expect([byCount.code, byTopic.code]).toEqual([0, 0])
    const dropped = [byCount, byTopic].map(({ out }) =>
      Number(/^dropped ([\d,]+) entr/.exec(out)?.[1]?.replace(',', '')),
    )
    expect(Math.min(...dropped)).toBeGreaterThan(50)
    const left = published - (dropped[0] ?? 0) - (dropped[1] ?? 0)
    expect(await replayedIds(hub)).toHaveLength(left)
    // The hub's writer sees at its next commit or tick what a tool did.
    await until('the figures', async () => (await metric(hub, 'cinnabar_history_rows')) === left)
    expect(JSON.parse((await history(hub, 'stats', '--json')).out)).toMatchObject({
      isRunning: true,
      rows: left,
    })
    const last = await publish(hub.url, { topic: 'tenth', data: 'last' })
    await until('live delivery', () => live.ids.at(-1) === last)
    expect(live.ids).toHaveLength(published - 3000 + 1)
    live.close()
    expect(await hub.stop('SIGTERM')).toBe(0)
    expect(await replayedIds(await start(hub.directory))).toHaveLength(left + 1)
  })

  test('a hub without publications notices by itself, and gives the room back', async () => {
    const hub = await start(await folder())
    await fill(hub, 2000)
    const before = Bun.file(join(hub.directory, 'cinnabar.db')).size
    expect((await history(hub, 'prune', '--keep-count', '10')).code).toBe(0)
    await until('the figures', async () => (await metric(hub, 'cinnabar_history_rows')) === 10)
    await until('a small file', () => Bun.file(join(hub.directory, 'cinnabar.db')).size < before / 10)
  })

  test('compact and export disturb neither publishers nor readers', async () => {
    const hub = await start(await folder())
    await fill(hub, 3000)
    await history(hub, 'prune', '--keep-count', '1500')
    const [compacted, exported] = await Promise.all([
      history(hub, 'compact'),
      history(hub, 'export'),
      fill(hub, 500),
    ])
    expect(compacted).toMatchObject({ code: 0, out: expect.stringContaining('beside a running hub') })
    expect(exported.code).toBe(0)
    const ids = await replayedIds(hub)
    expect(ids).toHaveLength(2000)
    const lines = exported.out.split('\n').slice(0, -1)
    // It ends at the head of the moment when it began, somewhere in the new ones.
    expect(lines.length).toBeGreaterThanOrEqual(1500)
    expect(lines.map((line) => JSON.parse(line).id)).toEqual(ids.slice(0, lines.length) as string[])
  })

  test('import is refused, until the hub has ended, however it did', async () => {
    const hub = await start(await folder())
    await publish(hub.url, { topic: 'a', data: 'x' })
    const { code, err } = await history(hub, 'import', '-')
    expect([code, err]).toEqual([1, expect.stringContaining('another hub is running')])
    await hub.stop('SIGKILL')
    expect(JSON.parse((await history(hub, 'stats', '--json')).out)).toMatchObject({
      isRunning: false,
      rows: 1,
    })
    expect((await history(hub, 'import', '-')).code).toBe(0)
  })
})

describe('from one hub to another', () => {
  test('an export that another file imports is replayed as it was, to the byte', async () => {
    const hub = await start(await folder())
    await publish(hub.url, { topic: ['one', 'ü'], data: 'two\nlines', type: 'note', retry: '50', id: 'own' })
    await publish(hub.url, { topic: 'secret', data: '', private: 'on' })
    await fill(hub, 300)
    const exported = await history(hub, 'export')
    const other = await folder()
    const imported = await runCommand(['history', 'import', '-'], other, new Blob([exported.out]))
    expect(imported).toEqual({ code: 0, out: 'imported 302 entries\n', err: '' })
    const copy = await start(other)
    const [first, second] = [await catchUp(hub, 'earliest'), await catchUp(copy, 'earliest')]
    expect(second.lines).toEqual(first.lines)
    expect(second.events).toHaveLength(301)
    first.close()
    second.close()
    await copy.stop()
    expect((await history(copy, 'export')).out).toBe(exported.out)
    expect((await history(copy, 'export', '--after', 'own')).out).toBe(
      exported.out.slice(exported.out.indexOf('\n') + 1),
    )
  })

  test('what is salvaged from a damaged file goes on in a new one; a slow pipe gets all of it', async () => {
    const hub = await start(await folder())
    await fill(hub, 2000)
    expect(await hub.stop('SIGTERM')).toBe(0)
    const path = join(hub.directory, 'cinnabar.db')
    const bytes = await Bun.file(path).bytes()
    bytes.fill(0x5a, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 40_000)
    await Bun.write(path, bytes)
    // 2 MB through a pipe into which the kernel takes 64 KiB at once.
    const child = Bun.spawn(
      ['sh', '-c', '"$0" history export --salvage | { sleep 0.3; cat; }', binaryPath()],
      {
        cwd: hub.directory,
        env: bareEnv,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    )
    const [lines, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    const saved = lines.split('\n').length - 1
    expect(saved).toBeGreaterThan(1900)
    expect(errors).toContain(`lost ${2000 - saved} entries in ${2000 - saved} places`)
    expect((await history(hub, 'export', '--salvage', '--output', 'saved.jsonl')).code).toBe(1)
    expect(await Bun.file(join(hub.directory, 'saved.jsonl')).text()).toBe(lines)
    const words = ['history', 'import', 'saved.jsonl', '--sqlite-path', 'new.db']
    expect((await runCommand(words, hub.directory)).code).toBe(0)
    const again = await startHub({
      directory: hub.directory,
      flags: ['--hub-anonymous', '--sqlite-path', 'new.db'],
    })
    cleanup.push(() => again.dispose())
    expect(await replayedIds(again)).toEqual(
      lines
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line).id),
    )
  })

  test('entries from the future neither vanish at the start nor stay for ever', async () => {
    const directory = await folder()
    const future = Date.now() + 3_600_000
    const lines = Array.from({ length: 10 }, (_, at) => {
      const entry = {
        id: `${at}`,
        topics: ['a'],
        private: false,
        at: future + at,
        event: `id: ${at}\ndata: x\n\n`,
      }
      return `${JSON.stringify(entry)}\n`
    })
    await runCommand(['history', 'import', '-'], directory, new Blob(lines))
    const hub = await startHub({ directory, flags: ['--hub-anonymous', '--history-max-age=4s'] })
    cleanup.push(() => hub.dispose())
    expect(await replayedIds(hub)).toHaveLength(10)
    const id = await publish(hub.url, { topic: 'a', data: 'now' })
    expect((await replayedIds(hub)).at(-1)).toBe(id)
    await until('the end of their age', async () => (await metric(hub, 'cinnabar_history_rows')) === 0)
    expect(await replayedIds(hub)).toEqual([])
  })
})

describe('backup and restore', () => {
  test('a backup beside a hub that is published to is whole, and a hub on it replays it and goes on', async () => {
    const hub = await start(await folder())
    await fill(hub, 2000)
    const load = await Load.open(hub.url, await publisherToken(), 10)
    const made = join(hub.directory, 'backup.db')
    const [{ code, err }] = await Promise.all([history(hub, 'backup', made), load.publish(1000, form)])
    load.close()
    expect([code, err]).toEqual([0, ''])
    const all = await replayedIds(hub)
    expect(all).toHaveLength(3000)
    const lost = await publish(hub.url, { topic: 'a', data: 'not in the backup' })
    await hub.stop('SIGTERM')

    // The recipe of docs/operating.md: a folder of its own, the file by its new name, no journal beside it.
    const directory = await folder()
    await rename(made, join(directory, 'cinnabar.db'))
    const restored = await start(directory)
    const kept = await replayedIds(restored)
    expect(kept.length).toBeGreaterThanOrEqual(2000)
    expect(kept).toEqual(all.slice(0, kept.length))
    const ahead = await fetch(`${restored.url}?match=*&last_event_id=${lost}`)
    expect(ahead.headers.get('Mercure-Last-Event-ID')).toBe('earliest')
    await ahead.body?.cancel()
    const live = await StreamClient.open(`${restored.url}?match=*&last_event_id=${kept.at(-2)}`)
    const id = await publish(restored.url, { topic: 'a', data: 'after' })
    await until('the update after the restore', () => live.ids.includes(id))
    expect(live.ids).toEqual([kept.at(-1) ?? '', id])
    await live.close()
  })

  test('a backup that is killed leaves no half file under its name, and the hub goes on', async () => {
    const hub = await start(await folder())
    await fill(hub, 3000)
    const made = join(hub.directory, 'backup.db')
    const child = Bun.spawn([binaryPath(), 'history', 'backup', made], { cwd: hub.directory, env: bareEnv })
    const names = () => readdirSync(hub.directory).filter((name) => name.startsWith('backup.db'))
    while (child.exitCode === null && names().length === 0) await new Promise(setImmediate)
    child.kill('SIGKILL')
    await child.exited
    // Should it have been faster than the signal, then what has the name is whole.
    if (names().includes('backup.db'))
      expect((await history(hub, 'stats', '--sqlite-path', made)).code).toBe(0)
    await rm(made, { force: true })
    await publish(hub.url, { topic: 'a', data: 'after' })
    expect(await history(hub, 'backup', made)).toMatchObject({
      code: 0,
      out: expect.stringContaining('3,001 entries'),
    })
  })
})
