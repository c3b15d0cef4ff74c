import { expect, test } from 'bun:test'
import { metric, startHub } from '../support/binary.ts'
import { Crowd } from '../support/crowd.ts'
import { publisherToken } from '../support/publisher.ts'

const topic = 'https://example.com/everybody'
const publications = 8

test.skipIf(!Crowd.isPossible)(
  'SEC-14 SUB-60 while 20,000 subscribers are written to, health checks and publications are answered, and each gets all in order',
  async () => {
    // Without a disk: what is asked is who waits for whom in the hub.
    const hub = await startHub({ flags: ['--hub-anonymous', '--transport=local'] })
    let crowd: Crowd | null = null
    try {
      crowd = await Crowd.open(hub, topic)
      expect(await metric(hub, 'mercure_subscribers_connected')).toBe(Crowd.size)
      const script = new URL('../support/meanwhile.ts', import.meta.url).pathname
      const values = [hub.url, hub.adminUrl, await publisherToken(), topic, Crowd.size, publications]
      const meanwhile = Bun.spawn([process.execPath, script, ...values.map(String)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const answered: readonly number[] = await new Response(meanwhile.stdout).json()
      await crowd.got(publications)
      const all = Array.from({ length: publications }, (_, index) => index + 1)
      expect(crowd.countOf(all)).toBe(Crowd.size)
      // Were they written to in one go, nothing asked after it began could be answered before it ended.
      expect(answered.length).toBe(publications)
      expect(answered.filter((count) => count > 0).length).toBeGreaterThan(publications / 2)
    } finally {
      crowd?.leave()
      await hub.dispose()
    }
  },
  120_000,
)
