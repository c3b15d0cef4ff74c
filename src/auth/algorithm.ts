/**
 * The signature algorithms a key may be configured for (RFC 7518, RFC 8037, RFC 9864).
 * `none` is not among them in any spelling, and the list of a key comes from configuration only (SEC-04).
 */

/** The demands of an algorithm on its key. */
export interface Algorithm {
  /** The `kty` of a JWK. */
  readonly keyType: 'oct' | 'RSA' | 'EC' | 'OKP'
  /** The `crv` of a JWK, where the algorithm fixes it. */
  readonly curve: string | null
  /** The fewest bits of a secret (RFC 7518 section 3.2) or of an RSA modulus (section 3.3). */
  readonly bitsMin: number
}

/** The algorithm of this name, or null. Names are case-sensitive. */
export function findAlgorithm(name: string): Algorithm | null {
  return algorithms.get(name) ?? null
}

/** The algorithms of a key set whose configuration lists none (AUT-37). Never a shared secret. */
export const keySetAlgorithms: readonly string[] = [
  'EdDSA',
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
]

const rsa: Algorithm = { keyType: 'RSA', curve: null, bitsMin: 2048 }
const ed25519: Algorithm = { keyType: 'OKP', curve: 'Ed25519', bitsMin: 0 }

const algorithms: ReadonlyMap<string, Algorithm> = new Map([
  ['HS256', secret(256)],
  ['HS384', secret(384)],
  ['HS512', secret(512)],
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'].map((name) => [name, rsa] as const),
  ['ES256', curve('P-256')],
  ['ES384', curve('P-384')],
  ['ES512', curve('P-521')],
  ['EdDSA', ed25519],
  ['Ed25519', ed25519],
])

// A secret is no shorter than the hash; jose takes a secret of any length.
function secret(bitsMin: number): Algorithm {
  return { keyType: 'oct', curve: null, bitsMin }
}

function curve(name: string): Algorithm {
  return { keyType: 'EC', curve: name, bitsMin: 0 }
}
