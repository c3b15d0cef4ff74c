import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import vectors from '../../../shared/vectors/sse-framing.json' with { type: 'json' }
import { EventStreamParser, type ReceivedEvent } from '../../src/protocol/event-reader.ts'
import { encode } from '../../src/protocol/event-stream.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

function parse(text: string): readonly ReceivedEvent[] {
  return new EventStreamParser().push(bytes(text))
}

describe('the examples of the HTML standard, section 9.2.6', () => {
  test('data lines are joined with line feeds', () => {
    expect(parse('data: YHOO\ndata: +2\ndata: 10\n\n')).toEqual([
      { id: '', type: 'message', data: 'YHOO\n+2\n10' },
    ])
  })

  test('an event without id keeps the last one, an empty id resets it', () => {
    const stream =
      ': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n'
    expect(parse(stream)).toEqual([
      { id: '1', type: 'message', data: 'first event' },
      { id: '', type: 'message', data: 'second event' },
      { id: '', type: 'message', data: ' third event' },
    ])
  })

  test('an empty data line makes an event, and an unfinished one does not', () => {
    expect(parse('data\n\ndata\ndata\n\ndata:').map(({ data }) => data)).toEqual(['', '\n'])
  })

  test('one space after the colon is removed', () => {
    expect(parse('data:test\n\ndata: test\n\n').map(({ data }) => data)).toEqual(['test', 'test'])
  })
})

test('an event without data is not dispatched, but its id counts', () => {
  const parser = new EventStreamParser('before')
  expect(parser.lastId).toBe('before')
  expect(parser.push(bytes('id: 5\nevent: x\n\n'))).toEqual([])
  expect(parser.lastId).toBe('5')
  expect(parser.push(bytes('data: y\n\n'))).toEqual([{ id: '5', type: 'message', data: 'y' }])
})

test('the id of an unfinished event does not count', () => {
  const parser = new EventStreamParser('before')
  parser.push(bytes('id: 5\ndata: x\n'))
  expect(parser.lastId).toBe('before')
})

test('retry has digits only, an id no NUL; unknown fields and a leading BOM are ignored', () => {
  const parser = new EventStreamParser()
  parser.push(bytes('\ufeffretry: 20\nretry: 1x\nretry: -5\nretry:\nid: a\0b\nfoo: bar\n'))
  expect(parser.retryMs).toBe(20)
  expect(parser.push(bytes('data: x\n\n'))).toEqual([{ id: '', type: 'message', data: 'x' }])
})

describe('vectors of the event stream', () => {
  const withExample = vectors.flatMap((vector) => {
    const { wireExample } = { wireExample: undefined, ...vector }
    return wireExample === undefined ? [] : [{ ...vector, wireExample }]
  })

  test('there are some with an example', () => {
    expect(withExample.length).toBeGreaterThan(0)
  })

  test.each(withExample.map((vector) => [vector.id, vector] as const))(
    '%s',
    (_, { wireExample, expect: wanted }) => {
      const parser = new EventStreamParser()
      const [event, ...rest] = parser.push(bytes(wireExample))
      expect(rest).toEqual([])
      expect(event).toMatchObject({ type: wanted.event.type, data: wanted.event.data })
      if (wanted.event.id !== 'generated') expect(event?.id).toBe(wanted.event.id)
      expect(parser.retryMs).toBe(wanted.event.retry)
    },
  )
})

test('wherever the bytes are cut, the events are the same', () => {
  const line = fc.constantFrom('data: é😀', 'data', 'id: 1', 'event: x', 'retry: 7', ': c', '', '', 'data:a')
  const stream = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')))
  fc.assert(
    fc.property(stream, fc.array(fc.nat({ max: 5 })), (lines, cuts) => {
      const whole = bytes(lines.map(([text, end]) => text + end).join(''))
      const parser = new EventStreamParser()
      const events: ReceivedEvent[] = []
      let at = 0
      for (const cut of cuts) {
        events.push(...parser.push(whole.subarray(at, at + cut)))
        at += cut
      }
      events.push(...parser.push(whole.subarray(at)))
      expect(events).toEqual([...new EventStreamParser().push(whole)])
    }),
  )
})

test('SUB-74 what the hub encodes is what a reader gets, with every line end as LF', () => {
  const text = fc.string({
    unit: fc.constantFrom('a', ' ', ':', '\n', '\r', '\u2028', '\u0085', 'é', 'data: ', '\t'),
  })
  fc.assert(
    fc.property(text, (data) => {
      const frame = encode({ data, type: 't', retryMs: 5 }, 'i')
      const parser = new EventStreamParser()
      expect(parser.push(frame)).toEqual([{ id: 'i', type: 't', data: data.replace(/\r\n|\r/g, '\n') }])
      expect(parser.retryMs).toBe(5)
    }),
  )
})
