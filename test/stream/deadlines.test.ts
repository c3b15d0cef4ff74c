import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Deadlines, type Due } from '../../src/stream/deadlines.ts'

/** A queue with a clock of its own, and the order in which what stood in it was due. */
class Fixture {
  now = 0
  readonly due: number[] = []
  readonly queue: Deadlines
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>()

  constructor() {
    this.queue = new Deadlines({
      now: () => this.now,
      delay: (ms, run) => {
        const timer = { at: this.now + Math.max(0, ms), run }
        this.#timers.add(timer)
        return () => void this.#timers.delete(timer)
      },
    })
  }

  /** Timers that the platform holds. */
  get timers(): number {
    return this.#timers.size
  }

  add(dueAt: number, onDue = () => {}): Due {
    const due: Due = {
      dueAt,
      place: -1,
      onDue: () => {
        this.due.push(dueAt)
        onDue()
      },
    }
    this.queue.add(due)
    return due
  }

  pass(ms: number): void {
    this.now += ms
    for (const timer of [...this.#timers]) {
      if (timer.at > this.now) continue
      this.#timers.delete(timer)
      timer.run()
    }
  }
}

describe('deadlines', () => {
  test('SUB-87 SUB-89 each is due at its time, not before, and the earliest first', () => {
    const fixture = new Fixture()
    for (const at of [30, 10, 20.5]) fixture.add(at)
    fixture.pass(9)
    expect(fixture.due).toEqual([])
    fixture.pass(1)
    expect(fixture.due).toEqual([10])
    fixture.pass(10)
    expect(fixture.due).toEqual([10])
    fixture.pass(20)
    expect(fixture.due).toEqual([10, 20.5, 30])
    expect([fixture.queue.size, fixture.timers]).toEqual([0, 0])
  })

  test('thousands at one time are ended in slices, so that nobody waits for all of them', () => {
    const fixture = new Fixture()
    const onDue = () => {
      fixture.now += 2
    }
    for (let n = 0; n < 20; n++) fixture.add(10, onDue)
    fixture.pass(10)
    expect(fixture.due.length).toBeLessThan(6)
    while (fixture.due.length < 20) {
      const before = fixture.due.length
      fixture.pass(0)
      expect(fixture.due.length - before).toBeWithin(1, 6)
    }
    expect([fixture.queue.size, fixture.timers]).toEqual([0, 0])
  })

  test('one in the past is due in the next turn, not at once', () => {
    const fixture = new Fixture()
    fixture.pass(100)
    fixture.add(50)
    expect(fixture.due).toEqual([])
    fixture.pass(0)
    expect(fixture.due).toEqual([50])
  })

  test('one timer serves all of them, and an earlier one takes its place', () => {
    const fixture = new Fixture()
    for (let at = 1000; at > 0; at--) fixture.add(at)
    expect(fixture.timers).toBe(1)
    fixture.pass(1)
    expect(fixture.due).toEqual([1])
  })

  test('one that is taken out is never due, and taking it out again does nothing', () => {
    const fixture = new Fixture()
    const first = fixture.add(10)
    fixture.add(20)
    fixture.queue.remove(first)
    fixture.queue.remove(first)
    expect([fixture.queue.size, first.place]).toEqual([1, -1])
    fixture.pass(30)
    expect(fixture.due).toEqual([20])
  })

  test('what is due may take others out and put others in', () => {
    const fixture = new Fixture()
    const other = fixture.add(10)
    fixture.add(5, () => {
      fixture.queue.remove(other)
      fixture.add(11)
    })
    fixture.pass(10)
    expect(fixture.due).toEqual([5])
    fixture.pass(1)
    expect(fixture.due).toEqual([5, 11])
  })

  test('whatever comes and goes, all that stay are due in order and nothing else is', () => {
    const steps = fc.array(fc.record({ at: fc.nat(1000), isTakenOut: fc.boolean() }), { maxLength: 100 })
    fc.assert(
      fc.property(steps, fc.infiniteStream(fc.nat()), (all, picks) => {
        const fixture = new Fixture()
        const inside: Due[] = []
        for (const { at, isTakenOut } of all) {
          inside.push(fixture.add(at))
          if (!isTakenOut) continue
          const [out] = inside.splice(picks.next().value % inside.length, 1)
          if (out !== undefined) fixture.queue.remove(out)
        }
        expect(fixture.queue.size).toBe(inside.length)
        const expected = inside.map(({ dueAt }) => dueAt).sort((left, right) => left - right)
        while (fixture.queue.size > 0) fixture.pass(1)
        expect(fixture.due).toEqual(expected)
      }),
    )
  })
})
