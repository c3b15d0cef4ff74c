import { describe, expect, test } from 'bun:test'
import { Stretches } from '../../src/hub/stretches.ts'
import { type Page, type Position, START } from '../../src/hub/transport.ts'
import { seal } from '../../src/protocol/update.ts'
import { MemoryTransport } from '../../src/transport/memory/transport.ts'
import { update } from '../support/hub.ts'

/** Everything, as far as one page goes. */
const whole = { entries: 500, bytes: 256 * 1024 }
const end = 1_000_000 as Position

/** A log of so many entries, `keep` of them kept, and how often it was read. */
class CountedLog extends MemoryTransport {
  reads = 0

  static async of(count: number, keep: number | null = null): Promise<CountedLog> {
    const log = new CountedLog({
      retention: { maxCount: keep, maxAgeMs: null, maxBytes: null },
      clock: () => 0,
    })
    await log.open(() => {})
    for (let n = 1; n <= count; n++) await log.append(seal(update({ topics: ['a'] }), `${n}`))
    return log
  }

  override read(...asked: Parameters<MemoryTransport['read']>) {
    this.reads++
    return super.read(...asked)
  }
}

describe('stretches of the log that many read at once', () => {
  test('are read once, and cut into pages for each reader', async () => {
    const log = await CountedLog.of(100)
    const stretches = new Stretches(log, whole)
    const [entry] = pageOf(await log.read(START, end, whole)).entries
    const bytes = 10 * (entry?.frame.length ?? 0)
    log.reads = 0
    for (let reader = 0; reader < 10; reader++) {
      const ids: string[] = []
      for (let after = START; after < 100; ) {
        const page = pageOf(await stretches.read(after, 100 as Position, bytes))
        expect(page.entries.length).toBeLessThanOrEqual(10)
        ids.push(...page.entries.map(({ id }) => id))
        after = page.next
      }
      expect(ids).toEqual(Array.from({ length: 100 }, (_, index) => `${index + 1}`))
    }
    expect(log.reads).toBe(1)
  })

  test('a page holds one entry at least, however large', async () => {
    const stretches = new Stretches(await CountedLog.of(3), whole)
    const page = pageOf(await stretches.read(START, end, 1))
    expect(page.entries.map(({ id }) => id)).toEqual(['1'])
  })

  test('REC-12 a reader whose next entry is gone is told so, also when others read from the start', async () => {
    const stretches = new Stretches(await CountedLog.of(20, 10), whole)
    expect(pageOf(await stretches.read(START, end, whole.bytes)).entries.length).toBe(10)
    expect(await stretches.read(5 as Position, end, whole.bytes)).toBe('lost')
  })

  test('what was forgotten is read again', async () => {
    const log = await CountedLog.of(1)
    const stretches = new Stretches(log, whole)
    await stretches.read(START, 1 as Position, whole.bytes)
    await log.append(seal(update({ topics: ['a'] }), '2'))
    stretches.forget()
    const page = pageOf(await stretches.read(START, 2 as Position, whole.bytes))
    expect(page.entries.map(({ id }) => id)).toEqual(['1', '2'])
  })
})

function pageOf(answer: Page | 'lost'): Page {
  if (answer === 'lost') throw new Error('the page is lost')
  return answer
}
