import { describe, expect, test } from 'bun:test'
import { currentDialect } from '../../src/http/dialect.ts'
import { decodeQuery } from '../../src/protocol/form.ts'
import { hubLocation } from '../../src/protocol/topic.ts'

const url = 'https://hub.example.com/.well-known/mercure'
const dialect = currentDialect({
  location: hubLocation(url),
  cookieName: 'token',
  earlierTokens: null,
  limits: { matchers: 100, pattern: 4096 },
})

function read(query: string, field: string | null = null, body = '') {
  const request = new Request(url, { headers: field === null ? {} : { 'last-event-id': field } })
  const { lastEventId, resumedIds } = dialect.subscription(
    request,
    decodeQuery(`match=a&${query}`),
    decodeQuery(body),
  )
  return [lastEventId, resumedIds]
}

describe('the cursor of a request', () => {
  test.each<[query: string, field: string | null, body: string, id: string | null, resumed: string[]]>([
    ['', null, '', null, []],
    ['last_event_id=q', 'h', '', 'h', []],
    ['last_event_id=q', '', '', 'q', []],
    ['last_event_id=', null, 'last_event_id=b', '', []],
    ['', null, 'last_event_id=b', 'b', []],
    ['', '', '', '', []],
  ])('REC-02 %j with the field %j and the body %j', (query, field, body, lastEventId, resumedIds) => {
    expect(read(query, field, body)).toEqual([lastEventId, resumedIds])
  })

  test.each(['lastEventId', 'lastEventID', 'Last-Event-Id', 'Last-Event-ID'])(
    'M15 %s in the URL is the place of a library, and no cursor',
    (name) => {
      expect(read(`${name}=x`)).toEqual([null, ['x']])
      expect(read(`${name}=x&last_event_id=n`)).toEqual(['n', ['x']])
      expect(read(`${name}=x&${name}=y`)).toEqual([null, ['x']])
      expect(read(`${name}=`)).toEqual([null, []])
      expect(read(`${name}`)).toEqual([null, []])
      expect(read(`${name}=%FF`)).toEqual([null, []])
      expect(read(`${name}=x`, 'h')).toEqual(['h', []])
      expect(read(`${name}=x`, '')).toEqual(['', ['x']])
      expect(read('', null, `${name}=x`)).toEqual([null, []])
      expect(read(`${name}=x`, null, 'last_event_id=b')).toEqual(['b', ['x']])
    },
  )

  test('M15 several spellings are each read once', () => {
    const all = 'lastEventID=x&lastEventId=y&Last-Event-ID=x&Last-Event-Id=z&lastEventId=w'
    expect(read(all)).toEqual([null, ['y', 'x', 'z']])
  })

  test('SUB-09 any other spelling is an unknown parameter', () => {
    expect(read('lasteventid=x&last-event-id=x&LastEventId=x&Last_Event_Id=x&lastEventId[]=x')).toEqual([
      null,
      [],
    ])
  })
})
