import { expect, test } from 'bun:test'
import { RedisServer } from '../../support/redis-server.ts'
import { envelope, ruleFor, unlimited } from '../contract.ts'
import { redisLog } from './log.ts'

/** What docs/cluster.md says of the memory of the server. */

test.each([
  [10, 20_000, false],
  [10, 20_000, true],
  [250, 20_000, false],
  [250, 20_000, true],
  // A size that fits badly into what the server takes from the system.
  [2000, 5000, false],
  [40_000, 500, true],
])(
  'updates of %d bytes, %d of them, by a rule: %p, take no more than 1.25 times what they count',
  async (bytes, count, isRuled) => {
    await using server = await RedisServer.start()
    const rules = isRuled ? [{ ...ruleFor([], { perTopic: true }), test: () => true }] : []
    const { transport } = redisLog(server, { retention: { ...unlimited, rules } }, 'a', {
      window: { ms: 0, bytes: 0 },
    })
    await transport.open(
      () => {},
      () => {},
    )
    const used = async () =>
      Number(/^used_memory:(\d+)/m.exec(String(await server.command('INFO', 'memory')))?.[1])
    const before = await used()
    for (let sent = 0; sent < count; sent += 250) {
      const batch = Array.from({ length: 250 }, (_, at) =>
        envelope(`urn:uuid:${crypto.randomUUID()}`, bytes, `https://example.com/${sent + at}`),
      )
      await Promise.all(batch.map((one) => transport.append(one)))
    }
    const { bytes: counted } = await transport.stats()
    const taken = (await used()) - before
    expect(taken / counted).toBeLessThan(1.25)
    expect(taken / counted).toBeGreaterThan(0.5)
    await transport.close()
  },
  60_000,
)
