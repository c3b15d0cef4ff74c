import { dateOf, type Expectation, isAccessToken, issuerOf, keysOf, type Token } from './token.ts'

/** Why a token was refused: one closed set, for logs and metrics. Clients never learn it (ERR-05). */
export type TokenFailure =
  | 'malformed'
  | 'typ'
  | 'critical'
  | 'issuer'
  | 'role'
  | 'algorithm'
  | 'expired'
  | 'not-yet-valid'
  | 'audience'
  | 'keys'
  | 'signature'
  | 'details'

/** One rule about the header or a claim. */
export interface ClaimCheck {
  /** The header parameter or claim that it looks at, or its subject. */
  readonly name: string
  readonly failure: TokenFailure
  /** The mistake in words, or null. */
  readonly problem: (token: Token, expected: Expectation) => string | null
  /** The words of the token about it, for an operator. */
  readonly fact: (token: Token, expected: Expectation) => string
  /** The value that the hub would take, for an operator. */
  readonly wanted: (expected: Expectation, token: Token) => string
}

const critical: ClaimCheck = {
  name: 'crit',
  failure: 'critical',
  // The hub implements no extension, so it knows none that an issuer may call critical (AUT-32).
  problem: ({ header }) => (header.crit === undefined ? null : 'the header demands an extension'),
  fact: ({ header }) => shown(header.crit),
  wanted: () => 'none',
}

const issuer: ClaimCheck = {
  name: 'iss',
  failure: 'issuer',
  problem: (token, expected) => (issuerOf(token, expected) ? null : 'not exactly a trusted issuer'),
  fact: ({ claims }) => shown(claims.iss),
  wanted: ({ issuers }) => shown([...issuers.keys()]),
}

const role: ClaimCheck = {
  name: 'role',
  failure: 'role',
  problem: (token, expected) => (keysOf(token, expected) ? null : 'the issuer has no key for this role'),
  fact: (_token, expected) => expected.role,
  wanted: ({ role }) => `an issuer with a key of the ${role}`,
}

const algorithm: ClaimCheck = {
  name: 'alg',
  failure: 'algorithm',
  problem(token, expected) {
    const allowed = keysOf(token, expected)?.algorithms ?? []
    const isAllowed = allowed.some((name) => name === token.header.alg)
    return isAllowed ? null : 'not configured for the keys of this issuer'
  },
  fact: ({ header }) => shown(header.alg),
  wanted: (expected, token) => shown(keysOf(token, expected)?.algorithms ?? []),
}

const notBefore: ClaimCheck = {
  name: 'nbf',
  failure: 'not-yet-valid',
  problem({ claims }, { now }) {
    if (claims.nbf === undefined) return null
    const date = dateOf(claims.nbf)
    if (date === null) return 'not a number of seconds'
    return now < date ? 'in the future' : null
  },
  fact: ({ claims }) => shownDate(claims.nbf),
  wanted: ({ now }) => `before ${new Date(now).toISOString()}`,
}

const expiry: ClaimCheck = {
  name: 'exp',
  failure: 'expired',
  problem({ claims }, { now }) {
    const date = dateOf(claims.exp)
    if (date === null) return 'missing, or not a number of seconds'
    return now >= date ? 'in the past' : null
  },
  fact: ({ claims }) => shownDate(claims.exp),
  wanted: ({ now }) => `after ${new Date(now).toISOString()}`,
}

/** All checks that need no key, cheapest first (section 4.3). */
export const claimChecks: readonly ClaimCheck[] = [
  {
    name: 'typ',
    failure: 'typ',
    problem: ({ header }) => (isAccessToken(header) ? null : 'not at+jwt'),
    fact: ({ header }) => shown(header.typ),
    wanted: () => shown('at+jwt'),
  },
  critical,
  issuer,
  role,
  algorithm,
  expiry,
  notBefore,
  {
    name: 'aud',
    failure: 'audience',
    problem: ({ claims }, { audience }) =>
      [claims.aud].flat().includes(audience) ? null : `does not hold the identifier of this hub, ${audience}`,
    fact: ({ claims }) => shown(claims.aud),
    wanted: ({ audience }) => shown(audience),
  },
]

/** The checks that are left for a token of the 0.x generation (LEG-12). */
export const legacyClaimChecks: readonly ClaimCheck[] = [
  critical,
  issuer,
  role,
  algorithm,
  {
    ...expiry,
    problem: (token, expected) => (token.claims.exp === undefined ? null : expiry.problem(token, expected)),
  },
  notBefore,
]

const FACT_LENGTH_MAX = 200

/** A value as an operator may see it on a terminal or in a log: quoted, escaped and cut. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing'
  const text = JSON.stringify(value).replace(/[^\x20-\x7e]/g, escapeCharacter)
  return text.length > FACT_LENGTH_MAX ? `${text.slice(0, FACT_LENGTH_MAX)}…` : text
}

function escapeCharacter(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function shownDate(claim: unknown): string {
  const date = new Date(dateOf(claim) ?? Number.NaN)
  return Number.isNaN(date.getTime()) ? shown(claim) : `${shown(claim)} (${date.toISOString()})`
}
