import { afterAll, beforeAll, expect, test } from 'bun:test'
import { binaryPath, metric, type RunningHub, startHub, until } from '../support/binary.ts'
import { publisherToken } from '../support/publisher.ts'

/** `cinnabar bench` against the compiled hub, as an operator runs it. */

let hub: RunningHub
beforeAll(async () => {
  hub = await startHub({ flags: ['--hub-anonymous'] })
})
afterAll(() => hub.dispose())

async function bench(argv: readonly string[]) {
  const child = await start([...argv, '--json'])
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, err, figures: code === 0 ? JSON.parse(out) : null }
}

async function start(argv: readonly string[]) {
  const common = ['--hub', hub.url, '--subscribe-token', '', '--pid', String(hub.pid)]
  return Bun.spawn([binaryPath(), 'bench', ...argv, ...common], {
    env: { CINNABAR_TOKEN: await publisherToken() },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

test('fanout delivers every update to every subscriber and measures the hub', async () => {
  const { code, err, figures } = await bench([
    ...['fanout', '--subscribers', '200', '--duration', '1s', '--warmup', '100ms'],
  ])
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(figures.deliveries).toBe(200 * figures.published)
  expect(figures.published).toBeGreaterThan(0)
  expect(figures.deliveries_missing).toBe(0)
  expect(figures.hub_cpu_per_delivery_us).toBeGreaterThan(0)
}, 30_000)

test('fanout under many publishers misses nothing', async () => {
  const { figures } = await bench([
    ...['fanout', '--subscribers', '100', '--publishers', '20', '--duration', '1s', '--warmup', '0'],
  ])
  expect(figures).toMatchObject({ deliveries_missing: 0, streams_ended: 0 })
  expect(figures.deliveries).toBe(100 * figures.published)
}, 30_000)

test('publish measures the hub', async () => {
  const { figures } = await bench(['publish', '--publishers', '10', '--duration', '1s', '--warmup', '0'])
  expect(figures.publishes_per_second).toBeGreaterThan(0)
  expect(figures.hub_cpu_per_publish_us).toBeGreaterThan(0)
}, 30_000)

test('connections measures memory, and the hub lets go of every one', async () => {
  const { figures } = await bench(['connections', '--subscribers', '500', '--duration', '100ms'])
  expect(figures).toMatchObject({ connections: 500, connections_not_closed: 0 })
  expect(figures.hub_memory_after_bytes).toBeGreaterThan(0)
}, 30_000)

test('REC-05 replay gets exactly what came after the cursor', async () => {
  const { figures } = await bench(['replay', '--updates', '2000', '--last', '1500', '--rounds', '3'])
  expect(figures).toMatchObject({ replayed: 1500, rounds: 3 })
}, 30_000)

test('memory watches the process of the hub', async () => {
  const { figures } = await bench(['memory', '--updates', '3000'])
  expect(figures.published).toBe(3000)
  expect(figures.hub_memory_max_bytes).toBeGreaterThan(10_000_000)
}, 30_000)

test('SIGINT ends it with a report', async () => {
  const child = await start(['connections', '--subscribers', '10', '--duration', '1h'])
  await until('its subscribers', async () => (await metric(hub, 'mercure_subscribers_connected')) === 10)
  child.kill('SIGINT')
  expect(await child.exited).toBe(0)
  expect(await new Response(child.stdout).text()).toContain('connections')
}, 30_000)

test('M18 connections ends by itself when the hub lets no more of them in', async () => {
  const limited = await startHub({ flags: ['--hub-anonymous', '--limits-subscribers', '256'] })
  try {
    const argv = ['connections', '--subscribers', '400', '--duration', '100ms', '--hub', limited.url]
    const child = Bun.spawn([binaryPath(), 'bench', ...argv, '--subscribe-token', ''], {
      env: {},
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const [err, code] = await Promise.all([new Response(child.stderr).text(), child.exited])
    expect(code).toBe(1)
    expect(err).toContain('429')
    await until(
      'the hub has none of them',
      async () => (await metric(limited, 'mercure_subscribers_connected')) === 0,
    )
  } finally {
    await limited.dispose()
  }
}, 30_000)

test.each([
  ['publish', []],
  ['fanout', ['--subscribers', '2']],
])(
  'M18 %s ends by itself when the hub refuses what it publishes',
  async (kind, more) => {
    const { code, err } = await bench([
      kind,
      ...more,
      '--duration',
      '1s',
      '--warmup',
      '0',
      '--token',
      'forged',
    ])
    expect(code).toBe(1)
    expect(err).toContain('publishing: the hub answers 400')
  },
  30_000,
)
