import { describe, expect, test } from 'bun:test'
import { ProtocolError } from '../../../src/protocol/error.ts'
import { socketAddress } from '../../../src/serve/manager/notify-socket.ts'
import { ServiceManager, watchdogMs } from '../../../src/serve/manager/service-manager.ts'
import { statusText } from '../../../src/serve/manager/status.ts'
import { loggedLines, ManualLoop } from '../../support/manual-loop.ts'

/** A hub that works as the test says, and a manager that hears it or does not. */
function arrange(period: number | null) {
  const loop = new ManualLoop()
  const { log, messages } = loggedLines()
  const heard: string[] = []
  const state: { work: () => Promise<void>; isHearing: boolean } = {
    work: () => Promise.resolve(),
    isHearing: true,
  }
  const socket = {
    send: (message: string) => {
      if (state.isHearing) heard.push(message)
      return state.isHearing
    },
    monotonicUsec: () => 42n,
  }
  const manager = new ServiceManager({ socket, watchdogMs: period, loop, log })
  const figures = async () => ({ subscribers: 1, history: null, problem: null })
  const watch = async () => {
    manager.watch({ work: () => state.work(), figures })
    await settle()
  }
  const pass = async (ms: number) => {
    loop.pass(ms)
    await settle()
  }
  const notices = () => heard.filter((message) => !message.startsWith('STATUS='))
  return { manager, state, heard, notices, messages, watch, pass }
}

/** Lets promises that are settled go on. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('a service manager', () => {
  test('hears READY after the first proof that succeeds, and of a reload only after that', async () => {
    const { manager, state, notices, messages, watch, pass } = arrange(null)
    state.work = () => Promise.reject(new Error('not yet'))
    await watch()
    for (let n = 0; n < 5; n++) await pass(1000)
    manager.reloading()
    manager.reloaded()
    expect([notices(), messages()]).toEqual([[], ['the hub cannot be published to']])
    state.work = () => Promise.resolve()
    await pass(1000)
    expect(notices()).toEqual(['READY=1'])
    manager.reloading()
    manager.reloaded()
    expect(notices()).toEqual(['READY=1', 'RELOADING=1\nMONOTONIC_USEC=42', 'READY=1'])
    expect(messages()).toEqual(['the hub cannot be published to', 'the hub can be published to again'])
  })

  test('without a watchdog asks the hub for no proof once it is ready', async () => {
    const { state, watch, pass } = arrange(null)
    let proofs = 0
    state.work = async () => void proofs++
    await watch()
    for (let n = 0; n < 100; n++) await pass(1000)
    expect(proofs).toBe(1)
  })

  test('is fed three times in the period of its watchdog', async () => {
    const { notices, watch, pass } = arrange(30_000)
    await watch()
    expect(notices()).toEqual(['READY=1', 'WATCHDOG=1'])
    for (let n = 0; n < 30; n++) await pass(1000)
    expect(notices().length).toBe(5)
  })

  test('is not fed while a proof waits or fails, and is again after one that succeeds', async () => {
    const { state, notices, messages, watch, pass } = arrange(3000)
    await watch()
    const silent = Promise.withResolvers<void>()
    state.work = () => silent.promise
    for (let n = 0; n < 60; n++) await pass(1000)
    expect(notices()).toEqual(['READY=1', 'WATCHDOG=1'])
    state.work = () => Promise.reject(new ProtocolError('store-failed', 'the disk is broken'))
    silent.resolve()
    await pass(0)
    expect(notices().length).toBe(3)
    for (let n = 0; n < 60; n++) await pass(1000)
    expect([notices().length, messages()]).toEqual([3, ['the hub cannot be published to']])
    state.work = () => Promise.resolve()
    await pass(1000)
    expect(notices().length).toBe(4)
  })

  test('is fed while the store is full, but hears READY only when there is room', async () => {
    const { state, notices, watch, pass } = arrange(3000)
    state.work = () => Promise.reject(new ProtocolError('store-full', 'full'))
    await watch()
    await pass(1000)
    expect(notices()).toEqual([])
    state.work = () => Promise.resolve()
    await pass(1000)
    state.work = () => Promise.reject(new ProtocolError('store-full', 'full'))
    await pass(1000)
    expect(notices()).toEqual(['READY=1', 'WATCHDOG=1', 'WATCHDOG=1'])
  })

  test('that hears nothing for a while gets the latest state then, and the log says it once', async () => {
    const { manager, state, notices, messages, watch, pass } = arrange(null)
    state.isHearing = false
    await watch()
    for (let n = 0; n < 10; n++) await pass(1000)
    manager.stopping(3)
    expect(notices()).toEqual([])
    state.isHearing = true
    await pass(1000)
    await pass(1000)
    expect(notices()).toEqual(['STOPPING=1\nSTATUS=draining, 3 subscribers'])
    expect(messages()).toEqual(['the service manager does not take what the hub tells it'])
  })

  test('hears nothing after STOPPING', async () => {
    const { manager, heard, watch, pass } = arrange(3000)
    await watch()
    manager.stopping(0)
    manager.reloading()
    manager.reloaded()
    const before = heard.length
    for (let n = 0; n < 60; n++) await pass(1000)
    expect(heard.length).toBe(before)
  })

  test('is told the figures when they have changed, every 10 seconds at most', async () => {
    const { heard, watch, pass } = arrange(null)
    await watch()
    for (let n = 0; n < 60; n++) await pass(1000)
    expect(heard.filter((message) => message.startsWith('STATUS='))).toEqual([
      'STATUS=1 subscriber, history unknown',
    ])
  })
})

test('the figures are one line, whatever a problem holds', () => {
  const history = { rows: 12, bytes: 3_500_000 }
  expect(statusText({ subscribers: 5, history, problem: null })).toBe(
    '5 subscribers, history 12 updates, 3.3 MiB',
  )
  expect(statusText({ subscribers: 1, history: { rows: 1, bytes: 0 }, problem: null })).toBe(
    '1 subscriber, history 1 update, 0.0 MiB',
  )
  expect(statusText({ subscribers: 5, history: null, problem: 'a\nREADY=1' })).toBe(
    'a READY=1; 5 subscribers, history unknown',
  )
})

test('WATCHDOG_USEC is the period, when WATCHDOG_PID is this process or absent', () => {
  const of = (WATCHDOG_USEC?: string, WATCHDOG_PID?: string) => watchdogMs({ WATCHDOG_USEC, WATCHDOG_PID }, 7)
  expect([of('30000000'), of('1500', '7')]).toEqual([30_000, 1.5])
  expect([of(), of(''), of('0'), of('-5'), of('x'), of('Infinity'), of('30000000', '8')]).toEqual(
    Array.from({ length: 7 }, () => null),
  )
})

describe('the address of a socket', () => {
  test('is a path with its end, or an abstract name behind a zero', () => {
    expect(Buffer.from(socketAddress('/run/x')).toString('latin1')).toBe('\x01\0/run/x\0')
    expect(Buffer.from(socketAddress('@x')).toString('latin1')).toBe('\x01\0\0x')
    expect(socketAddress(`/${'x'.repeat(106)}`).length).toBe(110)
    expect(socketAddress(`@${'x'.repeat(107)}`).length).toBe(110)
  })

  test('is refused when it is something else, or too long', () => {
    for (const address of ['vsock:2:1', 'run/x', `/${'x'.repeat(107)}`, `@${'x'.repeat(108)}`])
      expect(() => socketAddress(address)).toThrow()
  })
})
