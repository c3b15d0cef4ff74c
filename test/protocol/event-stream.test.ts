import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { concat, encode, encodeRetry, heartbeat } from '../../src/protocol/event-stream.ts'
import { decodeForm } from '../../src/protocol/form.ts'
import { hubLocation } from '../../src/protocol/topic.ts'
import { parseUpdate, seal } from '../../src/protocol/update.ts'
import { readEvents } from '../support/event-stream.ts'
import { readVectors, type VectorBase, vectorHubUrl } from '../support/vectors.ts'

interface FramingVector extends VectorBase {
  readonly fields: readonly (readonly [string, string])[]
  readonly expect: {
    readonly dispatched: boolean
    readonly event: { id: string; type: string; data: string; retry: number | null }
  }
  readonly forbiddenLines?: readonly string[]
  readonly wireExample?: string
}

const hub = hubLocation(vectorHubUrl)
const decode = (frame: Uint8Array) => new TextDecoder().decode(frame)

describe('the encoder', async () => {
  for (const vector of await readVectors<FramingVector>('sse-framing')) {
    test(`section 1.7 ${vector.id} ${vector.why}`, () => {
      const body = vector.fields.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')
      const update = parseUpdate(decodeForm(new TextEncoder().encode(body)), hub, {
        topics: 0,
        field: 0,
        id: 0,
      })
      const wire = decode(seal(update, update.id ?? 'generated').frame)
      expect(readEvents(wire)).toEqual([vector.expect.event])
      for (const line of vector.forbiddenLines ?? []) expect(wire.split('\n')).not.toContain(line)
    })
  }

  test('SUB-70 to SUB-78 any data makes exactly one event and arrives with its breaks as line feeds', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '\r',
        '\n',
        '\r\n',
        ' ',
        ':',
        'id: forged',
        'event: x',
        'data:',
        '\u2028',
        '\u0085',
        '\0',
      ),
      fc.string({ unit: 'grapheme', maxLength: 6 }),
    )
    const type = fc.option(fc.string({ maxLength: 8 }).map((value) => value.replace(/[^ -~]/g, '')))
    fc.assert(
      fc.property(fc.array(piece), type, fc.option(fc.nat()), (pieces, eventType, retryMs) => {
        const data = pieces.join('')
        const wire = decode(encode({ data, type: eventType, retryMs }, 'urn:x'))
        expect(readEvents(wire)).toEqual([
          {
            id: 'urn:x',
            type: eventType === null || eventType === '' ? 'message' : eventType,
            data: data.replace(/\r\n|\r/g, '\n'),
            retry: retryMs,
          },
        ])
      }),
      { numRuns: 2000 },
    )
  })

  test('SUB-71 SUB-72 SUB-77 an id and a data line always, an event line only for a type', () => {
    expect(decode(encode({ data: '', type: null, retryMs: null }, 'a'))).toBe('id: a\ndata: \n\n')
    expect(decode(encode({ data: 'x', type: 't', retryMs: 0 }, 'a'))).toBe(
      'event: t\nretry: 0\nid: a\ndata: x\n\n',
    )
  })

  test('SUB-79 SUB-85 SUB-86 a heartbeat and a retry are whole by themselves', () => {
    const event = encode({ data: 'x', type: null, retryMs: null }, 'a')
    const parts = [heartbeat, event, encodeRetry(1500), event]
    const whole = concat(
      parts,
      parts.reduce((sum, part) => sum + part.length, 0),
    )
    expect(readEvents(decode(whole)).map(({ id, data }) => ({ id, data }))).toEqual([
      { id: 'a', data: 'x' },
      { id: 'a', data: 'x' },
    ])
  })
})
