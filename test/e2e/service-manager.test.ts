import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type HubOptions, type RunningHub, startHub, until } from '../support/binary.ts'
import { temporaryFolder } from '../support/certificates.ts'
import { hasMachineShim, machineShim } from '../support/machine-shim.ts'
import { NotifyReceiver } from '../support/notify-socket.ts'
import { post, publish } from '../support/publisher.ts'
import { mayMount, mountSmall, takeRoom, unmount } from '../support/small-file-system.ts'
import { StreamClient } from '../support/stream-client.ts'

/** A hub tells the service manager that has started it how it is, as sd_notify(3) says. */

setDefaultTimeout(60_000)

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

function receiver(kind?: 'path' | 'abstract'): NotifyReceiver {
  const manager = new NotifyReceiver(kind)
  cleanup.push(() => manager.vanish())
  return manager
}

async function start(
  { address }: NotifyReceiver,
  { env, flags = [], ...options }: HubOptions = {},
): Promise<RunningHub> {
  const hub = await startHub({
    ...options,
    env: { NOTIFY_SOCKET: address, ...env },
    flags: ['--hub-anonymous', '--shutdown-drain', '1s', ...flags],
  })
  cleanup.push(() => (options.directory === undefined ? hub.dispose() : hub.stop('SIGKILL')))
  return hub
}

const watched = { WATCHDOG_USEC: '300000' }
const lines = (hub: RunningHub) => hub.log().trim().split('\n')
const mountable = test.skipIf(!mayMount())
const lastStatus = ({ messages }: NotifyReceiver) =>
  messages.filter((message) => message.startsWith('STATUS=')).at(-1)

describe('states', () => {
  for (const kind of ['path', 'abstract'] as const) {
    test(`a socket with ${kind === 'path' ? 'a path' : 'an abstract name'} hears READY, RELOADING, READY, STOPPING`, async () => {
      const manager = receiver(kind)
      const hub = await start(manager)
      await manager.heard('READY=1')
      await publish(hub.url, { topic: 'a' })
      process.kill(hub.pid, 'SIGHUP')
      await until('the end of the reload', () => manager.states.length === 3)
      expect(await hub.stop()).toBe(0)
      expect(manager.states).toEqual([
        'READY=1',
        expect.stringMatching(/^RELOADING=1\nMONOTONIC_USEC=\d+$/),
        'READY=1',
        'STOPPING=1\nSTATUS=draining, 0 subscribers',
      ])
      const usec = Number(/USEC=(\d+)/.exec(manager.states[1] ?? '')?.[1])
      // The clock of a machine that has not slept is its uptime.
      expect(Math.abs(usec / 1e6 - (await uptime()))).toBeLessThan(60)
    })
  }

  test('a configuration that is refused ends its reload with READY too, since the hub serves', async () => {
    const folder = await temporaryFolder()
    cleanup.push(() => folder.dispose())
    const file = join(folder.path, 'cinnabar.toml')
    await writeFile(file, '[hub]\nretry = "2s"\n')
    const manager = receiver()
    const hub = await start(manager, { flags: ['--config', file] })
    await manager.heard('READY=1')
    await writeFile(file, '[hub]\nretry = "wrong"\n')
    process.kill(hub.pid, 'SIGHUP')
    await until('the end of the reload', () => manager.states.length === 3)
    expect(hub.log()).toContain('configuration refused')
    expect(manager.states[1]).toStartWith('RELOADING=1')
    expect(manager.states[2]).toBe('READY=1')
    await publish(hub.url, { topic: 'a' })
  })

  test('STATUS tells the subscribers and the history, and changes with them', async () => {
    const manager = receiver()
    const hub = await start(manager)
    await manager.heard('STATUS=0 subscribers, history 0 updates, 0.0 MiB')
    const readers = await Promise.all([1, 2].map(() => StreamClient.open(`${hub.url}?match=a`)))
    await publish(hub.url, { topic: 'a', data: 'x'.repeat(300_000) })
    await manager.heard('STATUS=2 subscribers, history 1 update, 0.3 MiB')
    const ended = hub.stop()
    await manager.heard('STOPPING=1\nSTATUS=draining, 2 subscribers')
    expect(await ended).toBe(0)
    for (const reader of readers) reader.close()
  })

  mountable(
    'READY waits until the hub can be published to, and STATUS says why it is not (skipped where no file system may be mounted)',
    async () => {
      const directory = await fullFileSystem()
      const manager = receiver()
      const hub = await start(manager, { directory, env: watched })
      await manager.heard('STATUS=the history cannot be written: SQLITE_FULL; 0 subscribers')
      expect((await post(hub.url, { topic: 'a', data })).status).toBe(503)
      // It has been asked and answered: a second proof would not be the first to tell READY.
      expect(manager.states).toEqual([])
      expect(manager.meals).toBe(0)
      rmSync(join(directory, 'ballast'))
      await manager.heard('READY=1')
      await publish(hub.url, { topic: 'a', data })
      await manager.heard('WATCHDOG=1')
    },
  )
})

/** Data of which not much fits into the rest of a page. */
const data = 'x'.repeat(5000)

/** A folder with a history and no room for more. */
async function fullFileSystem(): Promise<string> {
  const directory = mountSmall()
  if (directory === null) throw new Error('no file system can be mounted')
  cleanup.push(() => unmount(directory))
  const hub = await startHub({ directory, flags: ['--hub-anonymous'] })
  await publish(hub.url, { topic: 'a', data })
  await hub.stop('SIGKILL')
  takeRoom(directory)
  return directory
}

describe('a manager that does not listen', () => {
  test('and whose socket is full hears READY once it reads again, and the hub serves meanwhile', async () => {
    const manager = receiver()
    manager.fill()
    const hub = await start(manager, { env: watched })
    for (let n = 0; n < 5; n++) await publish(hub.url, { topic: 'a' })
    expect(hub.log()).toContain('the service manager does not take what the hub tells it')
    expect(manager.messages.every((message) => message === 'filling')).toBe(true)
    await manager.heard('READY=1')
    const meals = manager.meals
    await until('the watchdog', () => manager.meals > meals)
    expect(await hub.stop()).toBe(0)
  })

  test('and vanishes does the hub no harm', async () => {
    const manager = receiver()
    const hub = await start(manager, { env: watched })
    await manager.heard('WATCHDOG=1')
    cleanup.splice(0, 1)
    manager.vanish()
    await until('the warning', () => hub.log().includes('the service manager does not take'))
    process.kill(hub.pid, 'SIGHUP')
    await until('the reload', () => hub.log().includes('configuration reloaded'))
    await publish(hub.url, { topic: 'a' })
    expect(await hub.stop()).toBe(0)
    expect(hub.log().split('the service manager does not take').length).toBe(2)
  })

  for (const [what, address] of [
    ['that is no address', 'vsock:2:1234'],
    ['that is too long', `/${'x'.repeat(200)}`],
    ['that nobody has', '/nonexistent/socket'],
  ] as const) {
    test(`at an address ${what} is told nothing, which the log says once`, async () => {
      const hub = await startHub({ env: { NOTIFY_SOCKET: address, ...watched }, flags: ['--hub-anonymous'] })
      cleanup.push(() => hub.dispose())
      await publish(hub.url, { topic: 'a' })
      await until('the warning', () => hub.log().includes('"level":"warn"'))
      expect(await hub.stop()).toBe(0)
      expect(lines(hub).filter((line) => line.includes('service manager')).length).toBe(1)
    })
  }
})

describe('the watchdog', () => {
  test('is fed while the hub works, until it stops, and subscribers see nothing of it', async () => {
    const manager = receiver()
    const hub = await start(manager, { env: watched })
    const reader = await StreamClient.open(`${hub.url}?match=*`)
    await until('some meals', () => manager.meals >= 6)
    const id = await publish(hub.url, { topic: 'a' })
    await until('the update', () => reader.ids.length > 0)
    expect(reader.ids).toEqual([id])
    expect(reader.lines.filter((line) => line.startsWith('event:'))).toEqual([])
    reader.close()
    expect(await hub.stop()).toBe(0)
    const last = manager.messages.at(-1)
    expect(last).toStartWith('STOPPING=1')
  })

  test('of another process is left alone', async () => {
    const manager = receiver()
    const hub = await start(manager, { env: { ...watched, WATCHDOG_PID: '1' } })
    await manager.heard('READY=1')
    await until('the status', () => lastStatus(manager) !== undefined)
    await publish(hub.url, { topic: 'a' })
    expect(await hub.stop()).toBe(0)
    expect(manager.meals).toBe(0)
  })

  test.skipIf(!hasMachineShim)(
    'S11 is not fed while the store hangs: /readyz answers 503, /healthz 200, and one line of the log says why (skipped without a C compiler)',
    async () => {
      const manager = receiver()
      const shim = machineShim()
      cleanup.push(shim.remove)
      const hub = await start(manager, { env: { ...watched, ...shim.env } })
      await until('a meal', () => manager.meals > 0)
      const before = lines(hub).length
      shim.set({ isDiskHanging: true })
      await until('503', async () => (await readiness(hub)).status === 503)
      const meals = manager.meals
      for (let n = 0; n < 20; n++) {
        expect((await fetch(`${hub.origin}/healthz`)).status).toBe(200)
        expect(await readiness(hub)).toEqual({ status: 503, text: `not ready: ${silence}\n` })
      }
      await manager.heard(`STATUS=${silence}`)
      expect(manager.meals).toBe(meals)
      const since = lines(hub).slice(before)
      expect(since.map((line) => JSON.parse(line).message)).toEqual([silence])
      shim.set({ isDiskHanging: false })
      await until('a meal', () => manager.meals > meals)
      expect((await readiness(hub)).status).toBe(200)
      await publish(hub.url, { topic: 'a' })
    },
  )

  mountable(
    'is fed while the disk is full: to start the hub anew would make no room (skipped where no file system may be mounted)',
    async () => {
      const directory = mountSmall()
      if (directory === null) throw new Error('no file system can be mounted')
      cleanup.push(() => unmount(directory))
      const manager = receiver()
      const hub = await start(manager, { directory, env: watched })
      await manager.heard('WATCHDOG=1')
      await until('a hub that cannot be published to', async () => {
        takeRoom(directory)
        return (
          (await post(hub.url, { topic: 'a', data })).status === 503 && (await readiness(hub)).status === 503
        )
      })
      const meals = manager.meals
      await until('more meals', () => manager.meals > meals + 3)
      await manager.heard('STATUS=the history cannot be written: SQLITE_FULL')
      expect(lines(hub).filter((line) => line.includes('the hub cannot be published to')).length).toBe(1)
    },
  )

  test('S09 is not fed once the history file is gone: a start would make another', async () => {
    const manager = receiver()
    const hub = await start(manager, { env: watched })
    await manager.heard('WATCHDOG=1')
    for (const end of ['', '-wal', '-shm']) rmSync(join(hub.directory, `cinnabar.db${end}`), { force: true })
    await until('503', async () => (await readiness(hub)).status === 503)
    await manager.heard('STATUS=the history')
    const meals = manager.meals
    for (let n = 0; n < 20; n++) await readiness(hub)
    expect(manager.meals).toBe(meals)
  })
})

const silence = 'the store does not answer, and publications wait for it: does its disk hang?'

async function readiness(hub: RunningHub): Promise<{ status: number; text: string }> {
  const response = await fetch(`${hub.adminUrl}/readyz`)
  return { status: response.status, text: await response.text() }
}

async function uptime(): Promise<number> {
  return Number((await Bun.file('/proc/uptime').text()).split(' ')[0])
}
