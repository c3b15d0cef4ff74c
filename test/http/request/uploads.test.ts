import { describe, expect, test } from 'bun:test'
import { type Upload, type UploadLimits, Uploads } from '../../../src/http/request/uploads.ts'

/** Bodies on a clock that the test owns; every connection says whether it stays open. */
function arrange(limits: Partial<UploadLimits> = {}) {
  let now = 0
  let timers: { readonly at: number; run(): void }[] = []
  const loop = {
    now: () => now,
    later: () => {},
    delay: (ms: number, run: () => void) => {
      timers.push({ at: now + ms, run })
      return () => {}
    },
  }
  const uploads = new Uploads({ bytes: 0, idleMs: 10_000, bytesPerSecond: 1000, ...limits }, loop)
  const pass = (ms: number) => {
    const end = now + ms
    for (;;) {
      const due = timers.toSorted((left, right) => left.at - right.at).find(({ at }) => at <= end)
      if (due === undefined) break
      timers = timers.filter((timer) => timer !== due)
      now = due.at
      due.run()
    }
    now = end
  }
  const isOpen: boolean[] = []
  const begin = (share = 1) => uploads.begin({ stayOpen: (stays) => isOpen.push(stays) }, share)
  return { uploads, begin, pass, isOpen, timers: () => timers.length }
}

/** Settles as the upload decides; the part that it waits for never comes. */
function waiting(upload: Upload): { refused: () => string | null } {
  let code: string | null = null
  upload.await(new Promise<void>(() => {})).catch((error: { code: string }) => {
    code = error.code
  })
  return { refused: () => code }
}

describe('bodies that are received', () => {
  test('S7 are counted in sum, up to the limit, and given back at their end', () => {
    const { uploads, begin } = arrange({ bytes: 100 })
    const [one, other] = [begin(), begin()]
    one.reserve(60)
    other.grow(30)
    expect([uploads.bytes, uploads.size]).toEqual([90, 2])
    expect(() => other.grow(11)).toThrow('the bodies that are being received take all that they may')
    expect(() => begin().reserve(11)).toThrow('take all that they may')
    other.grow(10)
    one.end()
    other.end()
    expect(uploads.bytes).toBe(0)
  })

  test('S7 of one kind leave the others their share', () => {
    const { begin } = arrange({ bytes: 100 })
    const half = begin(0.5)
    half.grow(50)
    expect(() => half.grow(1)).toThrow('take all')
    const whole = begin()
    whole.grow(50)
    expect(() => whole.grow(1)).toThrow('take all')
  })

  test('S7 are refused once nothing of them has come for so long', async () => {
    const { begin, pass } = arrange()
    const upload = begin()
    const { refused } = waiting(upload)
    upload.grow(1_000_000)
    pass(9000)
    upload.grow(1)
    pass(10_000)
    await Promise.resolve()
    expect(refused()).toBeNull()
    pass(2000)
    await Promise.resolve()
    expect(refused()).toBe('body-too-slow')
  })

  test('S7 live as long as they come with the least rate on average, and no longer', async () => {
    const { begin, pass } = arrange()
    const steady = begin()
    const trickle = begin()
    const states = [waiting(steady), waiting(trickle)]
    for (let second = 0; second < 60; second++) {
      pass(1000)
      steady.grow(1000)
      trickle.grow(1)
    }
    await Promise.resolve()
    expect(states.map(({ refused }) => refused())).toEqual([null, 'body-too-slow'])
  })

  test('S7 that were put by have their time at the least rate', async () => {
    const { begin, pass } = arrange()
    const upload = begin()
    upload.reserve(5000)
    const { refused } = waiting(upload)
    pass(15_000)
    await Promise.resolve()
    expect(refused()).toBeNull()
    pass(2000)
    await Promise.resolve()
    expect(refused()).toBe('body-too-slow')
  })

  test('S7 that take time put the idle timeout of their connection off until their end', () => {
    const { begin, pass, isOpen } = arrange()
    const quick = begin()
    quick.end()
    pass(3000)
    expect(isOpen).toEqual([])
    const slow = begin()
    pass(3000)
    expect(isOpen).toEqual([true])
    slow.end()
    expect(isOpen).toEqual([true, false])
  })

  test('are looked at by one timer, and by none when there are none', () => {
    const { begin, pass, timers } = arrange()
    expect(timers()).toBe(0)
    const [one, other] = [begin(), begin()]
    expect(timers()).toBe(1)
    pass(5000)
    expect(timers()).toBe(1)
    one.end()
    other.end()
    pass(1000)
    expect(timers()).toBe(0)
  })
})
