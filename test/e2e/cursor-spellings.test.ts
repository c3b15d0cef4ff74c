import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { RawConnection, requestBytes } from '../support/raw-request.ts'

/** Where a stream starts, whatever the client calls its cursor. */

let hub: RunningHub
beforeAll(async () => {
  hub = await startHub({ flags: ['--hub-anonymous'] })
  for (const id of ['a', 'b', 'c', 'é &+']) await publish(hub.url, { topic: 't', id, data: id })
})
afterAll(() => hub.dispose())

interface Asked {
  readonly query?: string
  readonly header?: string
  readonly body?: string
}

/** The cursor that the answer names, and what is replayed. */
async function subscribe({ query = '', header, body }: Asked) {
  const fields: [string, string][] = []
  if (header !== undefined) fields.push(['Last-Event-ID', header])
  if (body !== undefined) fields.push(['Content-Type', 'application/x-www-form-urlencoded'])
  const target = `/.well-known/mercure?match=t&match=end&${query}`
  const connection = await RawConnection.open(hub.origin)
  const method = body === undefined ? 'GET' : 'QUERY'
  connection.send(requestBytes(hub.origin, { method, target, fields, ...(body !== undefined && { body }) }))
  const { headers } = await connection.answer()
  const end = await publish(hub.url, { topic: 'end' })
  await until('the end', () => connection.events.some(({ id }) => id === end))
  connection.close()
  return [headers.get('mercure-last-event-id'), connection.events.flatMap(({ data }) => data || [])]
}

const all = ['a', 'b', 'c', 'é &+']
const afterA = all.slice(1)
const afterB = all.slice(2)

describe('a cursor in the URL', () => {
  test.each<[situation: string, asked: Asked, field: string | null, replayed: readonly string[]]>([
    ['of event-source-polyfill', { query: 'lastEventId=b' }, null, afterB],
    ['of 0.x', { query: 'lastEventID=b' }, null, afterB],
    ['as event-source-polyfill says of Mercure', { query: 'Last-Event-Id=b' }, null, afterB],
    ['of symfony/mercure', { query: 'lastEventID=b&Last-Event-ID=b' }, null, afterB],
    ['of 1.0', { query: 'last_event_id=b' }, 'b', afterB],
    ['that is encoded', { query: 'lastEventId=%C3%A9%20%26%2B' }, null, []],
    ['that is the earliest', { query: 'lastEventId=earliest' }, null, all],
    ['that is unknown', { query: 'lastEventId=zzz' }, null, []],
    ['that is empty', { query: 'lastEventId=' }, null, []],
    ['under the field of an EventSource', { query: 'lastEventId=b', header: 'a' }, 'a', afterA],
    ['beside an empty field', { query: 'lastEventId=b', header: '' }, 'earliest', afterB],
    ['in the body of QUERY', { body: 'lastEventId=b' }, null, []],
    ['of QUERY, whose body has none', { query: 'lastEventId=b', body: '' }, null, afterB],
    ['that a page began with, and further on', { query: 'last_event_id=a&lastEventId=b' }, 'a', afterB],
    ['further on than that of a library', { query: 'last_event_id=b&lastEventId=a' }, 'b', afterB],
    ['of 0.x, and further on', { query: 'lastEventID=a&lastEventId=b' }, null, afterB],
    [
      'from the earliest, and further on',
      { query: 'last_event_id=earliest&lastEventId=b' },
      'earliest',
      afterB,
    ],
    ['that is gone, and further on', { query: 'last_event_id=zzz&lastEventId=b' }, 'earliest', afterB],
    ['beside one of a library that is gone', { query: 'last_event_id=a&lastEventId=zzz' }, 'a', afterA],
    ['beside an empty one of a library', { query: 'last_event_id=a&lastEventId=' }, 'a', afterA],
    ['that is empty, beside one of a library', { query: 'last_event_id=&lastEventId=b' }, 'earliest', afterB],
  ])('M15 REC-02 %s', async (_, asked, field, replayed) => {
    expect(await subscribe(asked)).toEqual([field, [...replayed]])
  })
})
