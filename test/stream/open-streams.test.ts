import { describe, expect, test } from 'bun:test'
import { type Beating, OpenStreams } from '../../src/stream/open-streams.ts'

/** Open streams with a clock, a timer and turns of the loop that the test owns. */
class Fixture {
  now = 0
  /** By how much the wall clock was set, in milliseconds. */
  setBy = 0
  /** Milliseconds that a look at the clock takes. */
  lookMs = 0
  /** Since when each beaten stream must have been silent, in the order of the beats. */
  readonly beats: [name: string, quietSince: number][] = []
  readonly streams: OpenStreams
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>()
  #later: (() => void)[] = []

  constructor(heartbeatMs: number) {
    this.streams = new OpenStreams({
      loop: {
        now: () => {
          this.now += this.lookMs
          return this.now
        },
        later: (run) => this.#later.push(run),
        delay: (ms, run) => {
          const timer = { at: this.now + ms, run }
          this.#timers.add(timer)
          return () => void this.#timers.delete(timer)
        },
      },
      wall: () => this.now + this.setBy,
      heartbeatMs,
    })
  }

  /** When the timers of the platform are due, in milliseconds. */
  get timers(): readonly number[] {
    return [...this.#timers].map(({ at }) => at)
  }

  add(name: string, onBeat = () => {}): Beating {
    const stream: Beating = {
      place: -1,
      beat: (quietSince) => {
        this.beats.push([name, quietSince])
        onBeat()
      },
    }
    this.streams.add(stream)
    return stream
  }

  /** Goes to that time, where the timers that are due by then run, late as they may be. */
  goTo(ms: number): void {
    this.now = ms
    for (const timer of [...this.#timers]) {
      if (timer.at > ms) continue
      this.#timers.delete(timer)
      timer.run()
    }
  }

  /** One turn of the loop. */
  turn(): void {
    for (const run of this.#later.splice(0)) run()
  }
}

describe('the timer of the heartbeat', () => {
  test('SUB-85 one serves all streams, four times a heartbeat and at least once a second', () => {
    const fixture = new Fixture(2000)
    fixture.add('a')
    fixture.add('b')
    fixture.streams.start()
    expect(fixture.timers).toEqual([500])
    fixture.goTo(500)
    expect(fixture.beats).toEqual([
      ['b', -1500],
      ['a', -1500],
    ])
    expect(fixture.timers).toEqual([1000])
    const slow = new Fixture(60_000)
    slow.streams.start()
    expect(slow.timers).toEqual([1000])
  })

  test('it runs from the start to the stop and never twice', () => {
    const fixture = new Fixture(2000)
    expect(fixture.timers).toEqual([])
    fixture.streams.start()
    fixture.streams.start()
    expect(fixture.timers).toEqual([500])
    fixture.streams.stop()
    fixture.streams.stop()
    expect(fixture.timers).toEqual([])
  })

  test('SUB-85 another heartbeat holds at once, and one that is the same changes nothing', () => {
    const fixture = new Fixture(2000)
    fixture.add('a')
    fixture.streams.start()
    fixture.now = 300
    fixture.streams.heartbeatMs = 2000
    expect(fixture.timers).toEqual([500])
    fixture.streams.heartbeatMs = 400
    expect(fixture.timers).toEqual([400])
    fixture.goTo(400)
    expect([fixture.beats, fixture.streams.lagMs]).toEqual([[['a', 0]], 0])
    fixture.streams.heartbeatMs = 0
    fixture.goTo(1400)
    expect(fixture.beats.length).toBe(1)
  })

  test('another heartbeat starts no timer that stands still', () => {
    const fixture = new Fixture(2000)
    fixture.streams.heartbeatMs = 400
    expect(fixture.timers).toEqual([])
    fixture.streams.start()
    expect(fixture.timers).toEqual([100])
  })
})

describe('the lag of the event loop', () => {
  test.each([0, 20_000])('is how late the last beat was, with a heartbeat of %p ms', (heartbeatMs) => {
    const fixture = new Fixture(heartbeatMs)
    fixture.now = 5000
    fixture.streams.start()
    fixture.goTo(6000)
    expect(fixture.streams.lagMs).toBe(0)
    fixture.goTo(7030)
    expect(fixture.streams.lagMs).toBe(30)
    expect(fixture.timers).toEqual([8030])
  })

  test('does not count the time that the beat before took', () => {
    const fixture = new Fixture(20_000)
    fixture.add('a', () => {
      fixture.now += 7
    })
    fixture.streams.start()
    fixture.goTo(1000)
    expect(fixture.now).toBe(1007)
    fixture.goTo(2000)
    expect(fixture.streams.lagMs).toBe(0)
  })
})

describe('a beat', () => {
  test('SUB-85 takes its turns in slices, and every stream that stays gets one, whoever leaves meanwhile', () => {
    const fixture = new Fixture(20_000)
    const all = Array.from({ length: 300 }, (_, at) => fixture.add(String(at)))
    fixture.lookMs = 5
    fixture.streams.beat()
    const inFirst = fixture.beats.length
    expect(inFirst).toBeLessThan(150)
    for (const at of [0, 1, 299]) fixture.streams.remove(all[at] ?? fixture.add('none'))
    for (let turns = 0; turns < 10; turns++) fixture.turn()
    // One that had its turn may come again in the place of one that left: it has just been written to.
    const beaten = new Set(fixture.beats.map(([name]) => name))
    expect(beaten.size).toBe(298)
    expect(['0', '1'].some((name) => beaten.has(name))).toBe(false)
  })

  test('a stream that ends by its beat takes nobody else along', () => {
    const fixture = new Fixture(20_000)
    const [, middle] = ['a', 'b', 'c'].map((name) =>
      fixture.add(name, name === 'b' ? () => middle && fixture.streams.remove(middle) : undefined),
    )
    fixture.streams.beat()
    expect([fixture.beats.map(([name]) => name), fixture.streams.size]).toEqual([['c', 'b', 'a'], 2])
    expect(middle?.place).toBe(-1)
  })
})
