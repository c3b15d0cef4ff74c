import { describe, expect, test } from 'bun:test'
import { decodeForm } from '../../src/protocol/form.ts'
import { hubLocation } from '../../src/protocol/topic.ts'
import { parseUpdate, seal } from '../../src/protocol/update.ts'
import { readEvents } from '../support/event-stream.ts'
import { readVectors, type VectorBase, vectorHubUrl } from '../support/vectors.ts'

interface PublishVector extends VectorBase {
  readonly contentType: string | null
  readonly body: string
  readonly token?: string
  readonly grant?: readonly string[]
  readonly limits?: Readonly<Record<string, number>>
  readonly expect: {
    readonly status: number
    readonly topics?: readonly string[]
    readonly id?: string
    readonly private?: boolean
    readonly type?: string | null
    readonly retry?: number | null
    readonly data?: string
  }
}

const hub = hubLocation(vectorHubUrl)
const form = (body: string) => decodeForm(new TextEncoder().encode(body))
const limits = { topics: 1000, field: 4096, id: 1024 }
const parse = (body: string) => parseUpdate(form(body), hub, limits)

/** What is decided by the fields alone; media types, tokens and the body size are the edge's. */
const byFields = ({ contentType, token, expect, limits }: PublishVector) =>
  /^application\/x-www-form-urlencoded/i.test(contentType ?? '') &&
  token === undefined &&
  expect.status !== 403 &&
  limits?.['maxBodySize'] === undefined

describe('the fields of a publication', async () => {
  const vectors = (await readVectors<PublishVector>('publish-fields')).filter(byFields)
  for (const vector of vectors) {
    test(`section 3 ${vector.id} ${vector.why}`, () => {
      const own = vector.limits ?? {}
      const field = own['maxTopicLength'] ?? own['maxIdLength'] ?? limits.field
      const id = own['maxIdLength'] ?? limits.id
      const run = () =>
        parseUpdate(form(vector.body), hub, { topics: own['maxTopics'] ?? limits.topics, field, id })
      if (vector.expect.status !== 200) {
        expect(run).toThrow(expect.objectContaining({ name: 'ProtocolError' }))
        return
      }
      const update = run()
      const [event] = readEvents(new TextDecoder().decode(seal(update, update.id ?? 'generated').frame))
      expect({
        topics: update.topics.map(String),
        id: update.id ?? 'generated',
        private: update.private,
        type: update.type,
        retry: update.retryMs,
        data: event?.data,
      }).toEqual({
        topics: [...(vector.expect.topics ?? [])],
        id: vector.expect.id ?? '',
        private: vector.expect.private ?? false,
        type: vector.expect.type ?? null,
        retry: vector.expect.retry ?? null,
        data: vector.expect.data ?? '',
      })
    })
  }

  test('PUB-06 the first of a repeated single field counts', () => {
    expect(parse('topic=a&data=1&data=2&id=x&id=y')).toMatchObject({ data: '1', id: 'x' })
  })

  test('PUB-04 a known field that is not UTF-8 is refused, an unknown one is ignored', () => {
    expect(() => parse('topic=a&data=%FF')).toThrow(expect.objectContaining({ code: 'invalid-form' }))
    expect(parse('topic=a&other=%FF&%FF=x')).toMatchObject({ topics: ['a'] })
  })

  test('PUB-46 PUB-47 a retry beyond the 31 bits of clients is refused, however many zeros lead it', () => {
    for (const zeros of ['', '0', '0'.repeat(400)]) {
      expect(parse(`topic=a&retry=${zeros}2147483647`)).toMatchObject({ retryMs: 2_147_483_647 })
      for (const over of ['2147483648', '9007199254740992', '9'.repeat(400)]) {
        expect(() => parse(`topic=a&retry=${zeros}${over}`)).toThrow(
          expect.objectContaining({ code: 'invalid-retry' }),
        )
      }
    }
  })

  test('PUB-60 an id has so many bytes, whatever its characters', () => {
    for (const [char, bytes] of [
      ['a', 1],
      ['é', 2],
      ['€', 3],
      ['\u{1F600}', 4],
    ] as const) {
      const most = char.repeat(1024 / bytes)
      expect(parse(`topic=a&id=${most}`)).toMatchObject({ id: most })
      expect(() => parse(`topic=a&id=${most}${char}`)).toThrow(
        expect.objectContaining({ code: 'field-too-long' }),
      )
    }
    const unlimited = { ...limits, id: 0 }
    const long = 'é'.repeat(4096)
    expect(parseUpdate(form(`topic=a&id=${long}`), hub, unlimited)).toMatchObject({ id: long })
  })

  test('PUB-36 an id of blanks alone is refused, since a field cannot hold it; blanks elsewhere are not', () => {
    for (const id of ['+', '++++', '%20', `${'+'.repeat(1024)}`])
      expect(() => parse(`topic=a&id=${id}`)).toThrow(expect.objectContaining({ code: 'invalid-id' }))
    for (const id of ['a b', ' a', '\u00a0', '\u3000'])
      expect(parse(`topic=a&id=${id}`)).toMatchObject({ id })
  })
})
