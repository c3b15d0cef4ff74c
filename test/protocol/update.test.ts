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
const limits = { topics: 1000, field: 4096 }
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
      const run = () =>
        parseUpdate(form(vector.body), hub, { topics: own['maxTopics'] ?? limits.topics, field })
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

  test('PUB-47 a retry beyond the safe integers is refused', () => {
    expect(parse('topic=a&retry=9007199254740991')).toMatchObject({ retryMs: 9007199254740991 })
    expect(() => parse('topic=a&retry=9007199254740992')).toThrow(
      expect.objectContaining({ code: 'invalid-retry' }),
    )
  })
})
