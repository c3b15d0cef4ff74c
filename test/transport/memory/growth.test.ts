import { describe, expect, test } from 'bun:test'

/** What the process grows by for each byte that the transport counts, in a process of its own. */
async function growth(dataBytes: number, topics: number, ...more: readonly string[]): Promise<number> {
  const script = Bun.fileURLToPath(new URL('growth.ts', import.meta.url))
  const child = Bun.spawn([process.execPath, script, String(dataBytes), String(topics), ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return Number(await new Response(child.stdout).text())
}

describe('history.max_bytes of a log in memory', () => {
  test.each([10, 200, 1000, 5000, 40_000])(
    'M17 is what updates of %d bytes take',
    async (bytes) => {
      const grown = await growth(bytes, 1000)
      // Measured to within a seventh. The pages of another kernel may be larger; objects would take twice as much.
      expect(grown).toBeGreaterThan(0.7)
      expect(grown).toBeLessThan(1.3)
    },
    30_000,
  )

  test('M17 is no less than what updates of rules take, with a topic for each of them', async () => {
    expect(await growth(10, 1_000_000, 'per topic')).toBeLessThan(1.3)
  }, 30_000)
})
