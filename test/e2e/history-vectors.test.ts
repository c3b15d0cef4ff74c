import { describe, expect, test } from 'bun:test'
import { type RunningHub, startHub, until } from '../support/binary.ts'
import { publish } from '../support/publisher.ts'
import { RawConnection, requestBytes, utf8Bytes } from '../support/raw-request.ts'
import { tokenFor } from '../support/tokens.ts'
import { type CursorVector, readVectors, type VectorEvent } from '../support/vectors.ts'

/** The vectors of reconnection against the compiled hub. What a client cannot provoke is in `hub.test.ts`. */

/** Only a hub makes ids that start with `#`, and this one makes others. */
const isPublishable = ({ history }: CursorVector) => history.every(({ id }) => !id.startsWith('#'))

describe('reconnection and history', async () => {
  const vectors = await readVectors<CursorVector>('last-event-id')
  for (const vector of vectors.filter(isPublishable)) {
    test(`section 6 ${vector.id} ${vector.why}`, async () => {
      const hub = await startHub({ flags: flagsOf(vector) })
      for (const id of vector.discarded ?? []) await publish(hub.url, { topic: 't', id, data: 'discarded' })
      for (const event of vector.history) await publishEvent(hub, event)
      const connection = await RawConnection.open(hub.origin)
      const isRace = vector.race !== undefined
      const racing = isRace ? publishAll(hub, vector.live) : null
      connection.send(await requestOf(hub, vector))
      const answer = await connection.answer()
      expect(answer.status).toBe(200)
      const { mercureLastEventId: id } = vector.expect
      expect(answer.headers.get('mercure-last-event-id')).toBe(id === null ? null : utf8Bytes(id))
      const sequence = () => connection.events.map(({ data }) => data)
      const { replayed } = vector.expect
      // In a race an event is replayed or comes live: in the whole it is there once, and in order.
      if (!isRace) await until('the replay', () => sequence().length >= replayed.length)
      if (!isRace) expect(sequence()).toEqual(replayed.map(String))
      await (racing ?? publishAll(hub, vector.live))
      await publish(hub.url, { topic: 't', data: 'end' })
      await until('the end', () => sequence().includes('end'))
      expect(sequence()).toEqual([...replayed.map(String), ...vector.expect.live.map(String), 'end'])
      connection.close()
      await hub.dispose()
    })
  }

  test('section 6 every vector but the ones with ids that no publisher may choose was run', () => {
    expect(vectors.filter((vector) => !isPublishable(vector)).map(({ id }) => id)).toEqual(['lei-041'])
  })
})

function flagsOf({ discarded, noHistory }: CursorVector): string[] {
  const kept = discarded === undefined ? [] : ['--history-max-count', '3']
  return ['--hub-anonymous', '--transport', noHistory ? 'local' : 'memory', ...kept]
}

/** The data names the event, since ids may repeat. */
async function publishEvent(hub: RunningHub, { seq, id, topics, ...event }: VectorEvent): Promise<void> {
  const fields = { topic: topics, id, data: String(seq), ...(event.private && { private: 'on' }) }
  expect(await publish(hub.url, fields)).toBe(id)
}

async function publishAll(hub: RunningHub, events: readonly VectorEvent[]): Promise<void> {
  for (const event of events) await publishEvent(hub, event)
}

async function requestOf(hub: RunningHub, { request, matchers, grants }: CursorVector): Promise<Buffer> {
  const pairs = matchers.map(({ match_type, match }) => `match_${match_type}=${encodeURIComponent(match)}`)
  const { header, query, body } = request
  if (query !== undefined) pairs.push(`last_event_id=${encodeURIComponent(query)}`)
  const fields: [string, string][] = []
  if (header !== undefined) fields.push(['Last-Event-ID', utf8Bytes(header)])
  if (grants.length > 0)
    fields.push(['Authorization', `Bearer ${await tokenFor({ subscribe: [...grants] })}`])
  const target = `${new URL(hub.url).pathname}?${pairs.join('&')}`
  if (body === undefined) return requestBytes(hub.origin, { target, fields })
  fields.push(['Content-Type', 'application/x-www-form-urlencoded'])
  const form = `last_event_id=${encodeURIComponent(body)}`
  return requestBytes(hub.origin, { method: 'QUERY', target, fields, body: form })
}
