import { describe, expect, test } from 'bun:test'
import type { Claims } from '../../src/auth/token.ts'
import type { Rights } from '../../src/auth/token-profile.ts'
import { legacyProfile, type Version } from '../../src/legacy/profile.ts'
import { legacyUpdate } from '../../src/legacy/subscription.ts'
import { type Identity, mayPublish, mayRead, payloadFor } from '../../src/protocol/grant.ts'
import { subscriptionBytes } from '../../src/protocol/subscription.ts'
import { hubLocation } from '../../src/protocol/topic.ts'
import { seal } from '../../src/protocol/update.ts'
import { finish } from '../../src/protocol/work.ts'

const location = hubLocation('https://hub.example.com/.well-known/mercure')
const limits = { details: 4, pattern: 50, patternWeight: 100 }

async function rightsOf(claims: Claims, version: Version = '8'): Promise<Rights> {
  return await legacyProfile({ version, implicitIssuer: null, location, limits, drive: finish }).rights(
    claims,
  )
}

async function identityOf(mercure: unknown): Promise<Identity> {
  const rights = await rightsOf({ mercure })
  return { ...rights, expiresAt: null, notBefore: null, holder: null, weight: 0 }
}

describe('the claim mercure', () => {
  const nothing: readonly Claims[] = [
    {},
    { mercure: null },
    { mercure: {} },
    { mercure: { publish: null, subscribe: null, payload: null } },
    { mercure: { publish: [], subscribe: [] } },
    { mercure: { publish: [''], subscribe: [''] } },
    { mercure: { publish: ['*'] }, 'https://mercure.rocks/': {} },
  ]
  test.each(nothing)('LEG-07 LEG-13 %j grants nothing', async (claims) => {
    expect(await rightsOf(claims)).toEqual({ grants: [] })
  })

  test('LEG-06 the namespaced one replaces the other, unless it is null', async () => {
    const { grants } = await rightsOf({ mercure: { subscribe: ['a'] }, 'https://mercure.rocks/': null })
    expect(grants).toHaveLength(1)
  })

  test.each<[claim: unknown, any: boolean | undefined]>([
    [{ publish: [] }, true],
    [{ publish: ['a'] }, true],
    [{ publish: null }, undefined],
    [{ subscribe: ['*'] }, undefined],
    [null, undefined],
  ])('LEG-08 with version 7 %j publishes what is public: %p', async (mercure, any) => {
    expect((await rightsOf({ mercure }, '7')).publishesAnyPublic).toBe(any)
    expect((await rightsOf({ mercure }, '8')).publishesAnyPublic).toBeUndefined()
  })

  test('LEG-07 LEG-09 each list grants its own action', async () => {
    const identity = await identityOf({ publish: ['p', 'x/{y}'], subscribe: ['s'] })
    expect([['p'], ['p', 'x/1'], ['p', 's']].map((topics) => mayPublish(identity, topics))).toEqual([
      true,
      true,
      false,
    ])
    expect([['s'], ['p', 's'], ['p']].map((topics) => mayRead(identity, topics))).toEqual([true, true, false])
  })

  test('LEG-10 LEG-11 a payload of its own is more specific than that of the token', async () => {
    const own = { user: 'alice' }
    const identity = await identityOf({ subscribe: ['*', { match: 'a', payload: own }], payload: ['any', 1] })
    expect([payloadFor(identity, 'a'), payloadFor(identity, 'b')]).toEqual([own, ['any', 1]])
  })

  test.each<[what: string, claim: unknown]>([
    ['a list that is a text', { publish: '*' }],
    ['a number in a list', { subscribe: [1] }],
    ['null in a list', { subscribe: [null] }],
    ['a forbidden character', { subscribe: ['a\u0000'] }],
    ['an entry without match', { subscribe: [{ match_type: 'exact' }] }],
    ['a type that is no text', { subscribe: [{ match: 'a', match_type: 1 }] }],
    ['the type of selectors, which is no type', { subscribe: [{ match: 'a', match_type: 'topic' }] }],
    ['a payload that is no object', { subscribe: [{ match: 'a', payload: 'x' }] }],
    ['a claim that is a list', []],
    ['too many entries, both lists in sum', { publish: ['a', 'b', 'c'], subscribe: ['d', 'e'] }],
    ['an entry that is too long', { publish: ['x'.repeat(51)] }],
    ['a template that is too heavy', { publish: ['{a:90}'] }],
    ['templates that are too heavy in sum', { publish: ['{a:6}', '{b:6}'], subscribe: ['{c:6}'] }],
  ])('LEG-05 LEG-10 is refused with %s', async (_what, mercure) => {
    await expect(rightsOf({ mercure })).rejects.toThrow(expect.objectContaining({ code: 'invalid-token' }))
  })
})

test('LEG-19 the event of a subscription is within the bound that is counted for it', () => {
  for (const match of ['a', '/'.repeat(4096), 'é'.repeat(1000), '"'.repeat(3000)]) {
    for (const payload of [undefined, null, { a: 'x'.repeat(500) }]) {
      const subscriber = 'urn:uuid:bb3de268-05b0-4c65-b44e-8f9acefc29d6'
      const subscription = { matchType: 'topic', match, subscriber, payload }
      const { frame, topics } = seal(legacyUpdate(location, subscription, true), subscriber)
      const bytes = frame.length + new TextEncoder().encode(topics.join()).length
      expect(bytes).toBeLessThanOrEqual(subscriptionBytes(subscription))
    }
  }
})
