import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { ProtocolError } from '../../src/protocol/error.ts'
import {
  anonymous,
  DETAIL_TYPE,
  grantsWeight,
  type Identity,
  type JsonObject,
  mayPublish,
  mayPublishInSteps,
  mayRead,
  mayReadInSteps,
  parseAuthorizationDetails,
  payloadFor,
  payloadsInSteps,
} from '../../src/protocol/grant.ts'
import { isLight, stepsOf } from '../../src/protocol/matcher.ts'
import { hubLocation } from '../../src/protocol/topic.ts'
import { parseTopicUrl } from '../../src/protocol/url-pattern/pattern.ts'
import { finish } from '../../src/protocol/work.ts'
import { readVectors, type VectorBase, vectorHubUrl } from '../support/vectors.ts'

interface DetailsVector extends VectorBase {
  readonly authorization_details?: unknown
  readonly expect: 'valid' | 'invalid_token'
  readonly grants: readonly { readonly action: string; readonly topic: string; readonly granted: boolean }[]
  readonly payloads?: readonly { readonly match: string; readonly payload: JsonObject | null }[]
}

const hub = hubLocation(vectorHubUrl)
const asPattern = (match: string) => ({ match, match_type: 'urlpattern' })
const limits = { details: 100, pattern: 4096, patternWeight: 5000 }

function identityOf(claim: unknown, some = limits): Identity {
  const grants = finish(parseAuthorizationDetails(claim, hub, some))
  return { ...anonymous, grants, weight: grantsWeight(grants) }
}

function detail(actions: readonly string[], topics: readonly string[], payload?: unknown): JsonObject {
  const base = { type: DETAIL_TYPE, actions, topics: topics.map((match) => ({ match })) }
  return payload === undefined ? base : { ...base, payload }
}

function codeOf(run: () => unknown): string {
  try {
    run()
    return 'none'
  } catch (error) {
    return error instanceof ProtocolError ? error.code : String(error)
  }
}

describe('vectors of authorization-details.json', async () => {
  const vectors = await readVectors<DetailsVector>('authorization-details')
  const refused = vectors.filter((vector) => vector.expect === 'invalid_token')
  const valid = vectors.filter((vector) => vector.expect === 'valid')

  test.each(refused.map((vector) => [vector.id, vector.why, vector] as const))(
    'AUT-59 %s is refused: %s',
    (_id, _why, vector) => {
      expect(codeOf(() => identityOf(vector.authorization_details))).toBe('invalid-token')
    },
  )

  test.each(valid.map((vector) => [vector.id, vector.why, vector] as const))(
    'AUT-50 to AUT-85 %s is valid: %s',
    (_id, _why, vector) => {
      const identity = identityOf(vector.authorization_details)
      const decisions = vector.grants.map(({ action, topic }) => ({
        action,
        topic,
        granted: action === 'publish' ? mayPublish(identity, [topic]) : mayRead(identity, [topic]),
      }))
      expect(decisions).toEqual([...vector.grants])
      const payloads = (vector.payloads ?? []).map(({ match }) => payloadFor(identity, match) ?? null)
      expect(payloads).toEqual((vector.payloads ?? []).map(({ payload }) => payload))
    },
  )
})

describe('the claim', () => {
  test.each([[undefined], [null], [[]]])('AUT-50 %j is a valid claim without rights', (claim) => {
    expect(identityOf(claim).grants).toEqual([])
  })

  test.each([[{}], ['text'], [0], [true], [[[]]], [[1]], [['x', detail(['publish'], ['a'])]]])(
    'AUT-50 %j is refused',
    (claim) => {
      expect(codeOf(() => identityOf(claim))).toBe('invalid-token')
    },
  )

  test.each([['text'], [1], [true], [[]], [[{}]]])('AUT-57 the payload %j is refused', (payload) => {
    expect(codeOf(() => identityOf([detail(['subscribe'], ['a'], payload)]))).toBe('invalid-token')
  })

  test('a payload keeps every member, whatever its name', () => {
    const payload: unknown = JSON.parse('{"__proto__":{"a":1},"constructor":null,"n":[1,{"x":"é"}]}')
    const identity = identityOf([detail(['subscribe'], ['a'], payload)])
    expect(JSON.stringify(payloadFor(identity, 'a'))).toBe(JSON.stringify(payload))
  })

  test('AUT-60 one detail or topic entry over the limit is refused, at the limit accepted', () => {
    const many = (length: number) => Array.from({ length }, (_, at) => `t${at}`)
    const split = (a: number, b: number) => [detail(['publish'], many(a)), detail(['publish'], many(b))]
    expect(identityOf(split(50, 50)).grants).toHaveLength(2)
    expect(codeOf(() => identityOf(split(50, 51)))).toBe('invalid-token')
    expect(codeOf(() => identityOf([detail(['publish'], many(101))]))).toBe('invalid-token')
    expect(identityOf(split(500, 501), { ...limits, details: 0, pattern: 0 }).grants).toHaveLength(2)
  })

  test('AUT-60 MAT-34 patterns that weigh too much in sum are refused, however they are split', () => {
    const split = (...counts: readonly number[]) =>
      counts.map((count, at) => ({
        type: DETAIL_TYPE,
        actions: ['publish'],
        topics: Array.from({ length: count }, (_, n) => asPattern(`/(a{96}${at}${n})`)),
      }))
    const weight = identityOf(split(3)).weight
    const some = { ...limits, patternWeight: 10 * weight }
    expect(identityOf(split(9), some).grants).toHaveLength(1)
    for (const over of [split(31), split(16, 15), split(...Array.from({ length: 31 }, () => 1))])
      expect(codeOf(() => identityOf(over, some))).toBe('invalid-token')
  })

  test('AUT-60 details of other types do not count', () => {
    const foreign = Array.from({ length: 500 }, () => ({ type: 'x', topics: 1 }))
    expect(mayPublish(identityOf([...foreign, detail(['publish'], ['a'])]), ['a'])).toBe(true)
  })

  test('a limit of zero for patterns is none', () => {
    const long = 'a'.repeat(5000)
    expect(codeOf(() => identityOf([detail(['publish'], [long])]))).toBe('invalid-token')
    expect(
      mayPublish(identityOf([detail(['publish'], [long])], { ...limits, details: 0, pattern: 0 }), [long]),
    ).toBe(true)
  })

  test('AUT-59 whatever JSON the claim is, it is read or refused as a token, never anything else', () => {
    const entry = fc.record(
      {
        type: fc.oneof(fc.constant(DETAIL_TYPE), fc.jsonValue()),
        actions: fc.oneof(fc.array(fc.constantFrom('publish', 'subscribe', 'x')), fc.jsonValue()),
        topics: fc.oneof(
          fc.array(
            fc.record(
              { match: fc.string(), match_type: fc.constantFrom('exact', 'urlpattern', 'x') },
              { requiredKeys: ['match'] },
            ),
          ),
          fc.jsonValue(),
        ),
        payload: fc.jsonValue(),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.array(entry, { maxLength: 4 })), (claim) => {
        expect(['none', 'invalid-token']).toContain(codeOf(() => identityOf(claim)))
      }),
    )
  })
})

describe('decisions', () => {
  const topic = fc.constantFrom('a', 'b', 'c')
  const details = fc.array(
    fc.record({
      actions: fc.subarray(['publish', 'subscribe', 'other'], { minLength: 1 }),
      topics: fc.array(topic, { minLength: 1, maxLength: 3 }),
    }),
    { maxLength: 4 },
  )

  test('AUT-61 AUT-70 AUT-71 publishing needs every topic, reading one, and details never combine', () => {
    fc.assert(
      fc.property(details, fc.uniqueArray(topic, { minLength: 1 }), (wanted, topics) => {
        const identity = identityOf(wanted.map(({ actions, topics: all }) => detail(actions, all)))
        const granted = (action: string) =>
          wanted.filter((one) => one.actions.includes(action)).flatMap((one) => one.topics)
        const urls = topics.map((one) => parseTopicUrl(one, hub))
        const every = topics.every((one) => granted('publish').includes(one))
        const some = topics.some((one) => granted('subscribe').includes(one))
        expect([mayPublish(identity, topics), mayPublish(identity, topics, urls)]).toEqual([every, every])
        expect([mayRead(identity, topics), mayRead(identity, topics, urls)]).toEqual([some, some])
      }),
    )
  })

  test('AUT-61 AUT-70 AUT-71 AUT-80 in steps the answers are the same', () => {
    const written = fc.array(
      fc.record({
        actions: fc.subarray(['publish', 'subscribe', 'other'], { minLength: 1 }),
        topics: fc.array(fc.constantFrom('a', 'b', '*', '/:x', './:x', './(a|c)'), {
          minLength: 1,
          maxLength: 3,
        }),
        payload: fc.option(fc.record({ k: fc.nat(3) }), { nil: null }),
      }),
      { maxLength: 4 },
    )
    fc.assert(
      fc.property(written, fc.uniqueArray(topic, { minLength: 1 }), (details, topics) => {
        const identity = identityOf(
          details.map(({ actions, topics: all, payload }) => ({
            type: DETAIL_TYPE,
            actions,
            payload,
            topics: all.map((match) => ({ match, match_type: 'urlpattern' })),
          })),
        )
        const urls = topics.map((one) => parseTopicUrl(one, hub))
        expect(finish(mayPublishInSteps(identity, topics, hub))).toBe(mayPublish(identity, topics))
        expect(finish(mayReadInSteps(identity, topics, urls))).toBe(mayRead(identity, topics, urls))
        expect(finish(payloadsInSteps(identity, topics, hub))).toEqual(
          topics.map((one) => payloadFor(identity, one)),
        )
      }),
    )
  })

  test('SEC-14 MAT-34 no step tests more than is light on a topic, and one pattern', () => {
    const patterns = Array.from({ length: 40 }, (_, n) => `/(x{100}${n})`)
    const claim = [{ type: DETAIL_TYPE, actions: ['publish'], topics: patterns.map(asPattern) }]
    const identity = identityOf(claim, { ...limits, patternWeight: 10_000 })
    const topics = Array.from({ length: 10 }, () => `/${'x'.repeat(1000)}`)
    expect(isLight(identity.weight, topics)).toBe(false)
    let steps = 0
    for (const _ of mayPublishInSteps(identity, topics.slice(0, 1), hub)) steps++
    expect(steps).toBeGreaterThanOrEqual(stepsOf(identity.weight, topics.slice(0, 1)) / 2)
  })

  test('AUT-74 nobody in particular may do nothing in private', () => {
    expect(mayRead(anonymous, ['a'])).toBe(false)
    expect(mayPublish(anonymous, ['a'])).toBe(false)
    expect(payloadFor(anonymous, 'a')).toBeUndefined()
  })

  test('an update without topics is never granted', () => {
    expect(mayPublish(identityOf([detail(['publish'], ['*'])]), [])).toBe(false)
    expect(mayRead(identityOf([detail(['subscribe'], ['*'])]), [])).toBe(false)
  })

  test('AUT-82 the first grant decides even without a payload', () => {
    const claim = [detail(['subscribe'], ['a']), detail(['subscribe'], ['*'], { k: 1 })]
    expect(payloadFor(identityOf(claim), 'a')).toBeUndefined()
    expect(payloadFor(identityOf(claim), 'b')).toEqual({ k: 1 })
  })

  test('LEG-11 the payload of the token fills in where no grant has one', () => {
    const identity = { ...identityOf([detail(['subscribe'], ['a'], { k: 1 })]), defaultPayload: 'old' }
    expect(payloadFor(identity, 'a')).toEqual({ k: 1 })
    expect(payloadFor(identity, 'b')).toBe('old')
  })
})
