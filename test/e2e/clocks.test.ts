import { Database } from 'bun:sqlite'
import { afterEach, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { catchUp } from '../support/catch-up.ts'
import { hasMachineShim, type MachineShim, machineShim } from '../support/machine-shim.ts'
import { publish } from '../support/publisher.ts'
import { runCommand } from '../support/run-command.ts'
import { tokenFor } from '../support/tokens.ts'

/** The clocks of the machine under a hub that keeps the updates of an hour. */

const cleanup: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo()
})

/** It takes a C compiler to move the clocks of a process. */
const movable = test.skipIf(!hasMachineShim)

const HOUR = 3600
const YEARS = 6 * 365 * 24 * HOUR

function machine(state: Parameters<typeof machineShim>[0] = {}): MachineShim {
  const shim = machineShim(state)
  cleanup.push(shim.remove)
  return shim
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cinnabar-clocks-'))
  cleanup.push(() => rm(path, { recursive: true, force: true }))
  return path
}

async function start(directory: string, { env }: MachineShim, transport = 'sqlite'): Promise<RunningHub> {
  const flags = ['--hub-anonymous', '--history-max-age', '1h', '--transport', transport]
  const hub = await startHub({ directory, env, flags })
  cleanup.push(() => hub.stop('SIGKILL'))
  return hub
}

/** With a token that holds whatever the clock shows. */
async function send(hub: RunningHub): Promise<string> {
  const token = await tokenFor({
    publish: ['*'],
    issuedAt: Date.UTC(2000, 0, 1),
    expiresAt: Date.UTC(2100, 0, 1),
  })
  return await publish(hub.url, { topic: 'a' }, token)
}

async function keptIds(hub: RunningHub): Promise<readonly string[]> {
  const reader = await catchUp(hub, 'earliest')
  reader.close()
  return reader.ids
}

async function dates(directory: string): Promise<readonly number[]> {
  const { out } = await runCommand(['history', 'export'], directory)
  return out
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).at)
}

/** As after a start of the machine: a file on which no hub has run since. */
function forgetBoot(directory: string): void {
  const database = new Database(join(directory, 'cinnabar.db'), { readwrite: true })
  database.run('UPDATE state SET boot = NULL')
  database.close(true)
}

const steps: readonly (readonly [how: string, before: number, after: number])[] = [
  ['a board that boots in 2020 and is then set right', -YEARS, 0],
  ['a clock that was in the future and is set back', YEARS, 0],
]

for (const [how, before, after] of steps) {
  describe(how, () => {
    movable(
      'M4 keeps what was published before and after, across a restart and a start of the machine',
      async () => {
        const directory = await folder()
        const shim = machine({ wall: before })
        const first = await start(directory, shim)
        const sent = [await send(first)]
        shim.set({ wall: after })
        sent.push(await send(first))
        expect(await keptIds(first)).toEqual(sent)
        await until('a line in the log', () => first.log().includes('the clock of the machine was set'))
        expect(await first.stop('SIGTERM')).toBe(0)
        const second = await start(directory, shim)
        expect(await keptIds(second)).toEqual(sent)
        sent.push(await send(second))
        await second.stop('SIGKILL')
        forgetBoot(directory)
        const third = await start(directory, shim)
        expect(await keptIds(third)).toEqual(sent)
        expect(await metric(third, 'cinnabar_history_oldest_age_seconds')).toBeLessThan(60)
        // Tools show when each really came.
        for (const at of await dates(directory)) expect(Math.abs(at - Date.now())).toBeLessThan(60_000)
        const pruned = await runCommand(['history', 'prune', '--older-than', '30m'], directory)
        expect(pruned.out).toContain('dropped 0 entries')
      },
    )

    movable(
      'M4 is noticed with the next publication, so that a kill a moment later loses nothing',
      async () => {
        const directory = await folder()
        const shim = machine({ wall: before })
        const first = await start(directory, shim)
        const sent = [await send(first)]
        shim.set({ wall: after })
        sent.push(await send(first))
        await first.stop('SIGKILL')
        forgetBoot(directory)
        expect(await keptIds(await start(directory, shim))).toEqual(sent)
      },
    )

    movable('M4 between two runs of the hub makes nothing older or younger', async () => {
      const directory = await folder()
      const shim = machine({ wall: before })
      const first = await start(directory, shim)
      const sent = [await send(first)]
      await first.stop('SIGKILL')
      shim.set({ wall: after })
      const second = await start(directory, shim)
      expect(await keptIds(second)).toEqual(sent)
      expect(await metric(second, 'cinnabar_history_oldest_age_seconds')).toBeLessThan(60)
      sent.push(await send(second))
      await second.stop('SIGKILL')
      forgetBoot(directory)
      expect(await keptIds(await start(directory, shim))).toEqual(sent)
    })
  })
}

for (const transport of ['sqlite', 'memory']) {
  describe(`a machine that sleeps, transport ${transport}`, () => {
    for (const [what, monotonic] of [
      ['stands still', 0],
      ['goes on', 2 * HOUR],
    ] as const) {
      movable(
        `M4 for two hours has no update of the last hour, when its monotonic clock ${what}`,
        async () => {
          const shim = machine()
          const hub = await start(await folder(), shim, transport)
          await send(hub)
          shim.set({ wall: 2 * HOUR, uptime: 2 * HOUR, monotonic })
          expect(await keptIds(hub)).toEqual([])
          const id = await send(hub)
          expect(await keptIds(hub)).toEqual([id])
          expect(await metric(hub, 'cinnabar_history_rows')).toBe(1)
        },
      )
    }

    movable('M4 while nobody asks forgets by itself', async () => {
      const shim = machine()
      const hub = await start(await folder(), shim, transport)
      await send(hub)
      shim.set({ wall: 2 * HOUR, uptime: 2 * HOUR })
      await until('an empty history', async () => (await metric(hub, 'cinnabar_history_rows')) === 0)
    })

    movable('M4 for a while, or whose clock is set by hours, keeps what is not an hour old', async () => {
      const shim = machine()
      const hub = await start(await folder(), shim, transport)
      const id = await send(hub)
      shim.set({ wall: HOUR / 2, uptime: HOUR / 2 })
      expect(await keptIds(hub)).toEqual([id])
      for (const wall of [5 * HOUR, -5 * HOUR]) {
        shim.set({ wall })
        expect(await keptIds(hub)).toEqual([id])
      }
      expect(await metric(hub, 'cinnabar_history_oldest_age_seconds')).toBeGreaterThan(HOUR / 2 - 5)
    })
  })
}
