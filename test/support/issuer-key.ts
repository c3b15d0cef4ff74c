import { type CryptoKey, exportJWK, exportPKCS8, generateKeyPair, type JWK } from 'jose'
import { mint } from '../../src/auth/mint.ts'
import { audience } from './tokens.ts'

/** The issuer whose keys are in a key set. */
export const keySetIssuer = 'https://keys.example'

/** A key pair of that issuer: the public half as it publishes it, and tokens that it signs. */
export interface IssuerKey {
  readonly jwk: JWK
  /** A token that may subscribe to everything. `keyId`: another `kid` than that of the key; null is none. */
  readonly token: (keyId?: string | null) => Promise<string>
}

/** Makes a key pair. `now`: milliseconds since the epoch, from which its tokens are valid for a day. */
export async function issuerKey(kid: string | null, now: number, algorithm = 'ES256'): Promise<IssuerKey> {
  const pair = await generateKeyPair(algorithm, { extractable: true })
  const jwk = { ...(await exportJWK(pair.publicKey)), ...(kid === null ? {} : { kid }) }
  return { jwk, token: (keyId = kid) => tokenOf(pair.privateKey, algorithm, keyId, now) }
}

async function tokenOf(key: CryptoKey, algorithm: string, keyId: string | null, now: number) {
  return mint({
    key: await exportPKCS8(key),
    algorithm,
    keyId: keyId ?? undefined,
    issuer: keySetIssuer,
    audience,
    subject: crypto.randomUUID(),
    expiresAt: now + 86_400_000,
    rights: { subscribe: ['*'] },
  })
}
