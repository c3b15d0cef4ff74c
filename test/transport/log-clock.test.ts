import { describe, expect, test } from 'bun:test'
import { type Anchor, LogClock, NEW_ANCHOR, steady } from '../../src/transport/log-clock.ts'
import type { Notice } from '../../src/transport/notice.ts'
import { Machine } from '../support/machine.ts'

const ignore = () => {}

test('the time of a log follows the clock forwards, in whole milliseconds', () => {
  let now = 1000.9
  const clock = new LogClock(
    steady(() => now),
    ignore,
  )
  expect(clock.now()).toBe(1000)
  now = 2500.2
  expect(clock.now()).toBe(2500)
})

test('a step back of the clock stops nothing: time goes on from where it was', () => {
  let now = 1000
  const clock = new LogClock(
    steady(() => now),
    ignore,
  )
  clock.now()
  now = 400
  expect(clock.now()).toBe(1000)
  now = 450
  expect(clock.now()).toBe(1050)
})

test('time goes on from the newest entry when that is ahead of the clock', () => {
  let now = 100
  const clock = new LogClock(
    steady(() => now),
    ignore,
  )
  clock.resume(NEW_ANCHOR, 7000)
  expect(clock.now()).toBe(7000)
  now = 130
  expect(clock.now()).toBe(7030)
})

test('a newest entry behind the clock changes nothing', () => {
  const clock = new LogClock(
    steady(() => 9000),
    ignore,
  )
  clock.resume(NEW_ANCHOR, 7000)
  expect(clock.now()).toBe(9000)
})

const HOUR = 3_600_000
const in2020 = Date.UTC(2020, 0, 1)
const in2026 = Date.UTC(2026, 10, 25)

/** A log on this machine, in a hub that has just been started on what the one before has stored. */
function start(machine: Machine, stored: Anchor = NEW_ANCHOR, newestAt = 0) {
  const notices: Notice[] = []
  const clock = new LogClock(machine, (notice) => notices.push(notice))
  clock.resume(stored, newestAt)
  return { clock, notices }
}

describe('M4 while the hub runs', () => {
  test('a clock that is set forwards makes nothing older, and the log knows what it shows', () => {
    const machine = new Machine(in2020)
    const { clock, notices } = start(machine)
    const stamped = clock.now()
    machine.pass(1000)
    machine.set(in2026)
    expect(clock.now() - stamped).toBe(1000)
    machine.pass(500)
    expect(clock.now() - stamped).toBe(1500)
    expect(clock.toWall(clock.now())).toBe(machine.wall())
    expect(clock.toWall(stamped)).toBe(machine.wall() - 1500)
    expect(notices).toEqual([{ kind: 'clock-set', ms: in2026 - in2020 - 1000 }])
  })

  test('a clock that is set back makes nothing younger, and time does not stand still', () => {
    const machine = new Machine(in2026)
    const { clock, notices } = start(machine)
    const stamped = clock.now()
    machine.set(in2020)
    machine.pass(HOUR)
    expect(clock.now() - stamped).toBe(HOUR)
    expect(clock.toWall(clock.now())).toBe(in2020 + HOUR)
    expect(notices).toMatchObject([{ kind: 'clock-set' }])
  })

  test('sleep is time that passed, whether the monotonic clock stood still meanwhile or not', () => {
    for (const isCounted of [false, true]) {
      const machine = new Machine(in2026)
      const { clock, notices } = start(machine)
      const stamped = clock.now()
      machine.pass(1234)
      machine.sleep(2 * HOUR, isCounted)
      expect(Math.abs(clock.now() - stamped - 2 * HOUR - 1234)).toBeLessThan(1000)
      expect(Math.abs(clock.toWall(clock.now()) - machine.wall())).toBeLessThan(1000)
      expect(notices.map(({ kind }) => kind)).toEqual(isCounted ? [] : ['slept'])
    }
  })

  test('a clock that is set while the machine sleeps changes what it shows and no age', () => {
    const machine = new Machine(in2020)
    const { clock, notices } = start(machine)
    const stamped = clock.now()
    machine.sleep(2 * HOUR)
    machine.set(in2026)
    expect(Math.abs(clock.now() - stamped - 2 * HOUR)).toBeLessThan(1000)
    expect(notices.map(({ kind }) => kind)).toEqual(['slept', 'clock-set'])
  })

  test('sleep that moved no other clock is noticed at the next look', () => {
    const machine = new Machine(in2026)
    const { clock } = start(machine)
    const stamped = clock.now()
    machine.sleep(2 * HOUR)
    machine.set(in2026)
    clock.look()
    expect(Math.abs(clock.now() - stamped - 2 * HOUR)).toBeLessThan(1000)
  })

  test('where nobody can tell sleep from a clock that was set, no age changes', () => {
    const machine = new Machine(in2026, false)
    const { clock } = start(machine)
    const stamped = clock.now()
    machine.sleep(2 * HOUR)
    machine.pass(10)
    expect(clock.now() - stamped).toBe(10)
  })

  test('a clock that is slewed, and uptimes in whole seconds, are nothing to notice', () => {
    const machine = new Machine(in2026)
    const { clock, notices } = start(machine)
    const begin = clock.now()
    for (let step = 1; step <= 1000; step++) {
      machine.pass(37)
      machine.set(machine.wall() + (step % 3) - 1)
      clock.look()
      expect(clock.now() - begin).toBe(37 * step)
    }
    expect(notices).toEqual([])
  })

  test('whatever the clocks do, time never goes back', () => {
    const machine = new Machine(in2026)
    const { clock } = start(machine)
    let before = clock.now()
    const steps = [
      () => machine.set(in2020),
      () => machine.sleep(HOUR),
      () => machine.set(in2026 + HOUR),
      () => machine.sleep(5000, true),
      () => machine.set(0),
      () => machine.pass(1),
    ]
    for (const step of [...steps, ...steps]) {
      step()
      const now = clock.now()
      expect(now).toBeGreaterThanOrEqual(before)
      before = now
    }
  })
})

describe('M4 after a restart', () => {
  test('of the hub, time went by as the machine says, whatever its clock was set to meanwhile', () => {
    for (const wall of [in2020, in2026, in2026 + 24 * HOUR]) {
      const machine = new Machine(in2020)
      const first = start(machine).clock
      const stamped = first.now()
      const { anchor } = first
      machine.restartHub(60_000)
      machine.set(wall)
      const { clock } = start(machine, anchor, stamped)
      expect(Math.abs(clock.now() - stamped - 60_000)).toBeLessThan(1000)
      expect(Math.abs(clock.toWall(clock.now()) - wall)).toBeLessThanOrEqual(2000)
    }
  })

  test('of the machine, time went by as the clock says that was set right in the meantime', () => {
    const machine = new Machine(in2020)
    const first = start(machine).clock
    const stamped = first.now()
    machine.set(in2026)
    first.look()
    const { anchor } = first
    machine.reboot('second', in2026 + 600_000)
    const { clock } = start(machine, anchor, stamped)
    expect(clock.now() - stamped).toBe(600_000)
  })

  test('of a machine that forgot the time, it goes on from the newest entry, also once the clock is right', () => {
    const machine = new Machine(in2026)
    const first = start(machine).clock
    const stamped = first.now()
    const { anchor } = first
    machine.reboot('second', in2020)
    const second = start(machine, anchor, stamped).clock
    expect(second.now()).toBe(stamped)
    machine.pass(1000)
    machine.set(in2026 + HOUR)
    expect(second.now() - stamped).toBe(1000)
    expect(second.toWall(second.now())).toBe(in2026 + HOUR)
    const later = second.anchor
    machine.reboot('third', in2026 + 2 * HOUR)
    expect(start(machine, later, stamped).clock.now() - stamped).toBe(HOUR + 1000)
  })

  test('where the boot is not known, the clock says how much time went by', () => {
    const machine = new Machine(in2026, false)
    machine.boot = null
    const first = start(machine).clock
    const stamped = first.now()
    const { anchor } = first
    machine.restartHub(60_000)
    expect(start(machine, anchor, stamped).clock.now() - stamped).toBe(60_000)
  })
})
