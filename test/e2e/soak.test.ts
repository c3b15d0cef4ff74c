import { afterEach, describe, expect, test } from 'bun:test'
import { runSoak, soakFlags } from '../../scripts/bench/soak-run.ts'
import { driftOf } from '../../src/bench/trend.ts'
import { type RunningHub, startHub } from '../support/binary.ts'
import { publisherToken } from '../support/publisher.ts'

describe('a soak of two minutes: mixed sizes, subscribers come, go, stall and replay', () => {
  let hub: RunningHub
  afterEach(() => hub.dispose())

  for (const transport of ['sqlite', 'memory']) {
    test(`${transport}: memory, file and journal stay flat, and whoever stays gets every update in order`, async () => {
      hub = await startHub({ flags: [...soakFlags, '--transport', transport] })
      const result = await runSoak({
        hub,
        token: await publisherToken(),
        updates: 5_000_000,
        seconds: 60,
        everySeconds: 0.25,
      })
      expect(result.isWhole).toBe(true)
      expect(result.visits).toBeGreaterThan(20)
      expect(Math.max(...result.samples.map(({ rows }) => rows))).toBeLessThanOrEqual(10_000)
      expect(driftOf(result.samples.map(({ residentBytes }) => residentBytes))).toBeLessThan(1.1)
      if (transport === 'sqlite') {
        expect(driftOf(result.samples.map(({ fileBytes }) => fileBytes))).toBeLessThan(1.1)
      }
    }, 240_000)
  }
})
