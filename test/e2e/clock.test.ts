import { expect, test } from 'bun:test'
import { startHub, until } from '../support/binary.ts'
import { publish, publisherToken } from '../support/publisher.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'
import { WallClock } from '../support/wall-clock.ts'

const hour = 3_600_000

test.skipIf(!WallClock.isPossible)(
  'M3 SUB-87 the wall clock steps forward under an open stream: what is over ends, and nothing private follows',
  async () => {
    using clock = new WallClock()
    await using hub = await startHub({
      env: clock.env,
      flags: ['--hub-anonymous', '--hub-connection-lifetime', '0'],
    })
    const open = async (ms: number) => {
      const token = await tokenFor({ subscribe: ['*'], expiresAt: Date.now() + ms })
      return await StreamClient.open(`${hub.url}?match=a`, { authorization: `Bearer ${token}` })
    }
    const expiring = await open(hour / 6)
    const lasting = await open(10 * hour)
    const anonymous = await StreamClient.open(`${hub.url}?match=a`)
    const publisher = await publisherToken()
    await publish(hub.url, { topic: 'a', id: 'before', private: 'on' }, publisher)
    await until('the update', () => expiring.ids.length === 1 && lasting.ids.length === 1)
    clock.setBy(hour / 2)
    await until('its end', () => expiring.hasEnded)
    await publish(hub.url, { topic: 'a', id: 'after', private: 'on' }, publisher)
    await publish(hub.url, { topic: 'a', id: 'public' }, publisher)
    await until('the last one', () => lasting.ids.includes('public') && anonymous.ids.includes('public'))
    expect(expiring.ids).toEqual(['before'])
    expect(lasting.ids).toEqual(['before', 'after', 'public'])
    expect(anonymous.ids).toEqual(['public'])
    for (const client of [expiring, lasting, anonymous]) client.close()
  },
)

test.skipIf(!WallClock.isPossible)(
  'M3 SUB-87 the wall clock is set back: a token that is not over goes on, and ends at its time',
  async () => {
    using clock = new WallClock(hour)
    await using hub = await startHub({ env: clock.env, flags: ['--hub-heartbeat', '500ms'] })
    const expiresAt = Date.now() + hour + 3000
    const token = await tokenFor({ subscribe: ['*'], issuedAt: expiresAt - hour, expiresAt })
    const headers = { authorization: `Bearer ${token}` }
    const client = await StreamClient.open(`${hub.url}?match=a`, headers)
    expect(client.status).toBe(200)
    clock.setBy(0)
    // Its end was three seconds away; once so many beats have come, its timer has been in vain.
    const beats = () => client.lines.filter((line) => line === ':').length
    await until('the beats', () => beats() > 8 || client.hasEnded)
    expect(client.hasEnded).toBe(false)
    clock.setBy(hour + 4000)
    await until('its end', () => client.hasEnded)
    client.close()
  },
)
