import { afterEach, describe, expect, test } from 'bun:test'
import { Load } from '../../src/bench/client/load.ts'
import { binaryPath, metric, type RunningHub, residentBytes, startHub, until } from '../support/binary.ts'
import { catchUp } from '../support/catch-up.ts'
import { openControlGroup } from '../support/control-group.ts'
import { publisherToken } from '../support/publisher.ts'
import { refusedHub } from '../support/refused-hub.ts'

/** A hub whose past is in memory, where there is little of it. */

const MiB = 2 ** 20
const topic = 'https://example.com/news'
const memory = ['--hub-anonymous', '--transport=memory']

let hub: RunningHub | null = null
const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  await hub?.dispose()
  hub = null
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

async function start(flags: readonly string[], prefix: readonly string[] = []): Promise<RunningHub> {
  hub = await startHub({ flags, wrapper: prefix })
  return hub
}

/** The most resident memory that was seen while so many updates of that size were published, all accepted. */
async function publishMany({ url, pid }: RunningHub, count: number, dataBytes: number): Promise<number> {
  const load = await Load.open(url, await publisherToken(), 50)
  const data = 'x'.repeat(dataBytes)
  let peak = 0
  for (let published = 0; published < count; published += count / 100) {
    await load.publish(
      count / 100,
      (number) => `topic=${encodeURIComponent(topic)}&id=n${number}&data=${data}`,
    )
    peak = Math.max(peak, await residentBytes(pid))
  }
  load.close()
  return peak
}

/** The hub lets readers in, and they get the newest updates, with none of them missing in between. */
async function expectThePast(running: RunningHub, published: number): Promise<void> {
  await until('no shedding', async () => (await metric(running, 'cinnabar_shedding_step')) === 0)
  const reader = await catchUp(running, 'earliest')
  reader.close()
  const numbers = reader.ids.map((id) => Number(id.slice(1))).sort((left, right) => left - right)
  expect(numbers.length).toBe(await metric(running, 'cinnabar_history_rows'))
  expect(numbers.length).toBeGreaterThan(1000)
  expect(numbers.at(-1)).toBe(published - 1)
  // Fifty publishers: what was accepted last has at most so many numbers that overtook it.
  expect(numbers[0]).toBeGreaterThan(published - numbers.length - 100)
}

const lines = (running: RunningHub, word: string) =>
  running
    .log()
    .split('\n')
    .filter((line) => line.includes(word))
    .map((line): unknown => JSON.parse(line))

describe('a past in memory that limits.memory has no room for', () => {
  test('M17 is bounded to what there is, said once, and 200,000 updates later the hub is as before', async () => {
    const running = await start([...memory, '--limits-memory=100MiB'])
    expect(lines(running, 'history.max_bytes')).toMatchObject([
      { level: 'warn', message: expect.stringMatching(/ is 4MiB here, .* limits\.memory, 100MiB$/) },
    ])
    const peak = await publishMany(running, 200_000, 1024)
    expect(peak).toBeLessThan(1.1 * 100 * MiB)
    expect(await metric(running, 'cinnabar_history_bytes')).toBeLessThanOrEqual(4 * MiB)
    await expectThePast(running, 200_000)
  }, 120_000)

  test('M17 is refused with the figures when the operator has sized it, at the start and by check', async () => {
    const flags = ['--limits-memory=100MiB', '--history-max-bytes=64MiB']
    const { code, message } = await refusedHub(flags)
    expect(code).toBe(78)
    expect(message).toContain('--history-max-bytes: 64MiB in memory does not fit')
    expect(message).toContain('limits.memory, 100MiB: give 4MiB at most, or raise limits.memory to 182MiB')
    expect(await check([...flags, '--transport=memory'])).toMatchObject({ code: 78, stderr: message })
  })

  test('M17 check says what is bounded', async () => {
    const { code, stderr } = await check(['--transport=memory', '--limits-memory=100MiB'])
    expect(code).toBe(0)
    expect(stderr).toContain('warning: history.max_bytes: is 4MiB here, ')
  })
})

async function check(flags: readonly string[], prefix: readonly string[] = []) {
  const child = Bun.spawn([...prefix, binaryPath(), 'check', '--hub-anonymous', ...flags], {
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [code, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code, stdout, stderr }
}

const probe = openControlGroup(128 * MiB)
const reason = typeof probe === 'string' ? `, skipped: ${probe}` : ''
if (typeof probe !== 'string') await probe.dispose()

describe.skipIf(reason !== '')(`a container of 128 MiB${reason}`, () => {
  function openContainer(): readonly string[] {
    const group = openControlGroup(128 * MiB)
    if (typeof group === 'string') throw new Error(group)
    cleanups.push(() => group.dispose())
    return group.prefix
  }

  test.each([
    ['the defaults', [], 102, 6],
    ['limits.memory=100MiB', ['--limits-memory=100MiB'], 100, 4],
    ['no budget', ['--limits-memory=0'], 0, 6],
  ])(
    'M17 with %s a hub lives through 200,000 updates of 1 KB',
    async (_, flags, budgetMiB, keptMiB) => {
      const running = await start([...memory, ...flags], openContainer())
      expect(Math.floor((await metric(running, 'cinnabar_memory_limit_bytes')) / MiB)).toBe(budgetMiB)
      await publishMany(running, 200_000, 1024)
      expect(await metric(running, 'cinnabar_history_bytes')).toBeLessThanOrEqual(keptMiB * MiB)
      await expectThePast(running, 200_000)
      expect(await running.stop()).toBe(0)
    },
    120_000,
  )

  test('M17 a hub lives through updates of 20 KB, and through small ones', async () => {
    const running = await start(memory, openContainer())
    await publishMany(running, 10_000, 20_000)
    await publishMany(running, 200_000, 10)
    expect(await running.stop()).toBe(0)
  }, 120_000)

  test('M17 the budget follows the container, whatever the transport, and the log and check say so', async () => {
    const prefix = openContainer()
    const running = await start(['--hub-anonymous'], prefix)
    const note = 'limits.memory: memory budget follows the container: 102MiB of its 128MiB'
    expect(lines(running, 'follows')).toMatchObject([{ level: 'info', message: note }])
    expect(await metric(running, 'cinnabar_memory_limit_bytes')).toBe(Math.floor(0.8 * 128 * MiB))
    expect(await check([], prefix)).toMatchObject({ code: 0, stdout: expect.stringContaining(note) })
    process.kill(running.pid, 'SIGHUP')
    await until('the reload', () => running.log().includes('"configuration reloaded"'))
    expect(running.log()).not.toContain('needs a restart')
  })

  test('M17 a budget above the container is warned about with both figures', async () => {
    const { code, stderr } = await check(['--limits-memory=512MiB'], openContainer())
    expect(code).toBe(0)
    expect(stderr).toContain('warning: --limits-memory: 512MiB is more than the 128MiB of the container')
  })

  test('M17 a past that the operator has sized and that does not fit is refused with the figures', async () => {
    const prefix = openContainer()
    const { code, stderr } = await check(['--transport=memory', '--history-max-bytes=64MiB'], prefix)
    expect([code, stderr]).toEqual([
      78,
      expect.stringContaining('give 6MiB at most, or raise its limit to 228MiB'),
    ])
  })
})
