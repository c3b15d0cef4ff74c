import { describe, expect, test } from 'bun:test'
import { advise, type Plan } from '../../src/config/advice.ts'

const MiB = 2 ** 20
const plan: Plan = {
  transport: 'sqlite',
  maxCount: 100_000,
  maxAge: 86_400,
  maxBytes: 256 * MiB,
  subscribers: 1000,
  stalled: 0.01,
  buffer: MiB,
  body: MiB,
  bodies: 64 * MiB,
  patternWeight: 300_000,
  rate: 100,
  size: 1024,
}

describe('the past', () => {
  test('ends with the limit that is reached first', () => {
    expect(advise(plan).kept).toMatchObject({ binds: 'count', rows: 100_000, seconds: 1000 })
    expect(advise({ ...plan, rate: 0.1 }).kept).toMatchObject({ binds: 'age', seconds: 86_400 })
    const large = advise({ ...plan, size: 100_000 }).kept
    expect(large.binds).toBe('bytes')
    expect(large.bytes).toBeCloseTo(256 * MiB)
  })

  test('is everything without limits, and nothing with none kept', () => {
    const unlimited = advise({ ...plan, maxCount: null, maxAge: null, maxBytes: null })
    expect(unlimited.kept).toMatchObject({ binds: 'nothing', seconds: Number.POSITIVE_INFINITY })
    expect(advise({ ...plan, maxCount: 0 }).kept.rows).toBe(0)
    expect(advise({ ...plan, transport: 'local' }).kept.rows).toBe(0)
  })

  test('takes a quarter more of the disk than is kept, and 8 MiB', () => {
    expect(advise({ ...plan, size: 100_000 }).disk).toBeCloseTo(328 * MiB, -1)
    expect(advise({ ...plan, transport: 'memory' }).disk).toBe(0)
  })
})

describe('memory', () => {
  test('is the sum of its parts, never usually more than at most', () => {
    for (const transport of ['sqlite', 'memory', 'local'] as const) {
      const { parts, most, usually } = advise({ ...plan, transport })
      for (const part of parts) expect(part.usually).toBeLessThanOrEqual(part.most)
      expect(parts.reduce((sum, part) => sum + part.most, 0)).toBe(most)
      expect(usually).toBeLessThan(most)
    }
  })

  test('grows with readers that take nothing, each by its buffer and a piece', () => {
    const without = advise({ ...plan, stalled: 0 })
    const all = advise({ ...plan, stalled: 1 })
    expect(all.most - without.most).toBe(1000 * (MiB + 64 * 1024))
    expect(all.kernel).toBe(1000 * 4 * MiB)
    expect(without.kernel).toBe(0)
  })

  test('holds the past only with the transport memory', () => {
    const name = ({ name }: { name: string }) => name
    expect(advise({ ...plan, transport: 'memory' }).parts.map(name)).toContain('History in memory')
    expect(advise(plan).parts.map(name)).not.toContain('History in memory')
    expect(advise({ ...plan, transport: 'local' }).parts.map(name)).not.toContain('Readers that catch up')
  })
})
