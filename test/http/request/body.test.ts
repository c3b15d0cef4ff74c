import { describe, expect, test } from 'bun:test'
import { readForm } from '../../../src/http/request/body.ts'
import { Uploads } from '../../../src/http/request/uploads.ts'
import type { FormRules } from '../../../src/protocol/form.ts'

const type = 'application/x-www-form-urlencoded'
const post = (body: BodyInit | null, headers: Record<string, string> = { 'content-type': type }) =>
  new Request('http://hub.test/', { method: 'POST', body, headers })
const rules: FormRules = { isKnown: () => true, pairsMax: 5, refusal: 'too-many-fields' }
/** A new counter for each body, without a limit, on a loop whose timers never come. */
const uploads = (bytes = 0) =>
  new Uploads(
    { bytes, idleMs: 1000, bytesPerSecond: 1024 },
    { now: () => 0, later: () => {}, delay: () => () => {} },
  )
const read = (request: Request, limit = 100, isOptional = false, counter = uploads()) =>
  readForm({ request, stayOpen: () => {} }, { limit, rules, isOptional, uploads: counter, share: 1 })

/** A body that comes in pieces of this many bytes, and says how many of them were taken. */
function pieces(size: number, count: number) {
  let taken = 0
  const stream = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        if (taken === count) return controller.close()
        taken++
        controller.enqueue(new Uint8Array(size).fill(0x61))
      },
    },
    { highWaterMark: 0 },
  )
  return { stream, taken: () => taken }
}

describe('bodies', () => {
  test('PUB-03 a form is read into its pairs, in order', async () => {
    expect(await read(post('topic=a&topic=b&data=%FF'))).toEqual([
      { name: 'topic', value: 'a' },
      { name: 'topic', value: 'b' },
      { name: 'data', value: null },
    ])
  })

  for (const good of [type, type.toUpperCase(), `${type}; charset=utf-8`, ` ${type} ;x=y`]) {
    test(`PUB-01 ${good} is a form`, async () => {
      expect(await read(post('a=b', { 'content-type': good }))).toEqual([{ name: 'a', value: 'b' }])
    })
  }

  for (const bad of ['text/plain', 'multipart/form-data', `x${type}`, `${type}x`, 'application/json']) {
    test(`PUB-01 ${bad} is no form`, async () => {
      await expect(read(post('a=b', { 'content-type': bad }))).rejects.toMatchObject({
        code: 'unsupported-media-type',
      })
    })
  }

  test('SUB-26 an empty body needs a media type only where it must be there', async () => {
    expect(await read(post(null, {}), 100, true)).toEqual([])
    await expect(read(post(null, {}))).rejects.toMatchObject({ code: 'unsupported-media-type' })
  })

  test('PUB-61 a declared length over the limit is refused without a look at the body', async () => {
    const { stream, taken } = pieces(10, 3)
    const request = post(stream, { 'content-type': type, 'content-length': '101' })
    await expect(read(request)).rejects.toMatchObject({ code: 'body-too-large' })
    expect(taken()).toBe(0)
  })

  test('PUB-61 an undeclared length is counted, and reading stops at the limit', async () => {
    const { stream, taken } = pieces(60, 1000)
    await expect(read(post(stream))).rejects.toMatchObject({ code: 'body-too-large' })
    expect(taken()).toBeLessThan(10)
  })

  test('PUB-60 exactly the limit is accepted, one byte more is not', async () => {
    expect(await read(post('x'.repeat(100)))).toEqual([{ name: 'x'.repeat(100), value: '' }])
    expect((await read(post(pieces(10, 10).stream))).length).toBe(1)
    await expect(read(post('x'.repeat(101)))).rejects.toMatchObject({ code: 'body-too-large' })
    await expect(read(post(pieces(101, 1).stream))).rejects.toMatchObject({ code: 'body-too-large' })
  })

  test('PUB-62 without a limit anything is read', async () => {
    expect((await read(post('x'.repeat(1_000_000)), 0)).length).toBe(1)
    expect((await read(post(pieces(1000, 1000).stream), 0)).length).toBe(1)
  })

  test('PUB-60 fields over the limit are refused, at the limit read', async () => {
    expect(await read(post('a&b&c&d&e'))).toHaveLength(5)
    await expect(read(post('a&b&c&d&e&f'))).rejects.toMatchObject({ code: 'too-many-fields' })
  })

  test('S7 what is received counts until it is read or refused, whatever was declared', async () => {
    const counter = uploads(150_000)
    const held: number[] = []
    const body = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          held.push(counter.bytes)
          if (held.length > 3) controller.close()
          else controller.enqueue(new Uint8Array(40_000).fill(0x61))
        },
      },
      { highWaterMark: 0 },
    )
    const headers = { 'content-type': type, 'content-length': '120000' }
    expect((await read(post(body, headers), 0, false, counter)).length).toBe(1)
    expect([held, counter.bytes, counter.size]).toEqual([[0, 40_000, 80_000, 120_000], 0, 0])
  })

  test('S7 a body over what all may have together is refused: at once where it says so', async () => {
    const { stream, taken } = pieces(60_000, 10)
    const declared = post(stream, { 'content-type': type, 'content-length': '600000' })
    await expect(read(declared, 0, false, uploads(150_000))).rejects.toMatchObject({ code: 'body-too-large' })
    expect(taken()).toBe(0)
    const counter = uploads(150_000)
    const undeclared = post(pieces(60_000, 10).stream)
    await expect(read(undeclared, 0, false, counter)).rejects.toMatchObject({ code: 'body-too-large' })
    expect([counter.bytes, counter.size]).toEqual([0, 0])
  })

  test('S7 with others a body that has no room is refused, before it is read where it is small', async () => {
    const counter = uploads(1000)
    const other = counter.begin({ stayOpen: () => {} }, 1)
    other.grow(950)
    await expect(read(post('x'.repeat(60)), 100, false, counter)).rejects.toMatchObject({
      code: 'uploads-full',
    })
    await expect(read(post(pieces(20, 5).stream), 100, false, counter)).rejects.toMatchObject({
      code: 'uploads-full',
    })
    expect([counter.bytes, counter.size]).toEqual([950, 1])
    expect((await read(post('x'.repeat(50)), 100, false, counter)).length).toBe(1)
    other.end()
    expect((await read(post('x'.repeat(100)), 100, false, counter)).length).toBe(1)
  })

  test('PUB-07 a body that breaks off is a refusal, not a failure of the hub', async () => {
    const broken = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new Error('gone')),
    })
    await expect(read(post(broken))).rejects.toMatchObject({ code: 'invalid-form' })
  })
})
