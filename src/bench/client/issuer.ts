import { mint } from '../../auth/mint.ts'

/** The one issuer that the hubs of a run trust: its secret signs for publishers and subscribers alike. */
export interface RunIssuer {
  readonly id: string
  /** The resource identifier that its tokens are for. */
  readonly audience: string
  readonly key: string
}

/** The value of `issuers`. `key`: the secret, or the file with it, since everybody may read a command line. */
export function issuersSetting(
  { id }: RunIssuer,
  key: { readonly key: string } | { readonly key_file: string },
) {
  const role = { ...key, algorithm: ALGORITHM }
  return JSON.stringify([{ id, publisher: role, subscriber: role }])
}

/** A token that may do everything. Dates are milliseconds since the epoch. */
export async function runToken(issuer: RunIssuer, tokenId: string, issuedAt: number): Promise<string> {
  return await mint({
    key: issuer.key,
    algorithm: ALGORITHM,
    issuer: issuer.id,
    audience: issuer.audience,
    subject: 'cinnabar',
    clientId: 'cinnabar',
    id: tokenId,
    issuedAt,
    expiresAt: issuedAt + TOKEN_MS,
    rights: { publish: ['*'], subscribe: ['*'] },
  })
}

const ALGORITHM = 'HS256'
/** Longer than anybody watches. */
const TOKEN_MS = 30 * 24 * 3_600_000
