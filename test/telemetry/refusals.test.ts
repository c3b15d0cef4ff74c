import { expect, test } from 'bun:test'
import { Log } from '../../src/telemetry/log.ts'
import { Refusals } from '../../src/telemetry/refusals.ts'

function arrange(level: 'debug' | 'info' = 'info') {
  const lines: string[] = []
  const timers: (() => void)[] = []
  const log = new Log({ write: (line) => lines.push(line), format: 'json', level, clock: () => new Date(0) })
  const loop = {
    now: () => 0,
    later: () => {},
    delay: (ms: number, run: () => void) => {
      expect(ms).toBe(60_000)
      timers.push(run)
      return () => {}
    },
  }
  return {
    refusals: new Refusals(log, loop),
    minute: () => {
      for (const run of timers.splice(0)) run()
    },
    told: () =>
      lines.splice(0).map((line) => {
        const { time, ...fields } = JSON.parse(line)
        return fields
      }),
  }
}

const audience = {
  code: 'invalid-token',
  reason: 'audience',
  status: 401,
  address: '192.0.2.1',
  issuer: '"https://a.example"',
  expected: '"https://hub.example.com"',
  seen: '"https://other.example"',
}

test('the first of a reason is told at once, those that follow once a minute with their number and the latest', () => {
  const { refusals, minute, told } = arrange()
  refusals.add({ ...audience, request: 'a-1' })
  const line = {
    level: 'info',
    message: 'requests refused',
    reason: 'invalid-token (audience)',
    status: 401,
    address: '192.0.2.1',
    issuer: '"https://a.example"',
    expected: '"https://hub.example.com"',
    seen: '"https://other.example"',
  }
  expect(told()).toEqual([{ ...line, count: 1, request: 'a-1' }])
  refusals.add({ ...audience, request: 'a-2' })
  refusals.add({ ...audience, request: 'a-3', seen: 'missing' })
  expect(told()).toEqual([])
  minute()
  expect(told()).toEqual([{ ...line, count: 2, request: 'a-3', seen: 'missing' }])
  minute()
  expect(told()).toEqual([])
  refusals.add({ ...audience, request: 'a-4' })
  expect(told()).toEqual([{ ...line, count: 1, request: 'a-4' }])
})

test('each reason has a line of its own', () => {
  const { refusals, told } = arrange()
  refusals.add({ code: 'missing-token', status: 401, address: null, request: 'a-1' })
  refusals.add({ ...audience, request: 'a-2' })
  refusals.add({ ...audience, reason: 'expired', request: 'a-3' })
  expect(told().map(({ reason, address }) => [reason, address])).toEqual([
    ['missing-token', 'a Unix socket'],
    ['invalid-token (audience)', '192.0.2.1'],
    ['invalid-token (expired)', '192.0.2.1'],
  ])
})

test('at debug each refusal has a line', () => {
  const { refusals, told } = arrange('debug')
  for (const request of ['a-1', 'a-2']) refusals.add({ ...audience, request })
  expect(told().map(({ level, request }) => [level, request])).toEqual([
    ['debug', 'a-1'],
    ['info', 'a-1'],
    ['debug', 'a-2'],
  ])
})
