import { expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { Load } from '../../src/bench/client/load.ts'
import { metric, type RunningHub, residentBytes, startHub, until } from '../support/binary.ts'
import { Crowd } from '../support/crowd.ts'
import { publisherToken } from '../support/publisher.ts'

/** Bytes that an idle subscriber may take; it takes about half of them. */
const perSubscriberMax = 16 * 1024
/** Bytes that may remain when all have gone: about a third of what they took. */
const remainderMax = 40 * 1024 * 1024

test.skipIf(!Crowd.isPossible)(
  'SEC-14 20,000 idle subscribers are held in little memory, and leave nothing behind when all go at once',
  async () => {
    const hub = await startHub({ flags: ['--hub-anonymous', '--history-max-count=1000'] })
    try {
      // What the code itself takes is there after the first few thousand.
      await work(hub, 10_000)
      const [files, before] = [filesOf(hub), await residentBytes(hub.pid)]
      const crowd = await Crowd.open(hub, 'https://example.com/quiet')
      try {
        expect(await metric(hub, 'mercure_subscribers_connected')).toBe(Crowd.size)
        expect(await residentBytes(hub.pid)).toBeLessThan(before + Crowd.size * perSubscriberMax)
      } finally {
        crowd.leave()
      }
      await until('all left', async () => (await metric(hub, 'mercure_subscribers_connected')) === 0, 60_000)
      // This test keeps a few connections of its own.
      await until('no file of theirs', () => filesOf(hub) < files + 20)
      // An idle process collects no garbage, so it has something to do meanwhile.
      const isBack = async () => {
        await work(hub, 2000)
        return (await residentBytes(hub.pid)) < before + remainderMax
      }
      await until('the memory', isBack, 90_000)
    } finally {
      await hub.dispose()
    }
  },
  180_000,
)

/** Publishes so many updates that nobody reads. */
async function work({ url }: RunningHub, updates: number): Promise<void> {
  const load = await Load.open(url, await publisherToken(), 10)
  try {
    // Of a size that makes garbage worth collecting.
    await load.publish(updates, () => `topic=unread&data=${'x'.repeat(8192)}`)
  } finally {
    load.close()
  }
}

function filesOf({ pid }: RunningHub): number {
  return readdirSync(`/proc/${pid}/fd`).length
}
