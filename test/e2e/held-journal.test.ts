import { Database } from 'bun:sqlite'
import { afterEach, expect, test } from 'bun:test'
import { join } from 'node:path'
import { Load } from '../../src/bench/client/load.ts'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { publisherToken } from '../support/publisher.ts'

const MiB = 2 ** 20
const topic = encodeURIComponent('https://example.com/news')

let hub: RunningHub | null = null
afterEach(async () => {
  await hub?.dispose()
  hub = null
})

test('M16 a backup tool that holds a read transaction is told of, once, and the journal shrinks after it', async () => {
  const running = await startHub({ flags: ['--history-max-bytes=8MiB'] })
  hub = running
  const load = await Load.open(running.url, await publisherToken(), 10)
  const data = 'x'.repeat(10_000)
  const publish = (count: number) => load.publish(count, (number) => `topic=${topic}&data=${number}${data}`)
  const journal = () => metric(running, 'cinnabar_history_journal_bytes')
  const lines = (word: string) =>
    running
      .log()
      .split('\n')
      .filter((line) => line.includes(word))
  try {
    await publish(2000)
    expect(lines('another program reads the history')).toEqual([])

    const backup = new Database(join(running.directory, 'cinnabar.db'), { readonly: true })
    backup.run('BEGIN')
    backup.query('SELECT count(*) FROM sqlite_schema').get()
    for (let step = 0; step < 20 && (await journal()) < 40 * MiB; step++) await publish(500)
    await until('a line', async () => lines('another program reads the history').length > 0)
    expect(await journal()).toBeGreaterThan(30 * MiB)
    expect(await metric(running, 'cinnabar_history_file_bytes')).toBeGreaterThan(await journal())

    backup.run('COMMIT')
    backup.close()
    await until('the journal to be emptied', async () => (await journal()) <= 3 * MiB)
    await until('a line', async () => lines('was emptied again').length > 0)
    expect(lines('another program reads the history')).toHaveLength(1)
    expect(lines('was emptied again')).toHaveLength(1)
  } finally {
    load.close()
  }
}, 60_000)
