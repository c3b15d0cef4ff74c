import { afterEach, describe, expect, test } from 'bun:test'
import {
  fileBytes,
  fileBytesMax,
  numberOf,
  runPast,
  type Sample,
  sample,
} from '../../scripts/bench/past-run.ts'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { catchUp } from '../support/catch-up.ts'
import { publisherToken } from '../support/publisher.ts'

const token = await publisherToken()

describe('the past is bounded, and so are the file and the memory', () => {
  let hub: RunningHub
  afterEach(() => hub.dispose())

  test('REC-16 by count: 300,000 updates with the newest 10,000 kept', async () => {
    hub = await startHub({ flags: ['--hub-anonymous', '--history-max-count=10000'] })
    const onPause = async (published: number) => {
      if (published === 25_000) await warmReplay(hub)
      const numbers = await replayedNumbers(hub)
      expect(numbers.length).toBe(10_000)
      expect(Math.max(...numbers)).toBe(published - 1)
      // Fifty publishers: what was accepted last has at most so many numbers that overtook it.
      expect(Math.min(...numbers)).toBeGreaterThan(published - 10_000 - 100)
    }
    const samples = await runPast({ hub, token, count: 300_000, every: 2500, pauseEvery: 25_000, onPause })
    expectFileFollows(samples)
    expect(samples.filter(({ rows }) => rows > 10_000)).toEqual([])
    await expectFlatMemory(hub, samples)
  }, 300_000)

  test('REC-16 by bytes: 300,000 updates with 8 MiB kept', async () => {
    hub = await startHub({ flags: ['--hub-anonymous', '--history-max-bytes=8MiB'] })
    const kept = 8 * 1024 * 1024
    const onPause = async (published: number) => {
      if (published === 25_000) await warmReplay(hub)
      const numbers = await replayedNumbers(hub)
      expect(numbers.length * 1024).toBeLessThan(kept)
      // The stored bytes of an update are more than its data, but not much more.
      expect(numbers.length * 1300).toBeGreaterThan(kept)
      expect(Math.max(...numbers)).toBe(published - 1)
    }
    const samples = await runPast({ hub, token, count: 300_000, every: 2500, pauseEvery: 25_000, onPause })
    expectFileFollows(samples)
    expect(samples.filter((sample) => sample.fileBytes > fileBytesMax(kept))).toEqual([])
    await expectFlatMemory(hub, samples)
  }, 300_000)

  test('REC-16 by age: 300,000 updates kept for 2 s, and none once nobody publishes any more', async () => {
    hub = await startHub({ flags: ['--hub-anonymous', '--history-max-age=2s'] })
    const acceptedAt: number[] = []
    const onPause = async (published: number) => {
      if (published === 25_000) await warmReplay(hub)
      const asked = performance.now()
      // On a busy machine age may overtake this reader, who is then cut: it need not have everything.
      const numbers = await replayedNumbers(hub)
      expect(numbers.length).toBeGreaterThan(0)
      // The hub counts whole milliseconds.
      expect(numbers.filter((number) => (acceptedAt[number] ?? 0) < asked - 2001)).toEqual([])
    }
    const onAccepted = (number: number) => {
      acceptedAt[number] = performance.now()
    }
    const samples = await runPast({
      hub,
      token,
      count: 300_000,
      every: 2500,
      pauseEvery: 25_000,
      onAccepted,
      onPause,
    })
    await expectFlatMemory(hub, samples)
    // Nearly everything expires at once now, and the file has to follow.
    await until('an empty history', async () => {
      const latest = await sample(hub, 300_000, 0)
      samples.push(latest)
      return latest.rows === 0
    })
    expectFileFollows(samples)
    await until('a small file', async () => (await fileBytes(hub)) < 1024 * 1024)
    expect(await replayedNumbers(hub)).toEqual([])
  }, 300_000)
})

/** The code of a replay is compiled after some of them, which takes memory once. */
async function warmReplay(hub: RunningHub): Promise<void> {
  for (let replay = 0; replay < 8; replay++) await replayedNumbers(hub)
}

/** The numbers of the updates that a new reader gets from `earliest`, in order. */
async function replayedNumbers(hub: RunningHub): Promise<number[]> {
  const reader = await catchUp(hub, 'earliest')
  reader.close()
  return reader.events.map(({ data }) => numberOf(data))
}

function expectFileFollows(samples: readonly Sample[]): void {
  const over = samples.filter((sample) => sample.fileBytes > fileBytesMax(sample.liveBytes))
  expect(over).toEqual([])
}

/**
 * Between collections memory swings by a tenth, so a mean over 75,000 publications stands for one. When it is more
 * than it may be, as many again tell a swing from what grows.
 */
async function expectFlatMemory(hub: RunningHub, samples: readonly Sample[]): Promise<void> {
  const warm = meanBytes(samples.filter(({ published }) => published >= 50_000 && published <= 125_000))
  const last = meanBytes(samples.slice(-30))
  expect(last).toBeGreaterThan(0)
  if (last / warm < 1.1) return
  const later = await runPast({ hub, token, count: 300_000, every: 2500, pauseEvery: 300_000 })
  expect(meanBytes(later.slice(-30)) / warm).toBeLessThan(1.1)
}

function meanBytes(samples: readonly Sample[]): number {
  return samples.reduce((sum, { residentBytes }) => sum + residentBytes, 0) / samples.length
}
