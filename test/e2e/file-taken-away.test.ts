import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { catchUp } from '../support/catch-up.ts'
import { post, publish } from '../support/publisher.ts'
import { StreamClient } from '../support/stream-client.ts'

/** What tmp cleaners and careless operators do to the files of a running hub. */

setDefaultTimeout(20_000)

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

const topic = 'https://example.com/1'

/** A hub whose history is in a folder below its own, with so many updates of a kilobyte in it and in its journal. */
async function start(stored: number, inJournal: number): Promise<{ hub: RunningHub; path: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'cinnabar-taken-'))
  cleanup.push(() => rmSync(directory, { recursive: true, force: true }))
  mkdirSync(join(directory, 'data'))
  const before = await run(directory)
  await fill(before, stored)
  await before.stop('SIGTERM')
  const hub = await run(directory)
  await fill(hub, inJournal)
  return { hub, path: join(directory, 'data', 'cinnabar.db') }
}

async function fill(hub: RunningHub, updates: number): Promise<void> {
  for (let number = 0; number < updates; number++) await publish(hub.url, { topic, data: 'x'.repeat(1000) })
}

async function run(directory: string): Promise<RunningHub> {
  const hub = await startHub({
    directory,
    flags: ['--hub-anonymous', '--sqlite-path', join('data', 'cinnabar.db')],
  })
  cleanup.push(() => hub.stop('SIGKILL'))
  return hub
}

async function readiness(hub: RunningHub): Promise<readonly [number, string]> {
  const response = await fetch(`${hub.adminUrl}/readyz`)
  return [response.status, await response.text()]
}

function errorLines(hub: RunningHub): readonly string[] {
  return hub
    .log()
    .split('\n')
    .filter((line) => line.includes('"level":"error"'))
}

const removals: readonly (readonly [how: string, act: (path: string) => void, reason: string])[] = [
  ['is removed', (path) => unlinkSync(path), 'was removed or moved away'],
  ['is moved away', (path) => renameSync(path, `${path}.old`), 'was removed or moved away'],
  [
    'is moved away with its folder',
    (path) => renameSync(join(path, '..'), join(path, '..', '..', 'elsewhere')),
    'was removed or moved away',
  ],
  [
    'is replaced by a copy',
    (path) => {
      copyFileSync(path, `${path}.copy`)
      renameSync(`${path}.copy`, path)
    },
    'was replaced by another file',
  ],
  [
    'is replaced by what is no history',
    (path) => {
      writeFileSync(`${path}.other`, 'something else')
      renameSync(`${path}.other`, path)
    },
    'was replaced by another file',
  ],
  ['is made empty', (path) => truncateSync(path), 'was cut short'],
  ['loses its second half', (path) => truncateSync(path, pagesOf(path, 2)), 'was cut short'],
  ['loses its journal', (path) => unlinkSync(`${path}-wal`), 'has lost its -wal file'],
  ['has a journal that is made empty', (path) => truncateSync(`${path}-wal`), '-wal file that was cut short'],
  [
    'has a journal that loses its end',
    (path) => truncateSync(`${path}-wal`, Bun.file(`${path}-wal`).size - 100),
    '-wal file that was cut short',
  ],
  ['loses the index of its journal', (path) => unlinkSync(`${path}-shm`), 'has lost its -shm file'],
  [
    'has an index of the journal that is made empty',
    (path) => truncateSync(`${path}-shm`),
    '-shm file that was cut short',
  ],
]

/** A part of the file, in whole pages. */
function pagesOf(path: string, parts: number): number {
  return Math.floor(Bun.file(path).size / 8192 / parts) * 8192
}

for (const [how, act, reason] of removals) {
  describe(`a history that ${how} while the hub runs`, () => {
    test('M5 S12 makes it refuse publications with 503 and be unready, with the reason and one line', async () => {
      const { hub, path } = await start(40, 40)
      const live = await StreamClient.open(`${hub.url}?match=*`)
      act(path)
      const answer = await post(hub.url, { topic, data: 'z' })
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
      const [status, text] = await readiness(hub)
      expect([status, text]).toEqual([503, expect.stringContaining(reason)])
      expect((await fetch(`${hub.origin}/healthz`)).status).toBe(200)
      // Nobody can be promised what is read from there.
      const late = await fetch(`${hub.url}?match=*`, { headers: { 'Last-Event-ID': 'unknown' } })
      expect(late.status).toBe(503)
      await late.text()
      expect(await metric(hub, 'mercure_subscribers_connected')).toBe(1)
      expect(live.isClosed).toBe(false)
      live.close()
      expect((await post(hub.url, { topic, data: 'z' })).status).toBe(503)
      expect(errorLines(hub)).toEqual([expect.stringContaining(reason)])
      expect(await hub.stop('SIGTERM')).toBe(1)
      expect(errorLines(hub)).toHaveLength(1)
      expect(hub.log()).toContain('"message":"stopped"')
    })

    test('M5 S12 is noticed without a publication', async () => {
      const { hub, path } = await start(40, 10)
      act(path)
      await until('a line in the log', () => errorLines(hub).length > 0)
      expect(errorLines(hub)).toEqual([expect.stringContaining(reason)])
      expect((await readiness(hub))[0]).toBe(503)
    })
  })
}

test('M5 a history that is moved away and back goes on by itself', async () => {
  const { hub, path } = await start(0, 3)
  for (const suffix of ['', '-wal', '-shm']) renameSync(`${path}${suffix}`, `${path}${suffix}.away`)
  expect((await post(hub.url, { topic })).status).toBe(503)
  for (const suffix of ['', '-wal', '-shm']) renameSync(`${path}${suffix}.away`, `${path}${suffix}`)
  await until('readiness', async () => (await readiness(hub))[0] === 200)
  const id = await publish(hub.url, { topic, data: 'again' })
  const reader = await catchUp(hub, 'earliest')
  reader.close()
  expect(reader.ids).toHaveLength(4)
  expect(reader.ids.at(-1)).toBe(id)
  expect(hub.log()).toContain('publications are accepted again')
})

test('M5 a hub that ends leaves the history alone that was put in the place of its own', async () => {
  const { hub, path } = await start(0, 3)
  const other = await start(0, 5)
  // With all that belongs to it, as after a kill.
  await other.hub.stop('SIGKILL')
  for (const suffix of ['', '-wal', '-shm']) {
    renameSync(`${path}${suffix}`, `${path}${suffix}.old`)
    copyFileSync(`${other.path}${suffix}`, `${path}${suffix}`)
  }
  expect((await post(hub.url, { topic })).status).toBe(503)
  expect(await hub.stop('SIGTERM')).toBe(1)
  const again = await run(join(path, '..', '..'))
  const reader = await catchUp(again, 'earliest')
  reader.close()
  expect(reader.ids).toHaveLength(5)
})

test('M5 under load, whatever was acknowledged is in the file when it was moved away in between', async () => {
  const { hub, path } = await start(0, 1)
  const acknowledged: string[] = []
  const publishers = Array.from({ length: 8 }, async () => {
    for (;;) {
      const answer = await post(hub.url, { topic, data: 'x' })
      if (answer.status !== 200) return answer.status
      acknowledged.push(await answer.text())
    }
  })
  await until('publications', () => acknowledged.length > 200)
  for (const suffix of ['-wal', '', '-shm']) renameSync(`${path}${suffix}`, `${path}${suffix}.away`)
  expect(await Promise.all(publishers)).toEqual(Array(8).fill(503))
  await hub.stop('SIGKILL')
  for (const suffix of ['', '-wal', '-shm']) renameSync(`${path}${suffix}.away`, `${path}${suffix}`)
  const reader = await catchUp(await run(join(path, '..', '..')), 'earliest')
  reader.close()
  const kept = new Set(reader.ids)
  expect(acknowledged.filter((id) => !kept.has(id))).toEqual([])
})
