import { afterAll, expect, test } from 'bun:test'
import { metric, startHub, until } from '../support/binary.ts'
import { StreamClient } from '../support/stream-client.ts'

/** Readers that disappear without a word, in a network namespace of their own whose answers go nowhere. */

const name = `cinnabar-${process.pid}`
const link = `cin${process.pid}`
const network = `10.203.${process.pid % 250}`
const here = `${network}.1`

const ip = (...args: string[]) => Bun.spawnSync(['ip', ...args]).success
const hasNamespace = Bun.which('ip') !== null && ip('netns', 'add', name)
const isIsolated =
  hasNamespace &&
  ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'there', 'netns', name) &&
  ip('addr', 'add', `${here}/30`, 'dev', link) &&
  ip('link', 'set', link, 'up') &&
  ip('-n', name, 'addr', 'add', `${network}.2/30`, 'dev', 'there') &&
  ip('-n', name, 'link', 'set', 'there', 'up')
afterAll(() => {
  if (hasNamespace) ip('netns', 'del', name)
})

const heartbeatMs = 2000

test.skipIf(!isIsolated)('SUB-92 a reader that vanishes is noticed within two heartbeats', async () => {
  const hub = await startHub({
    flags: [
      ...['--hub-anonymous', '--transport', 'memory', '--listen', `${here}:0`],
      ...['--hub-heartbeat', `${heartbeatMs}ms`],
    ],
  })
  const [, reachable = ''] = hub.origins
  const connected = () => metric(hub, 'mercure_subscribers_connected')
  const near = await StreamClient.open(`${hub.url}?match=a`)
  const url = `${reachable}/.well-known/mercure?match=a`
  const far = Bun.spawn(['ip', 'netns', 'exec', name, 'curl', '-sN', url], {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  await until('both', async () => (await connected()) === 2)
  expect(ip('-n', name, 'route', 'add', 'blackhole', `${here}/32`)).toBe(true)
  const start = performance.now()
  await until('its end', async () => (await connected()) === 1)
  expect(performance.now() - start).toBeLessThan(2 * heartbeatMs + 500)
  expect(near.isClosed).toBe(false)
  far.kill()
  near.close()
  await hub.dispose()
})
