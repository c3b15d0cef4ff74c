import type { MintedToken, RoleExplanation } from '../../admin/console/answers.ts'
import type { About, MintRequest } from '../../admin/console/sources.ts'
import type { Authenticator } from '../../auth/authenticate.ts'
import type { Role } from '../../auth/keys.ts'
import { mint } from '../../auth/mint.ts'
import type { Settings } from '../../config/load.ts'
import type { Grant } from '../../protocol/grant.ts'

type Issuer = Settings['issuers'][number]
type Keys = { readonly key: string; readonly algorithm: string }

/** Says of both roles how the token fares. */
export async function explainToken(
  authenticator: Authenticator,
  token: string,
  audience: string,
): Promise<readonly RoleExplanation[]> {
  const roles = (['publisher', 'subscriber'] as const).filter((role) => authenticator.hasKeys(role))
  return await Promise.all(
    roles.map(async (role) => {
      const { accepted, findings, grants } = await authenticator.explain(token.trim(), role, audience)
      return { role, accepted, findings, grants: grants.flatMap((grant) => grantsOf(grant, role)) }
    }),
  )
}

function grantsOf({ publish, subscribe, topics }: Grant, role: Role): readonly string[] {
  const counts = role === 'publisher' ? publish : subscribe
  return counts
    ? topics.map(({ type, pattern }) => (pattern === '*' ? 'every topic' : `${type} ${pattern}`))
    : []
}

/** The rights that a token could have which the hub signs itself. */
export function mintable(settings: Settings): About['mints'] {
  const issuer = mintingIssuer(settings)
  const [publisher, subscriber] = [secretOf(issuer?.publisher), secretOf(issuer?.subscriber)]
  const both = publisher !== null && subscriber !== null && isSame(publisher, subscriber)
  return { publish: publisher !== null, subscribe: subscriber !== null, both }
}

/** The issuer with a key that can sign: a shared secret, which verifies and signs. Null where there is none. */
function mintingIssuer({ issuers }: Settings): Issuer | null {
  return issuers.find(({ publisher, subscriber }) => secretOf(publisher) ?? secretOf(subscriber)) ?? null
}

/** Makes a token that lasts an hour at most. Rejects with a plain Error that says why it cannot. */
export async function mintToken(
  settings: Settings,
  audience: string,
  { publish, subscribe, ttl }: MintRequest,
  now: number,
): Promise<MintedToken> {
  const issuer = mintingIssuer(settings)
  if (issuer === null) throw new Error('the hub holds no key that could sign a token')
  const keys = keysFor(issuer, publish.length > 0, subscribe.length > 0)
  const expiresAt = now + 1000 * Math.min(ttl, TTL_MAX)
  const token = await mint({
    ...keys,
    issuer: issuer.id,
    audience,
    subject: 'console',
    clientId: 'console',
    id: crypto.randomUUID(),
    issuedAt: now,
    expiresAt,
    rights: { ...split('publish', publish), ...split('subscribe', subscribe) },
  })
  return { token, expiresAt }
}

function keysFor({ publisher, subscriber }: Issuer, publishes: boolean, subscribes: boolean): Keys {
  const [one, other] = [secretOf(publisher), secretOf(subscriber)]
  if (publishes && subscribes) {
    if (one === null || other === null || !isSame(one, other))
      throw new Error('publishers and subscribers have keys of their own: make a token for each')
    return one
  }
  const keys = publishes ? one : other
  if (keys === null) throw new Error('the hub holds no key that could sign such a token')
  return keys
}

function secretOf(role: Issuer['publisher']): Keys | null {
  if (role?.key === undefined || role.algorithm === undefined || !role.algorithm.startsWith('HS')) return null
  return { key: role.key, algorithm: role.algorithm }
}

function isSame(one: Keys, other: Keys): boolean {
  return one.key === other.key && one.algorithm === other.algorithm
}

/** A topic with the signs of a URL Pattern is one. */
function split(action: 'publish' | 'subscribe', topics: readonly string[]) {
  const isPattern = (topic: string) => topic !== '*' && /[*{(]|[/.?#]:[A-Za-z_]/.test(topic)
  return {
    [action]: topics.filter((topic) => !isPattern(topic)),
    [`${action}Patterns`]: topics.filter(isPattern),
  }
}

const TTL_MAX = 3600
