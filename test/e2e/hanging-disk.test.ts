import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { binaryPath, type RunningHub, startHub, until } from '../support/binary.ts'
import { catchUp } from '../support/catch-up.ts'
import { hasMachineShim, type MachineShim, machineShim } from '../support/machine-shim.ts'
import { post, publish } from '../support/publisher.ts'
import { StreamClient } from '../support/stream-client.ts'

/** A disk on which nothing that waits for it ever comes back, as a network disk whose server is gone. */

setDefaultTimeout(30_000)

const cleanup: (() => unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

/** It takes a C compiler to hold up the disk of a process. */
const hangable = test.skipIf(!hasMachineShim)

const drainMs = 1000

async function start(flags: readonly string[] = []): Promise<{ hub: RunningHub; shim: MachineShim }> {
  const shim = machineShim()
  cleanup.push(shim.remove)
  const hub = await startHub({
    env: shim.env,
    flags: ['--hub-anonymous', '--shutdown-drain', `${drainMs}ms`, ...flags],
  })
  cleanup.push(() => hub.dispose())
  return { hub, shim }
}

/** Posts a publication that the disk keeps from being answered. Resolves when it is in the journal, which waits. */
async function publishInVain(hub: RunningHub): Promise<{ answer: Promise<Response | null> }> {
  const journal = join(hub.directory, 'cinnabar.db-wal')
  const before = Bun.file(journal).size
  const answer = post(hub.url, { topic: 'a', data: 'late' }).catch(() => null)
  await until('a longer journal', () => Bun.file(journal).size > before)
  return { answer }
}

async function elapsed(action: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await action()
  return performance.now() - begin
}

/** How long the hub may take beyond its drain. */
const littleMs = 5000

describe('a disk that hangs', () => {
  for (const [what, flags] of [
    ['a hub', []],
    ['a hub that announces subscriptions', ['--hub-subscriptions']],
  ] as const) {
    hangable(`S11 does not keep ${what} from ending after its drain, with 1 and the reason`, async () => {
      const { hub, shim } = await start(flags)
      const sent = [await publish(hub.url, { topic: 'a', data: 'kept' })]
      const reader = await StreamClient.open(`${hub.url}?match=*`)
      shim.set({ isDiskHanging: true })
      await publishInVain(hub)
      const begin = performance.now()
      expect(await hub.stop('SIGTERM')).toBe(1)
      expect(performance.now() - begin).toBeLessThan(drainMs + littleMs)
      expect(hub.log()).toContain('the history is left as it is')
      await reader.closed
      shim.set({ isDiskHanging: false })
      const again = await startHub({ directory: hub.directory, flags: ['--hub-anonymous', ...flags] })
      cleanup.push(() => again.stop('SIGKILL'))
      const past = await catchUp(again, 'earliest')
      past.close()
      expect(past.ids).toEqual(expect.arrayContaining(sent))
    })
  }

  hangable('S11 does not keep an idle hub from ending, whose journal is still to be emptied', async () => {
    const { hub, shim } = await start()
    await publish(hub.url, { topic: 'a', data: 'kept' })
    shim.set({ isDiskHanging: true })
    expect(await elapsed(() => hub.stop('SIGTERM'))).toBeLessThan(drainMs + littleMs)
  })

  hangable('S11 does not keep a second signal from ending the hub at once', async () => {
    for (const [first, second] of [
      ['SIGTERM', 'SIGTERM'],
      ['SIGTERM', 'SIGINT'],
    ] as const) {
      const { hub, shim } = await start(['--shutdown-drain', '30s'])
      await publish(hub.url, { topic: 'a', data: 'kept' })
      shim.set({ isDiskHanging: true })
      await publishInVain(hub)
      const ended = hub.stop(first)
      await until('the drain', () => hub.log().includes('"message":"draining"'))
      expect(await elapsed(() => hub.stop(second))).toBeLessThan(1000)
      expect(await ended).not.toBe(0)
    }
  })

  hangable('S11 does not keep a second signal from ending a hub that is closing its history', async () => {
    const { hub, shim } = await start()
    await publish(hub.url, { topic: 'a', data: 'kept' })
    shim.set({ isDiskHanging: true })
    const ended = hub.stop('SIGTERM')
    // There is nothing to drain, so it is closing once it lets nobody in.
    await until('a hub that lets nobody in', () =>
      fetch(hub.origin).then(
        () => false,
        () => true,
      ),
    )
    expect(await elapsed(() => hub.stop('SIGTERM'))).toBeLessThan(1000)
    expect(await ended).not.toBe(0)
  })

  hangable('S11 does not keep a hub from ending that waits for it at the start', async () => {
    const { hub, shim } = await start()
    await publish(hub.url, { topic: 'a', data: 'kept' })
    await hub.stop('SIGKILL')
    shim.set({ isDiskHanging: true })
    const waiting = Bun.spawn(
      [binaryPath(), 'serve', '--listen', '127.0.0.1:0', '--admin-listen', '', '--log-format', 'json'],
      { cwd: hub.directory, env: shim.env, stdio: ['ignore', 'ignore', 'pipe'] },
    )
    cleanup.push(() => waiting.kill('SIGKILL'))
    // It says so before it opens anything.
    await waiting.stderr.getReader().read()
    expect(
      await elapsed(() => {
        waiting.kill('SIGTERM')
        return waiting.exited
      }),
    ).toBeLessThan(littleMs)
  })

  hangable('that goes on after a while loses nothing, and the hub ends with 0', async () => {
    const { hub, shim } = await start(['--shutdown-drain', '20s'])
    await publish(hub.url, { topic: 'a', data: 'kept' })
    shim.set({ isDiskHanging: true })
    const { answer } = await publishInVain(hub)
    const ended = hub.stop('SIGTERM')
    await until('the drain', () => hub.log().includes('"message":"draining"'))
    shim.set({ isDiskHanging: false })
    expect((await answer)?.status).toBe(200)
    expect(await ended).toBe(0)
  })
})
