import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { StreamClient } from '../support/stream-client.ts'
import { tokenFor } from '../support/tokens.ts'

describe('the main job', () => {
  let hub: RunningHub
  beforeAll(async () => {
    hub = await startHub({ flags: ['--hub-anonymous'] })
  })
  afterAll(() => hub.dispose())

  test('SUB-50 SUB-51 SUB-60 PUB-52 an update that is published arrives, and the answer is its id', async () => {
    const reader = await StreamClient.open(`${hub.url}?match=https://example.com/books/1`)
    expect(reader.status).toBe(200)
    expect(reader.headers.get('content-type')).toBe('text/event-stream')
    const id = await publish(hub.url, { topic: 'https://example.com/books/1', data: 'hello\nworld' })
    await until('the event', () => reader.events.length === 1)
    expect(reader.events).toEqual([{ id, type: 'message', data: 'hello\nworld', retry: null }])
    reader.close()
  })

  test('SUB-61 a private update reaches whoever has the grant and nobody else', async () => {
    const topic = 'https://example.com/private'
    const token = await tokenFor({ subscribe: [topic] })
    const permitted = await StreamClient.open(`${hub.url}?match=${topic}`, {
      Authorization: `Bearer ${token}`,
    })
    const anonymous = await StreamClient.open(`${hub.url}?match=${topic}`)
    const secret = await publish(hub.url, { topic, data: 'secret', private: 'on' })
    const open = await publish(hub.url, { topic, data: 'open' })
    await until('both', () => permitted.events.length === 2 && anonymous.events.length === 1)
    expect(permitted.ids).toEqual([secret, open])
    expect(anonymous.ids).toEqual([open])
    permitted.close()
    anonymous.close()
  })

  test('REC-05 REC-18 a reader that comes back after a restart gets what it missed, before any new publish', async () => {
    const own = await startHub({ flags: ['--hub-anonymous'] })
    const ids: string[] = []
    for (let n = 0; n < 5; n++) ids.push(await publish(own.url, { topic: 'a', data: String(n) }))
    expect(await own.stop('SIGTERM')).toBe(0)
    const again = await startHub({ flags: ['--hub-anonymous'], directory: own.directory })
    const reader = await StreamClient.open(`${again.url}?match=a&last_event_id=${ids[1]}`)
    expect(reader.headers.get('mercure-last-event-id')).toBe(ids[1] ?? '')
    await until('the replay', () => reader.events.length === 3)
    expect(reader.ids).toEqual(ids.slice(2))
    reader.close()
    await again.dispose()
  })
})
