import { ProtocolError, type RefusalFacts } from '../protocol/error.ts'
import { type Grant, grantsWeight, type Identity } from '../protocol/grant.ts'
import { shown, type TokenFailure } from './claim-checks.ts'
import type { KeySource } from './key-source.ts'
import { dateOf, type Expectation, issuerOf, keysOf, type Token } from './token.ts'
import type { Rights, TokenProfile } from './token-profile.ts'

/** A token with the rules that apply to it. */
export interface Case {
  readonly token: Token
  readonly expected: Expectation
  readonly profile: TokenProfile
}

/** The outcome of one check. */
export interface Finding {
  /** The header parameter or claim, or `structure`, `role`, `signature`. */
  readonly check: string
  readonly ok: boolean
  /** The words of the token and the mistake in them, for the terminal of an operator. */
  readonly detail: string
}

/** A token, claim by claim. */
export interface Explanation {
  readonly findings: readonly Finding[]
  /** Whether the hub accepts the token: every finding is ok. */
  readonly accepted: boolean
  /** The grants of the token, also of one that the hub does not accept. */
  readonly grants: readonly Grant[]
}

/** An `invalid-token` with its reason, which is for logs and metrics only (ERR-05). */
export class TokenRefused extends ProtocolError {
  readonly failure: TokenFailure
  readonly #facts: Omit<RefusalFacts, 'reason'>

  constructor(
    failure: TokenFailure,
    detail: string,
    facts: Omit<RefusalFacts, 'reason'> = {},
    options?: ErrorOptions,
  ) {
    super('invalid-token', `the token was refused (${failure}): ${detail}`, options)
    this.failure = failure
    this.#facts = facts
  }

  override get facts(): RefusalFacts {
    return { reason: this.failure, ...this.#facts }
  }
}

const NOT_A_TOKEN = 'not a signed token of three parts with a JSON object in each of the first two'

/** The identity of a token that passes every check. Rejects with `TokenRefused` or `keys-unavailable`. */
export async function verify(opened: Case | null): Promise<Identity> {
  if (opened === null) throw new TokenRefused('malformed', NOT_A_TOKEN)
  const { token, expected, profile } = opened
  const issuer = shown(token.claims.iss)
  for (const { name, failure, problem, fact, wanted } of profile.checks) {
    const wrong = problem(token, expected)
    if (wrong === null) continue
    const seen = fact(token, expected)
    const facts = { issuer, expected: wanted(expected, token), seen }
    throw new TokenRefused(failure, `${name} is ${seen}: ${wrong}`, facts)
  }
  // The key comes after the cheap checks, and the hub compiles patterns only for issuers that could sign them.
  const wrong = await signatureProblem(opened)
  if (wrong !== null) throw new TokenRefused('signature', wrong, { issuer })
  return identityOf(opened, await readRights(opened))
}

/** Every check of `verify`, without stopping at the first failure. */
export async function explain(opened: Case | null): Promise<Explanation> {
  if (opened === null)
    return { findings: [finding('structure', '', NOT_A_TOKEN)], accepted: false, grants: [] }
  const { token, expected, profile } = opened
  const rights = await readRights(opened).catch(messageOf)
  const signature = await signatureProblem(opened).catch(messageOf)
  const findings = [
    finding('structure', 'a signed token of three parts', null),
    ...profile.checks.map(({ name, fact, problem }) =>
      finding(name, fact(token, expected), problem(token, expected)),
    ),
    finding('signature', 'by a key of the issuer for this role', signature),
    finding('authorization_details', 'readable', typeof rights === 'string' ? rights : null),
  ]
  const grants = typeof rights === 'string' ? [] : rights.grants
  return { findings, accepted: findings.every(({ ok }) => ok), grants }
}

/** Why a verified identity does not hold at the time, or null (AUT-29, AUT-30). */
export function timeProblem(identity: Identity, now: number): TokenFailure | null {
  if (identity.expiresAt !== null && now >= identity.expiresAt) return 'expired'
  return identity.notBefore !== null && now < identity.notBefore ? 'not-yet-valid' : null
}

/** SHA-256 as base64url: a short key that gives no token away. */
export function hash(text: string): string {
  return Bun.SHA256.hash(text, 'base64url')
}

async function signatureProblem({ token, expected, profile }: Case): Promise<string | null> {
  const source = keysOf(token, expected)
  if (source === null) return 'there is no key to verify it with'
  // Checked again, because no key may ever see a token of another algorithm, even if only to explain it.
  const isSafe = profile.checks.every(
    ({ failure, problem }) => !guarding.has(failure) || problem(token, expected) === null,
  )
  if (!isSafe) return 'not looked at, because of its algorithm or an extension'
  return (await source.verify(token.compact, keyHint(token))) ? null : 'no key of the issuer has signed it'
}

const guarding: ReadonlySet<TokenFailure> = new Set<TokenFailure>(['algorithm', 'critical'])

function keyHint({ header }: Token): Parameters<KeySource['verify']>[1] {
  const alg = typeof header.alg === 'string' ? header.alg : ''
  return typeof header.kid === 'string' ? { alg, kid: header.kid } : { alg }
}

async function readRights({ token, profile }: Case): Promise<Rights> {
  try {
    return await profile.rights(token.claims)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new TokenRefused('details', error.message, { issuer: shown(token.claims.iss) }, { cause: error })
  }
}

function identityOf({ token, expected }: Case, rights: Rights): Identity {
  const { exp, nbf, sub } = token.claims
  const issuer = issuerOf(token, expected)?.id
  const holder = typeof sub === 'string' ? JSON.stringify([issuer, sub]) : signedPart(token)
  return {
    ...rights,
    expiresAt: dateOf(exp),
    notBefore: dateOf(nbf),
    holder: hash(holder),
    weight: grantsWeight(rights.grants),
  }
}

/** The part of a token without its signature: the holder of an ECDSA signature can make another of the same token. */
function signedPart({ compact }: Token): string {
  return compact.slice(0, compact.lastIndexOf('.'))
}

function finding(check: string, fact: string, problem: string | null): Finding {
  return { check, ok: problem === null, detail: [fact, problem].filter(Boolean).join(': ') }
}

function messageOf(error: unknown): string {
  if (error instanceof ProtocolError) return error.message
  throw error
}
