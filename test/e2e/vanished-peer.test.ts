import { afterAll, expect, test } from 'bun:test'
import { metric, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
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

const heartbeatMs = 1000

/** A hub that a reader in the other network can reach, and how that reader leaves the network and comes back. */
async function arrange(vanishedAfter: string) {
  const hub = await startHub({
    flags: [
      ...['--hub-anonymous', '--transport', 'memory', '--listen', `${here}:0`],
      ...['--hub-heartbeat', `${heartbeatMs}ms`, '--hub-vanished-after', vanishedAfter],
    ],
  })
  const [, reachable = ''] = hub.origins
  const connected = () => metric(hub, 'mercure_subscribers_connected')
  const near = await StreamClient.open(`${hub.url}?match=a`)
  const far = Bun.spawn(
    ['ip', 'netns', 'exec', name, 'curl', '-sN', `${reachable}/.well-known/mercure?match=a`],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  await until('both', async () => (await connected()) === 2)
  const route = (verb: 'add' | 'del') => ip('-n', name, 'route', verb, 'blackhole', `${here}/32`)
  return { hub, connected, near, far, vanish: () => route('add'), comeBack: () => route('del') }
}

test.skipIf(!isIsolated)(
  'SUB-92 a reader that vanishes is noticed soon after the time of the setting',
  async () => {
    const { hub, connected, near, far, vanish, comeBack } = await arrange('2s')
    expect(vanish()).toBe(true)
    const start = performance.now()
    await until('its end', async () => (await connected()) === 1)
    // The first silence before something is sent, the time itself, and the timers of the kernel.
    expect(performance.now() - start).toBeLessThan(2 * heartbeatMs + 2000 + 3000)
    expect(near.isClosed).toBe(false)
    far.kill()
    near.close()
    await hub.dispose()
    expect(comeBack()).toBe(true)
  },
)

test.skipIf(!isIsolated)('M6 a reader sits out an outage with an event in flight, and gets it', async () => {
  const { hub, connected, near, far, vanish, comeBack } = await arrange('60s')
  expect(vanish()).toBe(true)
  await publish(hub.url, { topic: 'a', id: 'in-flight' })
  // Several heartbeats: a reader was given up after three quarters of one.
  await until('the heartbeats', () => near.lines.filter((line) => line === ':').length > 4)
  expect(await connected()).toBe(2)
  expect(comeBack()).toBe(true)
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of far.stdout) {
    text += decoder.decode(chunk, { stream: true })
    if (text.includes('id: in-flight\n')) break
  }
  expect(text).toContain('id: in-flight\n')
  far.kill()
  near.close()
  await hub.dispose()
})
