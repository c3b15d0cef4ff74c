import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  encodeSegment,
  parseSubscriptionPath,
  subscriptionBytes,
  subscriptionsLink,
  subscriptionsTag,
  subscriptionTopic,
  subscriptionUpdate,
} from '../../src/protocol/subscription.ts'
import { hubLocation } from '../../src/protocol/topic.ts'
import { seal } from '../../src/protocol/update.ts'
import { readVectors, type VectorBase, vectorHubUrl } from '../support/vectors.ts'

interface TextVector extends VectorBase {
  readonly kind: 'topic' | 'api' | 'etag' | 'link'
  readonly hubPath: string
  readonly match_type: string
  readonly match: string
  readonly subscriber: string
  readonly lastEventId: string
  readonly expect: string
}

const hub = hubLocation(vectorHubUrl)

describe('subscription resources', async () => {
  for (const vector of await readVectors<TextVector>('active-subscriptions')) {
    if (vector.kind === 'api') continue
    test(`ACT-04 ACT-33 ACT-34 ${vector.id} ${vector.why}`, () => {
      const { kind, match_type: matchType, match, subscriber, lastEventId } = vector
      const location = kind === 'topic' ? hubLocation(`https://hub.example.com${vector.hubPath}`) : hub
      const made = () => {
        if (kind === 'topic') return subscriptionTopic(location, { matchType, match, subscriber })
        return kind === 'etag' ? subscriptionsTag(lastEventId) : subscriptionsLink(hub, lastEventId)
      }
      expect(made()).toBe(vector.expect)
    })
  }

  test('an event is no larger than was reckoned before it was made, and no tenth of that', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((value) => value.isWellFormed())
    const payload = fc.option(fc.dictionary(fc.string(), fc.json()), { nil: undefined })
    fc.assert(
      fc.property(text, payload, fc.boolean(), (match, payload, active) => {
        const subscriber = 'urn:uuid:00000000-0000-4000-8000-000000000000'
        const subscription = { matchType: 'urlpattern', match, subscriber, payload }
        const { frame, topics } = seal(subscriptionUpdate(hub, subscription, active), subscriber)
        const bytes = frame.length + Buffer.byteLength(topics.join())
        expect(bytes).toBeLessThanOrEqual(subscriptionBytes(subscription))
        expect(bytes).toBeGreaterThan(subscriptionBytes(subscription) / 10)
      }),
    )
  })

  test('ACT-21 what was encoded is read back, whatever it is', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((value) => value.isWellFormed())
    fc.assert(
      fc.property(text, text, (match, subscriber) => {
        const topic = subscriptionTopic(hub, { matchType: 'exact', match, subscriber })
        expect(parseSubscriptionPath(topic, hub)).toEqual({
          kind: 'one',
          matchType: 'exact',
          match,
          subscriber,
        })
        expect(encodeSegment(match)).toMatch(/^(?:[A-Za-z0-9\-._~]|%[0-9A-F]{2})*$/)
      }),
    )
  })

  test.each([
    '/subscriptions/',
    '/subscriptions/exact',
    '/subscriptions/exact/',
    '/subscriptions/regexp/x',
    '/subscriptions/exact/a/b/c',
    '/subscriptions/exact/a/',
    '/subscriptions/exact/%FF',
    '/other',
  ])('ACT-20 ACT-30 %s is no resource', (path) => {
    expect(parseSubscriptionPath(`${hub.path}${path}`, hub)).toBeNull()
  })

  test('ACT-08 ACT-09 an event is private, of the type mercure, and carries the document', () => {
    const subscription = { matchType: 'exact', match: 'a', subscriber: 'urn:uuid:1', payload: { user: 1 } }
    const update = subscriptionUpdate(hub, subscription, true)
    const id = '/.well-known/mercure/subscriptions/exact/a/urn%3Auuid%3A1'
    expect({ ...update, data: JSON.parse(update.data) }).toEqual({
      id: null,
      topics: [id],
      type: 'mercure',
      retryMs: null,
      private: true,
      data: {
        id,
        type: 'subscription',
        match_type: 'exact',
        match: 'a',
        subscriber: 'urn:uuid:1',
        active: true,
        payload: { user: 1 },
      },
    } as never)
  })

  test('AUT-85 without a payload there is no member', () => {
    const update = subscriptionUpdate(hub, { matchType: 'exact', match: 'a', subscriber: 's' }, false)
    expect(JSON.parse(update.data)).not.toHaveProperty('payload')
  })
})
